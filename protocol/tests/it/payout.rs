//! Splits by role, against wide arithmetic.

use ethers_core::types::U256;
use proptest::prelude::*;
use tandem_protocol::payout::{AlphaSplit, UsdcSplit, split_alpha, split_usdc};

/// `⌊amount · percent / 100⌋` as the contract computes it, in 256 bits.
fn percent_of(amount: u128, percent: u64) -> u128 {
    (U256::from(amount) * percent / 100u64).as_u128()
}

proptest! {
    /// 18 / 41 / 41 and 18 / 39 / 39 / 4 of what an epoch was granted `[EP-3]`.
    #[test]
    fn splits_are_exact_percentages_rounded_down(amount in prop_oneof![0..1_000u128, any::<u128>(), Just(u128::MAX)]) {
        let AlphaSplit { owner, validators, contributors } = split_alpha(amount);
        let expected = (percent_of(amount, 18), percent_of(amount, 41), percent_of(amount, 41));
        prop_assert_eq!((owner, validators, contributors), expected);
        prop_assert!((0..3).contains(&(amount - owner - validators - contributors)));

        let UsdcSplit { owner, validators, keepers, contributors } = split_usdc(amount);
        prop_assert_eq!((owner, validators), (percent_of(amount, 18), percent_of(amount, 39)));
        prop_assert_eq!((keepers, contributors), (percent_of(amount, 4), percent_of(amount, 39)));
        prop_assert!((0..4).contains(&(amount - owner - validators - keepers - contributors)));
    }

    /// The contract grants each role its part of everything granted so far: that covers what epochs are split into, so that
    /// every leaf can be paid.
    #[test]
    fn what_is_split_by_epoch_is_covered_by_what_is_granted_in_sum(
        grants in prop::collection::vec(prop_oneof![0..200u128, 0..1u128 << 90], 1..20),
    ) {
        let (mut granted, mut split) = (0, [0; 4]);
        for amount in grants {
            granted += amount;
            let UsdcSplit { owner, validators, keepers, contributors } = split_usdc(amount);
            for (sum, part) in split.iter_mut().zip([owner, validators, keepers, contributors]) {
                *sum += part;
            }
            for (sum, percent) in split.iter().zip([18, 39, 4, 39]) {
                prop_assert!(*sum <= percent_of(granted, percent));
            }
        }
    }
}

#[test]
fn round_amounts_split_to_the_percent() {
    assert_eq!(split_alpha(100), AlphaSplit { owner: 18, validators: 41, contributors: 41 });
    assert_eq!(split_usdc(100), UsdcSplit { owner: 18, validators: 39, keepers: 4, contributors: 39 });
    assert_eq!(split_alpha(1), AlphaSplit { owner: 0, validators: 0, contributors: 0 });
    assert_eq!(split_usdc(1), UsdcSplit { owner: 0, validators: 0, keepers: 0, contributors: 0 });
}
