//! The suite's arithmetic once more, in Rust: written from what the interfaces promise, not from the Solidity, with plain maps
//! instead of packed words. Nothing here knows of an EVM; `differential` runs it beside the bytecode.

pub(crate) mod credits;
pub(crate) mod emission;
pub(crate) mod pools;
pub(crate) mod staking;

use std::collections::BTreeSet;

use alloy::primitives::U256;

/// 10^18: a whole token, a whole credit, the number one as a share or a price.
pub(crate) const WAD: u128 = 1_000_000_000_000_000_000;

/// Why a call must fail. Where several reasons hold, a contract may name any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) BTreeSet<&'static str>);

/// Collects the reasons against a call.
#[derive(Default)]
pub(crate) struct Reasons(BTreeSet<&'static str>);

impl Reasons {
    /// Notes `error` if `broken`.
    pub(crate) fn when(mut self, broken: bool, error: &'static str) -> Self {
        if broken {
            self.0.insert(error);
        }
        self
    }

    pub(crate) fn done(self) -> Result<(), Refused> {
        if self.0.is_empty() { Ok(()) } else { Err(Refused(self.0)) }
    }
}

/// `a · b / c` without losing bits on the way, rounded down.
pub(crate) fn mul_div_down(a: u128, b: u128, c: u128) -> u128 {
    (U256::from(a) * U256::from(b) / U256::from(c)).to()
}

/// The same, rounded up.
pub(crate) fn mul_div_up(a: u128, b: u128, c: u128) -> u128 {
    (U256::from(a) * U256::from(b)).div_ceil(U256::from(c)).to()
}
