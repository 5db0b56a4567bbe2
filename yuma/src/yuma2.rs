//! Yuma2: bonds are shares of a column, weighted by stake.

use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::divide::{Sum, Whole, mul_down};
use crate::epoch::Voices;
use crate::growth::{Growth, stored};
use crate::row::{common_run, merge, run};
use crate::standing::Standing;
use crate::workspace::{Column, Intake, Offer, Peak, Scratch, TradeRow, Worth};
use crate::{Q32, Row};

/// Weighs all rows: support of each miner, trust of each validator, and `B = α·ΔB + (1 − α)·b` for each bond, with
/// `ΔB = W·S` and `b` both as shares of their columns.
pub(crate) fn trade(ballot: &Ballot<'_>, growth: &Growth, voices: &mut Voices, scratch: &mut Scratch) {
    scratch.deltas.clear();
    for (place, weights) in ballot.weights.iter().enumerate().filter(|(_, weights)| !weights.is_empty()) {
        let weigh = match (growth.is_clipped(), voices.stake[place] == Q32::ONE.raw()) {
            (true, false) => weigh::<true, false>,
            (true, true) => weigh::<true, true>,
            (false, _) => weigh::<false, true>,
        };
        weigh(growth, place, weights, voices, &mut scratch.columns, &mut scratch.deltas);
    }
    let Scratch { columns, old, intakes, peaks, .. } = scratch;
    old.clear();
    old.resize(columns.len(), 0);
    for bonds in &ballot.bonds {
        match run(bonds) {
            Some(run) => old[run].iter_mut().zip(*bonds).for_each(|(sum, cell)| *sum += u32::from(cell.1)),
            None => bonds.iter().for_each(|cell| old[usize::from(cell.0)] += u32::from(cell.1)),
        }
    }
    intakes.clear();
    intakes.extend(
        columns.iter().zip(old).map(|(column, old)| Intake { new: Sum::of(column.bonds), old: Whole::of(*old) }),
    );
    peaks.clear();
    peaks.resize(columns.len(), Peak::default());
    match growth.is_wide() {
        true => average::<true>(ballot, growth, scratch),
        false => average::<false>(ballot, growth, scratch),
    }
}

/// Support, trust, and `ΔB` of one row.
fn weigh<const CLIPPED: bool, const WIDE: bool>(
    growth: &Growth,
    place: usize,
    weights: Row<'_>,
    voices: &mut Voices,
    columns: &mut [Column],
    deltas: &mut Vec<u64>,
) {
    let (whole, stake) = (Whole::of(voices.wholes[place]), voices.stake[place]);
    let weigh = |column: &mut Column, weight: u16| {
        let share = whole.share(weight);
        let agreed = share.min(column.consensus);
        let supported = mul_down::<WIDE>(stake, agreed);
        column.unclipped += mul_down::<WIDE>(stake, share);
        column.rank += supported;
        let delta = if CLIPPED { supported } else { mul_down::<WIDE>(stake, growth.target::<CLIPPED>(share, agreed)) };
        column.bonds += delta;
        (share, agreed, delta)
    };
    let (mut given, mut trust) = (0, 0);
    let start = deltas.len();
    deltas.resize(start + weights.len(), 0);
    let cells = deltas[start..].iter_mut().zip(weights);
    match run(weights) {
        Some(run) => {
            for ((slot, weight), column) in cells.zip(&mut columns[run]) {
                let (share, agreed, delta) = weigh(column, weight.1);
                given += share;
                trust += agreed;
                *slot = delta;
            }
        }
        None => {
            for (slot, &(uid, weight)) in cells {
                let (share, agreed, delta) = weigh(&mut columns[usize::from(uid)], weight);
                given += share;
                trust += agreed;
                *slot = delta;
            }
        }
    }
    voices.given[place] = given;
    voices.trust[place] = trust;
}

/// `B = α·ΔB + (1 − α)·b` over shares of columns.
fn average<const WIDE: bool>(ballot: &Ballot<'_>, growth: &Growth, scratch: &mut Scratch) {
    let Scratch { deltas, intakes, peaks, trades, .. } = scratch;
    trades.clear();
    let mut deltas = deltas.as_slice();
    let average = |intake: &Intake, peak: &mut Peak, delta: u64, bond: u16| {
        let bond = growth.steady::<WIDE>(intake.new.share(delta), intake.old.share(bond));
        peak.sum += bond;
        peak.most = peak.most.max(bond);
        bond
    };
    for (uid, (weights, bonds)) in (0..=u16::MAX).zip(ballot.weights.iter().zip(&ballot.bonds)) {
        if weights.is_empty() && bonds.is_empty() {
            continue;
        }
        let row = deltas.split_off(..weights.len()).unwrap_or_default();
        let start = trades.values.len();
        let run = common_run(weights, bonds);
        let first = run.as_ref().map(|run| run.start as u16);
        let mut least = 0u64;
        if let Some(run) = run {
            trades.values.resize(start + run.len(), 0);
            let columns = intakes[run.clone()].iter().zip(&mut peaks[run]);
            let cells = trades.values[start..].iter_mut().zip(row).zip(*bonds);
            for (((value, &delta), bond), (intake, peak)) in cells.zip(columns) {
                *value = average(intake, peak, delta, bond.1);
                least |= value.wrapping_sub(1);
            }
        } else {
            trades.uids.reserve(weights.len() + bonds.len());
            trades.values.reserve(weights.len() + bonds.len());
            let mut row = row.iter().copied();
            merge(weights, bonds, |uid, weight, bond| {
                let delta = weight.and_then(|_| row.next()).unwrap_or_default();
                let value = average(&intakes[usize::from(uid)], &mut peaks[usize::from(uid)], delta, bond);
                least |= value.wrapping_sub(1);
                trades.uids.push(uid);
                trades.values.push(value);
            });
        }
        trades.rows.push(TradeRow { uid, end: trades.values.len(), run: first, whole: least >> 63 == 0 });
    }
}

/// `D = Σ_j B·I` with the bonds as shares of their columns, and the bonds to store, scaled so that each column's
/// largest is 1.
pub(crate) fn settle(
    standing: &Standing,
    voices: &mut Voices,
    incentive: &[Q32],
    scratch: &mut Scratch,
    kept: &mut [Vec<(u16, u16)>],
) {
    let Scratch { peaks, offers, trades, .. } = scratch;
    offers.clear();
    offers.extend(peaks.iter().zip(incentive).map(|(peak, incentive)| {
        let bonds = Sum::of(peak.sum);
        // Dividing keeps the order: the largest bond has the largest share.
        Offer { bonds, largest: Sum::of(bonds.share(peak.most)), incentive: incentive.raw() }
    }));
    trades.settle(standing, offers, kept, |place, earned| voices.dividends[place] = Q32::from_raw(earned));
}

impl Worth for Offer {
    #[inline(always)]
    fn settle(&self, bond: u64) -> (u64, u16) {
        let share = self.bonds.share(bond);
        (mul_down::<true>(share, self.incentive), stored(self.largest.share(share)))
    }
}
