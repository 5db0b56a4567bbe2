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
    penalty: u64,
    /// Liquid alpha, if it is in force.
    pub(crate) curve: Option<Curve>,
    /// Whether liquid alpha forgets a bond that no weight renews, as the chain does.
    forgets: bool,
}

impl Growth {
    /// `agreed`: whether there is any consensus, without which liquid alpha is out of force.
    pub(crate) fn of(params: &Hyperparameters, agreed: bool) -> Self {
        let survives = Q32::ratio(u64::from(params.bonds_moving_average), 1_000_000).raw();
        Self {
            survives,
            alpha: ONE - survives,
            penalty: Q32::from_u16(params.bonds_penalty).raw(),
            curve: params.liquid_alpha.filter(|_| agreed).map(Curve::of),
            forgets: params.profile == Profile::Subtensor,
        }
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

    /// `(1 − α)·bond + α·target` with the one α of all.
    #[inline(always)]
    pub(crate) fn steady(&self, target: u64, bond: u64) -> u64 {
        mul_down(self.alpha, target) + mul_down(self.survives, bond)
    }

    /// The same, at most 1, with an α of the bond's own.
    ///
    /// `weight` is `None` if none was given. The chain keeps explicit zeros as long as the bonds penalty is all or nothing.
    #[inline(always)]
    pub(crate) fn liquid(&self, curve: &Curve, weight: Option<u64>, target: u64, bond: u64, consensus: u64) -> u64 {
        if self.forgets && target == 0 && (weight != Some(0) || (self.penalty != 0 && self.penalty != ONE)) {
            return 0;
        }
        let alpha = curve.alpha(target, bond, consensus);
        (mul_down(ONE - alpha, bond) + mul_down(alpha, target)).min(ONE)
    }
}
