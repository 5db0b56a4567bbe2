//! The weighted median against published examples and its definition.

use proptest::prelude::*;
use yuma::{Q32, weighted_median};

fn hundredths(n: u64) -> Q32 {
    Q32::from_raw((n << 32) / 100)
}

fn median(stakes: &[u64], scores: &[u64], kappa: u64) -> Q32 {
    let mut votes: Vec<_> = stakes.iter().zip(scores).map(|(&s, &w)| (hundredths(w), hundredths(s))).collect();
    let total = votes.iter().map(|vote| vote.1).sum();
    weighted_median(&mut votes, total, hundredths(kappa))
}

#[test]
fn the_published_examples_hold() {
    assert_eq!(median(&[49, 51], &[50, 100], 51), hundredths(100));
    assert_eq!(median(&[51, 49], &[50, 100], 51), hundredths(50));
    assert_eq!(median(&[49, 1, 50], &[50, 70, 100], 51), hundredths(70));
    assert_eq!(median(&[20; 5], &[80, 20, 100, 60, 40], 51), hundredths(60));
}

#[test]
fn exactly_kappa_of_the_stake_lifts_the_consensus() {
    assert_eq!(median(&[50, 50], &[20, 80], 50), hundredths(80));
    assert_eq!(median(&[50, 50], &[20, 80], 51), hundredths(20));
}

#[test]
fn without_votes_the_consensus_is_zero() {
    assert_eq!(weighted_median(&mut [], Q32::ZERO, hundredths(50)), Q32::ZERO);
    assert_eq!(weighted_median(&mut [], Q32::ONE, hundredths(50)), Q32::ZERO);
}

/// Selection as the chain does it, with the middle index as pivot; `silent` stands for those who gave no weight.
fn quickselect(part: &[(u64, u64)], minority: i64, low: i64, high: i64) -> u64 {
    let Some(&(pivot, _)) = part.get(part.len() / 2) else { return 0 };
    let (lower, rest): (Vec<_>, Vec<(u64, u64)>) = part.iter().copied().partition(|vote| vote.0 < pivot);
    let upper: Vec<_> = rest.into_iter().filter(|vote| vote.0 > pivot).collect();
    let stake = |votes: &[(u64, u64)]| votes.iter().map(|vote| vote.1 as i64).sum::<i64>();
    let (below, above) = (low + stake(&lower), high - stake(&upper));
    if minority < below && !lower.is_empty() {
        quickselect(&lower, minority, low, below)
    } else if above <= minority && !upper.is_empty() {
        quickselect(&upper, minority, above, high)
    } else {
        pivot
    }
}

proptest! {
    #[test]
    fn the_closed_form_equals_the_chains_selection(
        votes in prop::collection::vec((0u64..5, 1u64..5), 1..12), silent in 0u64..4, kappa in 0u64..60,
    ) {
        let mut all = votes.clone();
        if silent > 0 {
            all.push((0, silent));
        }
        let total: u64 = all.iter().map(|vote| vote.1).sum();
        let expected = quickselect(&all, total as i64 - kappa as i64, 0, total as i64);
        let mut given: Vec<_> = votes.iter().map(|&(w, s)| (Q32::from_raw(w), Q32::from_raw(s))).collect();
        prop_assert_eq!(weighted_median(&mut given, Q32::from_raw(total), Q32::from_raw(kappa)).raw(), expected);
    }
}
