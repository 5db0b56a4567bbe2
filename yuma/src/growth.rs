//! By how much a bond grows or decays.

use crate::divide::mul_down;
use crate::liquid::Curve;
use crate::{Hyperparameters, Profile, Q32};

const ONE: u64 = Q32::ONE.raw();

/// What an epoch does to a bond.
#[derive(Clone, Copy)]
pub(crate) struct Growth {
    /// Share of the old bond that survives, without liquid alpha.
    pub(crate) survives: u64,
    pub(crate) alpha: u64,
    /// What one unit of a stored bond leaves, and what the last one leaves more, if anything is left.
    decay: u64,
    last: u64,
    penalty: u64,
    /// Liquid alpha, if it is in force.
    pub(crate) curve: Option<Curve>,
    /// Whether liquid alpha forgets a bond that no weight renews, as the chain does.
    forgets: bool,
}

impl Growth {
    /// `agreed`: whether there is any consensus, without which liquid alpha is out of force.
    pub(crate) fn of(params: &Hyperparameters, agreed: bool) -> Self {
        let survives = (u64::from(params.bonds_moving_average) << 32) / 1_000_000;
        Self {
            survives,
            alpha: ONE - survives,
            decay: survives * 65_537,
            last: u64::from(survives > 0),
            penalty: Q32::from_u16(params.bonds_penalty).raw(),
            curve: params.liquid_alpha.filter(|_| agreed).map(Curve::of),
            forgets: params.profile == Profile::Subtensor,
        }
    }

    /// Whether products may need more than 64 bits: a factor that is 1.
    pub(crate) fn is_wide(&self) -> bool {
        self.alpha == ONE || self.survives == ONE || self.curve.is_some_and(|curve| curve.is_wide())
    }

    /// Whether bonds grow by nothing but clipped weights.
    pub(crate) fn is_clipped(&self) -> bool {
        self.penalty == ONE
    }

    /// `W + penalty·(W̄ − W)` with `W̄ = min(W, C)`: the weight by which a bond grows. With `CLIPPED`, that is `W̄`.
    #[inline(always)]
    pub(crate) fn target<const CLIPPED: bool>(&self, weight: u64, agreed: u64) -> u64 {
        if CLIPPED {
            agreed
        } else {
            let lost = u128::from(self.penalty) * u128::from(weight - agreed);
            weight - lost.div_ceil(1 << 32) as u64
        }
    }

    /// `(1 − α)·bond + α·target` with the one α of all, for a bond as it is stored.
    ///
    /// As `2³² = 65535 · 65537 + 1`, a stored bond stands for 65,537 times as many units, and the last one for one more.
    /// That unit is what the floor of all others lacks to a whole one.
    #[inline(always)]
    pub(crate) fn renew<const WIDE: bool>(&self, target: u64, bond: u16) -> u64 {
        let bond = u64::from(bond);
        let kept = ((bond * self.decay) >> 32) + (((bond + 1) >> 16) & self.last);
        mul_down::<WIDE>(self.alpha, target) + kept
    }

    /// The same for a bond in Q32.
    #[inline(always)]
    pub(crate) fn steady<const WIDE: bool>(&self, target: u64, bond: u64) -> u64 {
        mul_down::<WIDE>(self.alpha, target) + mul_down::<WIDE>(self.survives, bond)
    }

    /// The same, at most 1, with an α of the bond's own.
    ///
    /// `weight` is `None` if none was given. The chain keeps explicit zeros as long as the bonds penalty is all or nothing.
    #[inline(always)]
    pub(crate) fn liquid<const WIDE: bool>(
        &self,
        curve: &Curve,
        weight: Option<u64>,
        target: u64,
        bond: u64,
        consensus: u64,
    ) -> u64 {
        if self.forgets && target == 0 && (weight != Some(0) || (self.penalty != 0 && self.penalty != ONE)) {
            return 0;
        }
        let alpha = curve.alpha(target, bond, consensus);
        (mul_down::<WIDE>(ONE - alpha, bond) + mul_down::<WIDE>(alpha, target)).min(ONE)
    }
}

/// `⌊bond · 65535⌋`: how a bond is stored.
#[inline(always)]
pub(crate) fn stored(bond: u64) -> u16 {
    ((bond * 65_535) >> 32) as u16
}
