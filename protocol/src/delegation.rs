//! How a validator's dividends are shared with those whose stake stands behind it.
//!
//! A validator's weight has three parts: staked alpha, bonded TNDM (weighed by the root weight), and the virtual stake of
//! the mesh phase. Its dividends are split in this order, each step rounding down:
//!
//! 1. the take, `amount × take / 65535`, is the owner's;
//! 2. of the rest, alpha and bond get `rest × part / stake`;
//! 3. each part goes to its delegators by their shares as of the epoch's start.
//!
//! Whatever is left (the virtual stake's part, parts without delegators, all that was rounded down) is the owner's, so the
//! sum is exact. Nobody earns from an epoch in which it held no shares.

use alloy_primitives::{Address, U256};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Whole of a take.
const TAKE_ONE: u128 = 65_535;

/// Shares of one account in a validator's stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Whose stake.
    pub account: Address,
    /// Its shares as of the epoch's start.
    #[serde(with = "crate::api::decimal")]
    pub shares: u128,
}

/// Whose stake stands behind a validator, as of the epoch's start.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backing {
    /// The part of dividends that the owner takes first, in 1/65535.
    pub take: u16,
    /// The part of the validator's stake that is alpha, base units.
    #[serde(with = "crate::api::decimal")]
    pub alpha: u128,
    /// The part of the validator's stake that is bonded TNDM, weighed, base units.
    #[serde(with = "crate::api::decimal")]
    pub bond: u128,
    /// Who staked alpha, ascending by account.
    pub alpha_delegations: Vec<Delegation>,
    /// Who bonded TNDM, ascending by account.
    pub bond_delegations: Vec<Delegation>,
}

impl Backing {
    /// Whether delegations ascend strictly by account and the parts are no more than `stake`.
    pub fn is_sound(&self, stake: u128) -> bool {
        let ascending = |list: &[Delegation]| list.windows(2).all(|pair| pair[0].account < pair[1].account);
        self.alpha.checked_add(self.bond).is_some_and(|parts| parts <= stake)
            && ascending(&self.alpha_delegations)
            && ascending(&self.bond_delegations)
    }

    /// Splits `amount` of dividends of a validator that holds `stake` in all; the sum is exact. Accounts may come twice.
    pub fn split(&self, amount: u128, stake: u128, owner: Address) -> Vec<(Address, u128)> {
        let mut paid = Vec::new();
        let take = mul_div(amount, u128::from(self.take).min(TAKE_ONE), TAKE_ONE);
        let rest = amount - take;
        let mut left = amount;
        for (part, delegations) in [(self.alpha, &self.alpha_delegations), (self.bond, &self.bond_delegations)] {
            let part = mul_div(rest, part, stake);
            let shares: U256 = delegations.iter().map(|delegation| U256::from(delegation.shares)).sum();
            if part == 0 || shares.is_zero() {
                continue;
            }
            for delegation in delegations {
                // No more than `part`, as no share is more than their sum.
                let amount: u128 = (U256::from(part) * U256::from(delegation.shares) / shares).saturating_to();
                left -= amount;
                paid.push((delegation.account, amount));
            }
        }
        paid.push((owner, left));
        paid
    }
}

/// `a × b / c`, rounded down, for `b <= c`; zero if `c` is.
fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    if c == 0 { 0 } else { (U256::from(a) * U256::from(b.min(c)) / U256::from(c)).saturating_to() }
}
