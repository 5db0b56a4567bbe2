//! Yuma3: bonds are per-pair scales without stake; stake enters the dividend.

use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::divide::{Sum, Whole, mul_down};
use crate::epoch::Voices;
use crate::growth::Growth;
use crate::row::{common_run, merge};
use crate::standing::{Fate, Standing};
use crate::workspace::{Column, Quote, Scratch, Trades};
use crate::{Q32, Row};

/// Weighs all rows: support of each miner, trust of each validator, and `B = α·W + (1 − α)·b` for each bond.
pub(crate) fn trade(ballot: &Ballot<'_>, growth: &Growth, voices: &mut Voices, scratch: &mut Scratch) {
    let weigh = match (growth.curve.is_some(), growth.is_clipped()) {
        (false, true) => weigh::<false, true>,
        (false, false) => weigh::<false, false>,
        (true, true) => weigh::<true, true>,
        (true, false) => weigh::<true, false>,
    };
    scratch.trades.clear();
    for (uid, (weights, bonds)) in (0..=u16::MAX).zip(ballot.weights.iter().zip(&ballot.bonds)) {
        if !weights.is_empty() || !bonds.is_empty() {
            weigh(growth, uid, weights, bonds, voices, &mut scratch.columns, &mut scratch.trades);
        }
    }
}

fn weigh<const LIQUID: bool, const CLIPPED: bool>(
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
    let (mut trust, mut given, mut least) = (0, 0, 0u64);
    let mut cell = |column: &mut Column, weight: Option<u16>, bond: u16| {
        let weight = weight.map(|weight| whole.share(weight));
        let share = weight.unwrap_or_default();
        let agreed = share.min(column.consensus);
        given += share;
        trust += agreed;
        column.unclipped += mul_down(stake, share);
        column.rank += mul_down(stake, agreed);
        let bond = Q32::from_u16(bond).raw();
        let target = growth.target::<CLIPPED>(share, agreed);
        let bond = match &growth.curve {
            Some(curve) if LIQUID => growth.liquid(curve, weight, target, bond, column.consensus),
            _ => growth.steady(target, bond),
        };
        column.bonds += bond;
        // The topmost bit tells whether any was 0.
        least |= bond.wrapping_sub(1);
        bond
    };
    if let Some(run) = common_run(weights, bonds) {
        trades.uids.extend(weights.iter().map(|cell| cell.0));
        let cells = columns[run].iter_mut().zip(weights).zip(bonds);
        trades.values.extend(cells.map(|((column, weight), bond)| cell(column, Some(weight.1), bond.1)));
    } else {
        trades.reserve(weights.len() + bonds.len());
        merge(weights, bonds, |uid, weight, bond| {
            trades.uids.push(uid);
            trades.values.push(cell(&mut columns[usize::from(uid)], weight, bond));
        });
    }
    voices.trust[place] = trust;
    voices.given[place] = given;
    trades.end_row(uid, least >> 63 == 0);
}

/// `D = S · Σ_j Bn·I` with `Bn` the column-normalised bonds, and the bonds to store.
pub(crate) fn settle(
    standing: &Standing,
    voices: &mut Voices,
    incentive: &[Q32],
    scratch: &mut Scratch,
    stored: &mut [Vec<(u16, u16)>],
) {
    let Scratch { columns, quotes, trades, .. } = scratch;
    quotes.clear();
    quotes.extend(
        columns
            .iter()
            .zip(incentive)
            .map(|(column, incentive)| Quote { bonds: Sum::of(column.bonds), incentive: incentive.raw() }),
    );
    let mut start = 0;
    for row in &trades.rows {
        let place = usize::from(row.uid);
        let (uids, bonds) = (&trades.uids[start..row.end], &trades.values[start..row.end]);
        start = row.end;
        let mut earned = 0;
        let mut cell = |quote: &Quote, uid: u16, bond: u64| {
            earned += mul_down(quote.bonds.share(bond), quote.incentive);
            (uid, Q32::from_raw(bond).to_u16())
        };
        let cells = uids.iter().zip(bonds);
        let mut kept: Vec<(u16, u16)> = match (uids.first(), uids.last()) {
            (Some(&first), Some(&last)) if usize::from(last - first) + 1 == uids.len() => {
                let quotes = &quotes[usize::from(first)..=usize::from(last)];
                quotes.iter().zip(cells).map(|(quote, (&uid, &bond))| cell(quote, uid, bond)).collect()
            }
            _ => cells.map(|(&uid, &bond)| cell(&quotes[usize::from(uid)], uid, bond)).collect(),
        };
        voices.dividends[place] = Q32::from_raw(mul_down(earned, voices.stake[place]));
        if standing.fates[place] == Fate::Stay {
            if !row.whole {
                let mut alive = bonds.iter().map(|&bond| bond > 0);
                kept.retain(|_| alive.next().unwrap_or_default());
            }
            stored[place] = kept;
        }
    }
}
