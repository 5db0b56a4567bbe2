//! The stake-weighted κ-median.

use alloc::vec;
use alloc::vec::Vec;

use crate::matrix::Rows;
use crate::{Q32, normalise};

/// The largest weight that validators with at least κ of the stake give or exceed; ties with exactly κ go up.
///
/// `votes` are `(weight, stake)` of those who gave a weight; whoever is missing from `total`, the sum of all voting
/// stake, gave 0. In terms of the cumulative stake `cum`, this is the weight `x` with
/// `cum(< x) <= total − κ < cum(<= x)`; should rounding leave none, the smallest or the largest weight voted for.
/// Sorts `votes` in place; their order has no influence.
///
/// ```
/// use yuma::{Q32, weighted_median};
///
/// let percent = |n: u64| Q32::from_raw((n << 32) / 100);
/// let mut votes = [(percent(50), percent(49)), (percent(100), percent(51))];
/// assert_eq!(weighted_median(&mut votes, percent(100), percent(51)), percent(100));
/// ```
pub fn weighted_median(votes: &mut [(Q32, Q32)], total: Q32, kappa: Q32) -> Q32 {
    votes.sort_unstable();
    let voted: Q32 = votes.iter().map(|&(_, stake)| stake).sum();
    let mut cumulative = Q32::from_raw(total.raw().saturating_sub(voted.raw()));
    if cumulative > Q32::ZERO && cumulative + kappa > total {
        return Q32::ZERO;
    }
    for &(weight, stake) in votes.iter() {
        cumulative += stake;
        if cumulative + kappa > total {
            return weight;
        }
    }
    votes.last().map_or(Q32::ZERO, |&(weight, _)| weight)
}

/// The κ-median of each column over the validators with active stake.
pub(crate) fn consensus(weights: &Rows, active_stake: &[Q32], kappa: Q32) -> Vec<Q32> {
    let columns = active_stake.len();
    // Normalised a second time, as on the chain: the first pass left a few units in the last place below 1.
    let stake = normalise(active_stake);
    let total = stake.iter().copied().sum();
    let voters = || weights.iter().zip(&stake).filter(|(_, stake)| **stake > Q32::ZERO);

    let mut starts = vec![0usize; columns + 1];
    for (row, _) in voters() {
        for &(uid, _) in row {
            starts[usize::from(uid) + 1] += 1;
        }
    }
    for column in 0..columns {
        starts[column + 1] += starts[column];
    }
    let mut next = starts.clone();
    let mut votes = vec![(Q32::ZERO, Q32::ZERO); starts[columns]];
    for (row, &stake) in voters() {
        for &(uid, weight) in row {
            let slot = &mut next[usize::from(uid)];
            votes[*slot] = (weight, stake);
            *slot += 1;
        }
    }
    starts.windows(2).map(|bounds| weighted_median(&mut votes[bounds[0]..bounds[1]], total, kappa)).collect()
}
