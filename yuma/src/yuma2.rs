//! Yuma2: bonds are shares of a column, weighted by stake.

use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::divide::{Sum, Whole, mul_down};
use crate::epoch::Voices;
use crate::growth::{Growth, stored};
use crate::row::{common_run, merge, run};
use crate::standing::Standing;
use crate::workspace::{Column, Intake, Offer, Peak, Scratch, TradeRow, Trades, Worth};
use crate::{Q32, Row};

/// Weighs all rows: support of each miner, trust of each validator, and `B = α·ΔB + (1 − α)·b` for each bond, with
/// `ΔB = W·S` and `b` both as shares of their columns.
///
/// Each `ΔB` is written where its bond will be, so that no number is stored twice.
pub(crate) fn trade(ballot: &Ballot<'_>, growth: &Growth, voices: &mut Voices, scratch: &mut Scratch) {
    scratch.trades.begin(ballot);
    for (uid, (weights, bonds)) in (0..=u16::MAX).zip(ballot.weights.iter().zip(&ballot.bonds)) {
        if !weights.is_empty() || !bonds.is_empty() {
            let weigh = match (growth.is_clipped(), voices.stake[usize::from(uid)] == Q32::ONE.raw()) {
                (true, false) => weigh::<true, false>,
                (true, true) => weigh::<true, true>,
                (false, _) => weigh::<false, true>,
            };
            weigh(growth, uid, weights, bonds, voices, &mut scratch.columns, &mut scratch.trades);
        }
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
    uid: u16,
    weights: Row<'_>,
    bonds: Row<'_>,
    voices: &mut Voices,
    columns: &mut [Column],
    trades: &mut Trades,
) {
    let place = usize::from(uid);
    let (whole, stake) = (Whole::of(voices.wholes[place]), voices.stake[place]);
    let (mut given, mut trust) = (0, 0);
    let mut weigh = |column: &mut Column, weight: u16| {
        let share = whole.share(weight);
        let agreed = share.min(column.consensus);
        let supported = mul_down::<WIDE>(stake, agreed);
        column.unclipped += mul_down::<WIDE>(stake, share);
        column.rank += supported;
        let delta = if CLIPPED { supported } else { mul_down::<WIDE>(stake, growth.target::<CLIPPED>(share, agreed)) };
        column.bonds += delta;
        given += share;
        trust += agreed;
        delta
    };
    let run = common_run(weights, bonds);
    let first = run.as_ref().map(|run| run.start as u16);
    if let Some(run) = run {
        let start = trades.values.len();
        trades.values.resize(start + run.len(), 0);
        for ((value, weight), column) in trades.values[start..].iter_mut().zip(weights).zip(&mut columns[run]) {
            *value = weigh(column, weight.1);
        }
    } else {
        merge(weights, bonds, |uid, weight, _| {
            trades.uids.push(uid);
            trades.values.push(weight.map_or(0, |weight| weigh(&mut columns[usize::from(uid)], weight)));
        });
    }
    voices.given[place] = given;
    voices.trust[place] = trust;
    trades.rows.push(TradeRow { uid, end: trades.values.len(), run: first, whole: false });
}

/// `B = α·ΔB + (1 − α)·b` over shares of columns.
fn average<const WIDE: bool>(ballot: &Ballot<'_>, growth: &Growth, scratch: &mut Scratch) {
    let Scratch { intakes, peaks, trades: Trades { uids, values, rows }, .. } = scratch;
    let (mut values, mut uids) = (values.as_mut_slice(), uids.as_slice());
    let mut start = 0;
    // Turns a new bond into the average; the topmost bit that comes back tells whether that is 0.
    let average = |value: &mut u64, intake: &Intake, peak: &mut Peak, bond: u16| {
        let bond = growth.steady::<WIDE>(intake.new.share(*value), intake.old.share(bond));
        peak.sum += bond;
        peak.most = peak.most.max(bond);
        *value = bond;
        bond.wrapping_sub(1)
    };
    for row in rows {
        let bonds = ballot.bonds[usize::from(row.uid)];
        let cells = values.split_off_mut(..row.end - start).unwrap_or_default();
        start = row.end;
        let mut least = 0u64;
        match row.run.map(usize::from) {
            Some(first) => {
                let columns = intakes[first..].iter().zip(&mut peaks[first..]);
                for ((value, bond), (intake, peak)) in cells.iter_mut().zip(bonds).zip(columns) {
                    least |= average(value, intake, peak, bond.1);
                }
            }
            None => {
                let mut bonds = bonds.iter().copied().peekable();
                let row = uids.split_off(..cells.len()).unwrap_or_default();
                for (value, &uid) in cells.iter_mut().zip(row) {
                    let bond = bonds.next_if(|bond| bond.0 == uid).unwrap_or_default().1;
                    let place = usize::from(uid);
                    least |= average(value, &intakes[place], &mut peaks[place], bond);
                }
            }
        }
        row.whole = least.cast_signed() >= 0;
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
