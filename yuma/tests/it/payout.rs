//! Exact splits.

use proptest::prelude::*;
use yuma::{Q32, split_exact};

proptest! {
    /// `[YU-3]`
    #[test]
    fn parts_sum_to_exactly_the_total_and_each_is_a_floor_or_one_more(
        total in any::<u64>(), shares in prop::collection::vec(0u64..1 << 32, 0..40),
    ) {
        let parts = split_exact(u128::from(total), &shares);
        let sum: u128 = shares.iter().map(|&share| u128::from(share)).sum();
        prop_assert_eq!(parts.iter().sum::<u128>(), if sum == 0 { 0 } else { u128::from(total) });
        let lost = |index: usize| u128::from(total) * u128::from(shares[index]) % sum;
        let raised = |index: usize| parts[index] > u128::from(total) * u128::from(shares[index]) / sum;
        for index in 0..if sum == 0 { 0 } else { parts.len() } {
            let floor = u128::from(total) * u128::from(shares[index]) / sum;
            prop_assert!(parts[index] == floor || parts[index] == floor + 1);
            for other in 0..index {
                // Who lost more is raised first; among equals, the lower index.
                if raised(index) && !raised(other) {
                    prop_assert!(lost(index) > lost(other));
                }
                if raised(other) && !raised(index) {
                    prop_assert!(lost(other) >= lost(index));
                }
            }
        }
    }

    /// `[YU-3]`
    #[test]
    fn no_total_and_no_shares_are_too_large(total in any::<u128>(), shares in prop::collection::vec(any::<u64>(), 1..20)) {
        prop_assume!(shares.iter().any(|&share| share > 0));
        prop_assert_eq!(split_exact(total, &shares).into_iter().try_fold(0u128, u128::checked_add), Some(total));
        prop_assert_eq!(split_exact(u128::MAX, &[u64::MAX, u64::MAX]), vec![1 << 127, (1 << 127) - 1]);
    }
}

#[test]
fn whoever_has_no_share_gets_nothing_even_of_the_rest() {
    assert_eq!(split_exact(2, &[0u64, 1, 1, 1, 0]), [0, 1, 1, 0, 0]);
    assert_eq!(split_exact(5, &[Q32::ZERO, Q32::ONE]), [0, 5]);
    assert_eq!(split_exact(5, &[Q32::ZERO; 3]), [0; 3]);
    assert_eq!(split_exact::<u64>(5, &[]), [0u128; 0]);
}
