//! How a granted amount splits over roles. Each part rounds down: RewardDistributor grants each role its part of the cumulative sum,
//! which is never less than the sum of these parts, so that no claim meets an empty budget. What is left over, at most three
//! units of an epoch, stays in the budgets.

/// Alpha of one epoch and subnet by role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlphaSplit {
    /// 18 %, rounded down.
    pub owner: u128,
    /// 41 %, rounded down.
    pub validators: u128,
    /// 41 %, rounded down.
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
    /// 39 %, rounded down.
    pub contributors: u128,
}

const PERCENT: u128 = 100;

fn share(amount: u128, percent: u128) -> u128 {
    amount / PERCENT * percent + amount % PERCENT * percent / PERCENT
}

/// 18 / 41 / 41.
pub fn split_alpha(amount: u128) -> AlphaSplit {
    AlphaSplit { owner: share(amount, 18), validators: share(amount, 41), contributors: share(amount, 41) }
}

/// 18 / 39 / 39 / 4.
pub fn split_usdc(amount: u128) -> UsdcSplit {
    UsdcSplit {
        owner: share(amount, 18),
        validators: share(amount, 39),
        keepers: share(amount, 4),
        contributors: share(amount, 39),
    }
}
