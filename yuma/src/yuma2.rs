//! Yuma2: bonds are shares of a column, weighted by stake.

use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::divide::{Sum, Whole, mul_down};
use crate::epoch::Voices;
use crate::growth::Growth;
use crate::row::{common_run, merge, run};
use crate::standing::{Fate, Standing};
use crate::workspace::{Column, Intake, Peak, Scratch};
use crate::{Q32, Row};

/// Weighs all rows: support of each miner, trust of each validator, and `B = α·ΔB + (1 − α)·b` for each bond, with
/// `ΔB = W·S` and `b` both as shares of their columns.
pub(crate) fn trade(ballot: &Ballot<'_>, growth: &Growth, voices: &mut Voices, scratch: &mut Scratch) {
    scratch.deltas.clear();
    for (place, weights) in ballot.weights.iter().enumerate().filter(|(_, weights)| !weights.is_empty()) {
        if growth.is_clipped() {
            weigh::<true>(growth, place, weights, voices, &mut scratch.columns, &mut scratch.deltas);
        } else {
            weigh::<false>(growth, place, weights, voices, &mut scratch.columns, &mut scratch.deltas);
        }
    }
    let Scratch { columns, deltas, intakes, old, peaks, trades, .. } = scratch;
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
    trades.clear();
    let mut deltas = deltas.iter().copied();
    for (uid, (weights, bonds)) in (0..=u16::MAX).zip(ballot.weights.iter().zip(&ballot.bonds)) {
        if weights.is_empty() && bonds.is_empty() {
            continue;
        }
        let mut least = 0u64;
        let mut cell = |intake: &Intake, peak: &mut Peak, delta: u64, bond: u16| {
            let bond = growth.steady(intake.new.share(delta), intake.old.share(bond));
            peak.sum += bond;
            peak.most = peak.most.max(bond);
            least |= bond.wrapping_sub(1);
            bond
        };
        if let Some(run) = common_run(weights, bonds) {
            trades.uids.extend(weights.iter().map(|cell| cell.0));
            let cells = intakes[run.clone()].iter().zip(&mut peaks[run]).zip(deltas.by_ref()).zip(*bonds);
            trades.values.extend(cells.map(|(((intake, peak), delta), bond)| cell(intake, peak, delta, bond.1)));
        } else {
            trades.reserve(weights.len() + bonds.len());
            merge(weights, bonds, |uid, weight, bond| {
                let delta = weight.and_then(|_| deltas.next()).unwrap_or_default();
                let column = usize::from(uid);
                trades.uids.push(uid);
                trades.values.push(cell(&intakes[column], &mut peaks[column], delta, bond));
            });
        }
        trades.end_row(uid, least >> 63 == 0);
    }
}

fn weigh<const CLIPPED: bool>(
    growth: &Growth,
    place: usize,
    weights: Row<'_>,
    voices: &mut Voices,
    columns: &mut [Column],
    deltas: &mut Vec<u64>,
) {
    let (whole, stake) = (Whole::of(voices.wholes[place]), voices.stake[place]);
    let (mut trust, mut given) = (0, 0);
    let mut cell = |column: &mut Column, weight: u16| {
        let share = whole.share(weight);
        let agreed = share.min(column.consensus);
        given += share;
        trust += agreed;
        column.unclipped += mul_down(stake, share);
        let supported = mul_down(stake, agreed);
        column.rank += supported;
        let delta = if CLIPPED { supported } else { mul_down(stake, growth.target::<CLIPPED>(share, agreed)) };
        column.bonds += delta;
        delta
    };
    match run(weights) {
        Some(run) => {
            deltas.extend(columns[run].iter_mut().zip(weights).map(|(column, weight)| cell(column, weight.1)));
        }
        None => deltas.extend(weights.iter().map(|&(uid, weight)| cell(&mut columns[usize::from(uid)], weight))),
    }
    voices.trust[place] = trust;
    voices.given[place] = given;
}

/// `D = Σ_j B·I` with the bonds as shares of their columns, and the bonds to store, scaled so that each column's
/// largest is 1.
pub(crate) fn settle(
    standing: &Standing,
    voices: &mut Voices,
    incentive: &[Q32],
    scratch: &mut Scratch,
    stored: &mut [Vec<(u16, u16)>],
) {
    let Scratch { peaks, offers, trades, .. } = scratch;
    offers.clear();
    offers.extend(peaks.iter().zip(incentive).map(|(peak, incentive)| {
        let bonds = Sum::of(peak.sum);
        // Dividing keeps the order: the largest bond has the largest share.
        (bonds, Sum::of(bonds.share(peak.most)), incentive.raw())
    }));
    let mut start = 0;
    for row in &trades.rows {
        let place = usize::from(row.uid);
        let mut earned = 0;
        let mut kept = Vec::with_capacity(row.end - start);
        for (&uid, &bond) in trades.uids[start..row.end].iter().zip(&trades.values[start..row.end]) {
            let (bonds, largest, incentive) = &offers[usize::from(uid)];
            let share = bonds.share(bond);
            earned += mul_down(share, *incentive);
            if bond > 0 {
                kept.push((uid, Q32::from_raw(largest.share(share)).to_u16()));
            }
        }
        start = row.end;
        voices.dividends[place] = Q32::from_raw(earned);
        if standing.fates[place] == Fate::Stay {
            stored[place] = kept;
        }
    }
}
