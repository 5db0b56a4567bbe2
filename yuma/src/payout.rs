//! From shares to amounts.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::Q32;
use crate::divide::Sum;

/// Splits `total` in proportion to `shares` so that the parts sum to exactly `total`, by largest remainder.
///
/// Each part is `⌊total · share / Σ shares⌋`, or one more for the parts that lost most to the floor; among equal
/// losses the lowest index comes first. If all shares are zero, all parts are. Total and shares may be anything.
///
/// ```
/// use yuma::split_exact;
///
/// assert_eq!(split_exact(100, &[1u64, 1, 1]), [34, 33, 33]);
/// assert_eq!(split_exact(7, &[0u64, 3, 1]), [0, 5, 2]);
/// assert_eq!(split_exact(7, &[0u64, 0]), [0, 0]);
/// ```
pub fn split_exact<S: Copy + Into<u64>>(total: u128, shares: &[S]) -> Vec<u128> {
    let sum: u128 = shares.iter().map(|&share| u128::from(share.into())).sum();
    if sum == 0 {
        return vec![0; shares.len()];
    }
    let (mut parts, lost): (Vec<u128>, Vec<u128>) =
        shares.iter().map(|&share| mul_div(total, share.into(), sum)).unzip();
    // The losses sum to `left · sum` and each is below `sum`: more than `left` parts lost something.
    let left = (total - parts.iter().sum::<u128>()) as usize;
    raise_most_lost(left, &lost, |index| parts[index] += 1);
    parts
}

/// Quotient and remainder of `total · share / sum`, exact for any `share <= sum < 2¹²⁶`.
fn mul_div(total: u128, share: u64, sum: u128) -> (u128, u128) {
    let (whole, rest) = (total / sum, total % sum);
    let (quotient, remainder) = match rest.checked_mul(u128::from(share)) {
        Some(product) => (product / sum, product % sum),
        None => {
            // The product bit by bit, reduced as it grows.
            (0..u64::BITS).rev().fold((0, 0), |(quotient, remainder), bit| {
                let grown = 2 * remainder + if share >> bit & 1 == 1 { rest } else { 0 };
                (2 * quotient + grown / sum, grown % sum)
            })
        }
    };
    (whole * u128::from(share) + quotient, remainder)
}

/// Each value as a floored share of their sum; all zero if that is. For values up to 1 of at most 65,536 uids.
pub(crate) fn floored_shares(values: &[Q32]) -> Vec<Q32> {
    let sum = Sum::of(values.iter().map(|value| value.raw()).sum());
    values.iter().map(|value| Q32::from_raw(sum.share(value.raw()))).collect()
}

/// The same by largest remainder, so that they sum to exactly 1.
pub(crate) fn exact_shares(values: &[Q32]) -> Vec<Q32> {
    let total: u64 = values.iter().map(|value| value.raw()).sum();
    let mut shares = floored_shares(values);
    if total > 0 {
        let left = Q32::ONE.raw() - shares.iter().map(|share| share.raw()).sum::<u64>();
        // What is lost is below `total`, hence right modulo 2⁶⁴.
        let lost = |uid: usize, share: Q32| (values[uid].raw() << 32).wrapping_sub(share.raw().wrapping_mul(total));
        let losses: Vec<u64> = shares.iter().enumerate().map(|(uid, &share)| lost(uid, share)).collect();
        raise_most_lost(left as usize, &losses, |uid| shares[uid] += Q32::from_raw(1));
    }
    shares
}

/// Raises the `left` entries that lost most, among equals the lowest index first.
fn raise_most_lost<L: Copy + Ord>(left: usize, lost: &[L], raise: impl FnMut(usize)) {
    if left > 0 {
        let mut order: Vec<usize> = (0..lost.len()).collect();
        order.select_nth_unstable_by_key(left - 1, |&index| (Reverse(lost[index]), index));
        order[..left].iter().copied().for_each(raise);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::cmp::Reverse;

    use super::{exact_shares, mul_div};
    use crate::Q32;

    /// Both ways of multiplying agree, and undo each other at the edges of their ranges.
    #[test]
    fn wide_products_divide_exactly() {
        let sum = 3u128 << 80;
        assert_eq!(mul_div(u128::MAX, u64::MAX, sum), {
            let (high, low) = (u128::MAX / sum, u128::MAX % sum);
            let scaled = (low >> 64) * u128::from(u64::MAX);
            let rest = (low & u128::from(u64::MAX)) * u128::from(u64::MAX);
            // low · share = scaled · 2⁶⁴ + rest, and sum = 3 · 2⁸⁰: divide 2¹⁶ out of both by hand.
            let numerator = (scaled << 48) + (rest >> 16);
            let divisor = sum >> 16;
            (high * u128::from(u64::MAX) + numerator / divisor, ((numerator % divisor) << 16) + (rest & 0xffff))
        });
        assert_eq!(mul_div(10, 3, 4), (7, 2));
        assert_eq!(mul_div(u128::MAX, 5, 5), (u128::MAX, 0));
    }

    /// Against a division of each value by itself, in 128 bits.
    #[test]
    fn what_is_missing_to_one_goes_to_those_who_lost_most_by_rounding() {
        let mut state = 7_u64;
        for count in 2..60_usize {
            let values: Vec<Q32> = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    Q32::from_raw(state >> 34)
                })
                .collect();
            let total: u128 = values.iter().map(|value| u128::from(value.raw())).sum();
            let scaled = |value: &Q32| u128::from(value.raw()) << 32;
            let mut shares: Vec<u128> = values.iter().map(|value| scaled(value) / total).collect();
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by_key(|&uid| (Reverse(scaled(&values[uid]) % total), uid));
            let left = (1 << 32) - shares.iter().sum::<u128>();
            order[..left as usize].iter().for_each(|&uid| shares[uid] += 1);
            assert!(exact_shares(&values).iter().map(|share| u128::from(share.raw())).eq(shares));
        }
    }
}
