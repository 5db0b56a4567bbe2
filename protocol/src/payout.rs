//! How a granted amount splits over roles: the same integers as in RewardDistributor, rounding dust to contributors.

/// Alpha of one epoch and subnet by role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlphaSplit {
    /// 18 %, rounded down.
    pub owner: u128,
    /// 41 %, rounded down.
    pub validators: u128,
    /// The rest.
    pub contributors: u128,
}

/// USDC of one epoch and subnet by role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsdcSplit {
    /// 18 %, rounded down.
    pub owner: u128,
    /// 39 %, rounded down.
    pub validators: u128,
    /// 4 %, rounded down.
    pub keepers: u128,
    /// The rest.
    pub contributors: u128,
}

const PERCENT: u128 = 100;

fn share(amount: u128, percent: u128) -> u128 {
    amount / PERCENT * percent + amount % PERCENT * percent / PERCENT
}

/// 18 / 41 / 41.
pub fn split_alpha(amount: u128) -> AlphaSplit {
    let owner = share(amount, 18);
    let validators = share(amount, 41);
    AlphaSplit { owner, validators, contributors: amount - owner - validators }
}

/// 18 / 39 / 39 / 4.
pub fn split_usdc(amount: u128) -> UsdcSplit {
    let owner = share(amount, 18);
    let validators = share(amount, 39);
    let keepers = share(amount, 4);
    UsdcSplit { owner, validators, keepers, contributors: amount - owner - validators - keepers }
}
