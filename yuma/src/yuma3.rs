//! Yuma3: bonds are per-pair scales without stake; stake enters the dividend.

use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::divide::{Sum, Whole, mul_down};
use crate::epoch::Voices;
use crate::growth::{Growth, stored};
use crate::liquid::Curve;
use crate::row::{common_run, merge};
use crate::standing::Standing;
use crate::workspace::{Column, Scratch, TradeRow, Trades, Worth};
use crate::{Q32, Row};

/// Weighs all rows: support of each miner, trust of each validator, and `B = α·W + (1 − α)·b` for each bond.
pub(crate) fn trade(ballot: &Ballot<'_>, growth: &Growth, voices: &mut Voices, scratch: &mut Scratch) {
    scratch.trades.begin(ballot);
    for (uid, (weights, bonds)) in (0..=u16::MAX).zip(ballot.weights.iter().zip(&ballot.bonds)) {
        if !weights.is_empty() || !bonds.is_empty() {
            let wide = growth.is_wide() || voices.stake[usize::from(uid)] == Q32::ONE.raw();
            let weigh = match (growth.curve.is_some(), growth.is_clipped(), wide) {
                (false, true, false) => weigh::<false, true, false>,
                (false, true, true) => weigh::<false, true, true>,
                (false, false, _) => weigh::<false, false, true>,
                (true, true, false) => weigh::<true, true, false>,
                (true, true, true) => weigh::<true, true, true>,
                (true, false, _) => weigh::<true, false, true>,
            };
            weigh(growth, uid, weights, bonds, voices, &mut scratch.columns, &mut scratch.trades);
        }
    }
}

fn weigh<const LIQUID: bool, const CLIPPED: bool, const WIDE: bool>(
    growth: &Growth,
    uid: u16,
    weights: Row<'_>,
    bonds: Row<'_>,
    voices: &mut Voices,
    columns: &mut [Column],
    trades: &mut Trades,
) {
    let place = usize::from(uid);
    let scale = Scale {
        growth: *growth,
        curve: growth.curve.unwrap_or_default(),
        whole: Whole::of(voices.wholes[place]),
        stake: voices.stake[place],
    };
    // Sums of what was given and of what survived clipping; and the topmost bit tells whether any bond is 0.
    let (mut given, mut trust, mut least) = (0, 0, 0u64);
    let start = trades.values.len();
    let run = common_run(weights, bonds);
    let first = run.as_ref().map(|run| run.start as u16);
    if let Some(run) = run {
        trades.values.resize(start + run.len(), 0);
        let cells = trades.values[start..].iter_mut().zip(&mut columns[run]).zip(weights).zip(bonds);
        for (((value, column), weight), bond) in cells {
            let cell = scale.weigh::<LIQUID, CLIPPED, WIDE>(column, Some(weight.1), bond.1);
            given += cell.share;
            trust += cell.agreed;
            least |= cell.bond.wrapping_sub(1);
            *value = cell.bond;
        }
    } else {
        merge(weights, bonds, |uid, weight, bond| {
            let cell = scale.weigh::<LIQUID, CLIPPED, WIDE>(&mut columns[usize::from(uid)], weight, bond);
            given += cell.share;
            trust += cell.agreed;
            least |= cell.bond.wrapping_sub(1);
            trades.uids.push(uid);
            trades.values.push(cell.bond);
        });
    }
    voices.trust[place] = trust;
    voices.given[place] = given;
    trades.rows.push(TradeRow { uid, end: trades.values.len(), run: first, whole: least.cast_signed() >= 0 });
}

/// What the cells of a row are weighed with.
#[derive(Clone, Copy)]
struct Scale {
    growth: Growth,
    /// Liquid alpha, read only if it is in force.
    curve: Curve,
    whole: Whole,
    stake: u64,
}

/// A weight as a share of its row, what clipping leaves of it, and the bond it makes.
struct Cell {
    share: u64,
    agreed: u64,
    bond: u64,
}

impl Scale {
    #[inline(always)]
    fn weigh<const LIQUID: bool, const CLIPPED: bool, const WIDE: bool>(
        &self,
        column: &mut Column,
        weight: Option<u16>,
        bond: u16,
    ) -> Cell {
        let weight = weight.map(|weight| self.whole.share(weight));
        let share = weight.unwrap_or_default();
        let agreed = share.min(column.consensus);
        column.unclipped += mul_down::<WIDE>(self.stake, share);
        column.rank += mul_down::<WIDE>(self.stake, agreed);
        let target = self.growth.target::<CLIPPED>(share, agreed);
        let bond = if LIQUID {
            let bond = Q32::from_u16(bond).raw();
            self.growth.liquid::<WIDE>(&self.curve, weight, target, bond, column.consensus)
        } else {
            self.growth.renew::<WIDE>(target, bond)
        };
        column.bonds += bond;
        Cell { share, agreed, bond }
    }
}

/// `D = S · Σ_j Bn·I` with `Bn` the column-normalised bonds, and the bonds to store.
pub(crate) fn settle(
    standing: &Standing,
    voices: &mut Voices,
    incentive: &[Q32],
    scratch: &mut Scratch,
    kept: &mut [Vec<(u16, u16)>],
) {
    match incentive.contains(&Q32::ONE) {
        true => settle_rows::<true>(standing, voices, incentive, scratch, kept),
        false => settle_rows::<false>(standing, voices, incentive, scratch, kept),
    }
}

fn settle_rows<const WIDE: bool>(
    standing: &Standing,
    voices: &mut Voices,
    incentive: &[Q32],
    scratch: &mut Scratch,
    kept: &mut [Vec<(u16, u16)>],
) {
    let quotes: Vec<Quote<WIDE>> = scratch
        .columns
        .iter()
        .zip(incentive)
        .map(|(column, incentive)| Quote { bonds: Sum::of(column.bonds), incentive: incentive.raw() })
        .collect();
    scratch.trades.settle(standing, &quotes, kept, |place, earned| {
        voices.dividends[place] = Q32::from_raw(mul_down::<true>(earned, voices.stake[place]));
    });
}

/// What a bond with a miner is worth. Unless `WIDE`, no miner has all the incentive.
struct Quote<const WIDE: bool> {
    /// Sum of all bonds with it.
    bonds: Sum,
    incentive: u64,
}

impl<const WIDE: bool> Worth for Quote<WIDE> {
    #[inline(always)]
    fn settle(&self, bond: u64) -> (u64, u16) {
        (mul_down::<WIDE>(self.bonds.share(bond), self.incentive), stored(bond))
    }
}
