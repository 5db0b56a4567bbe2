//! Splits by role, against wide arithmetic.

use ethers_core::types::U256;
use proptest::prelude::*;
use tandem_protocol::payout::{AlphaSplit, UsdcSplit, split_alpha, split_usdc};

/// `⌊amount · percent / 100⌋` as the contract computes it, in 256 bits.
fn percent_of(amount: u128, percent: u64) -> u128 {
    (U256::from(amount) * percent / 100u64).as_u128()
}

proptest! {
    /// 18 / 41 / 41 and 18 / 39 / 39 / 4, rounding dust to contributors, as RewardDistributor grants its budgets `[EP-3]`.
    #[test]
    fn splits_are_the_contracts_and_lose_nothing(amount in prop_oneof![0..1_000u128, any::<u128>(), Just(u128::MAX)]) {
        let AlphaSplit { owner, validators, contributors } = split_alpha(amount);
        prop_assert_eq!((owner, validators), (percent_of(amount, 18), percent_of(amount, 41)));
        prop_assert_eq!(owner + validators + contributors, amount);
        prop_assert!((0..3).contains(&(contributors - percent_of(amount, 41))));

        let UsdcSplit { owner, validators, keepers, contributors } = split_usdc(amount);
        prop_assert_eq!(
            (owner, validators, keepers),
            (percent_of(amount, 18), percent_of(amount, 39), percent_of(amount, 4))
        );
        prop_assert_eq!(owner + validators + keepers + contributors, amount);
        prop_assert!((0..4).contains(&(contributors - percent_of(amount, 39))));
    }
}

#[test]
fn round_amounts_split_to_the_percent() {
    assert_eq!(split_alpha(100), AlphaSplit { owner: 18, validators: 41, contributors: 41 });
    assert_eq!(split_usdc(100), UsdcSplit { owner: 18, validators: 39, keepers: 4, contributors: 39 });
    assert_eq!(split_alpha(1), AlphaSplit { owner: 0, validators: 0, contributors: 1 });
    assert_eq!(split_usdc(1), UsdcSplit { owner: 0, validators: 0, keepers: 0, contributors: 1 });
}
