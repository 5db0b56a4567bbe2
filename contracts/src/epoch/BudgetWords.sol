// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title The words in which the distributor keeps its books
/// @notice Each is read and written whole, once, by every claim or closing, which is why they are packed by hand: the compiler would
/// read and write a slot once for each field. The bounds at the fields are kept by whoever changes them.
library BudgetWords {
    /// @notice Of a subnet. Grants are sums since the beginning; `last…` the last grant that was not zero, packed (RewardShares). `pot`
    /// is USDC that counts in `nextEpoch`, the first epoch not closed yet, or was carried; `ahead`: some that counts in a later
    /// one waits elsewhere.
    struct Grants {
        uint256 alpha; // 88 bits: 309 million tokens
        uint256 usdc; // 56 bits: 72 billion USDC
        uint256 pot; // 48 bits: 281 million USDC
        uint256 nextEpoch; // 24 bits: 1,900 years of hours
        uint256 lastAlpha; // 16 bits
        uint256 lastUsdc; // 16 bits
        bool ahead;
    }

    /// @notice Of a (netuid, kind). During epoch `period` − 1 `claimed` rises up to `ceiling` at most [EP-3]; `backed`: that much is
    /// granted already, nobody needs to look.
    struct Spending {
        uint256 claimed; // 96 bits
        uint256 ceiling; // 96 bits
        uint256 period; // 56 bits
        bool backed;
    }

    uint256 internal constant MAX_ALPHA = 2 ** 88 - 1;
    uint256 internal constant MAX_USDC = 2 ** 56 - 1;
    uint256 internal constant MAX_POT = 2 ** 48 - 1;
    uint256 internal constant MAX_EPOCH = 2 ** 24 - 1;
    uint256 private constant SMALL = 2 ** 16 - 1;
    uint256 private constant USDC_AT = 88;
    uint256 private constant POT_AT = 144;
    uint256 private constant EPOCH_AT = 192;
    uint256 private constant LAST_ALPHA_AT = 216;
    uint256 private constant LAST_USDC_AT = 232;
    uint256 private constant AHEAD_AT = 248;

    uint256 private constant MAX_CLAIMED = 2 ** 96 - 1;
    uint256 private constant MAX_PERIOD = 2 ** 56 - 1;
    uint256 private constant CEILING_AT = 96;
    uint256 private constant PERIOD_AT = 192;
    uint256 private constant BACKED_AT = 248;

    function unpackGrants(
        uint256 word
    ) internal pure returns (Grants memory g) {
        g.alpha = word & MAX_ALPHA;
        g.usdc = (word >> USDC_AT) & MAX_USDC;
        g.pot = (word >> POT_AT) & MAX_POT;
        g.nextEpoch = (word >> EPOCH_AT) & MAX_EPOCH;
        g.lastAlpha = (word >> LAST_ALPHA_AT) & SMALL;
        g.lastUsdc = (word >> LAST_USDC_AT) & SMALL;
        g.ahead = word >> AHEAD_AT != 0;
    }

    function pack(
        Grants memory g
    ) internal pure returns (uint256 word) {
        word = g.alpha | (g.usdc << USDC_AT) | (g.pot << POT_AT) | (g.nextEpoch << EPOCH_AT);
        word |= (g.lastAlpha << LAST_ALPHA_AT) | (g.lastUsdc << LAST_USDC_AT);
        if (g.ahead) word |= 2 ** AHEAD_AT;
    }

    function unpackSpending(
        uint256 word
    ) internal pure returns (Spending memory s) {
        s.claimed = word & MAX_CLAIMED;
        s.ceiling = (word >> CEILING_AT) & MAX_CLAIMED;
        s.period = (word >> PERIOD_AT) & MAX_PERIOD;
        s.backed = word >> BACKED_AT != 0;
    }

    function pack(
        Spending memory s
    ) internal pure returns (uint256 word) {
        word = s.claimed | (s.ceiling << CEILING_AT) | (s.period << PERIOD_AT);
        if (s.backed) word |= 2 ** BACKED_AT;
    }
}
