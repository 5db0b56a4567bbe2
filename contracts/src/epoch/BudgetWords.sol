// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid, RewardKind } from "../types/Types.sol";

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
    /// @dev `backed` beside a period.
    uint256 private constant BACKED = 2 ** 56;

    /// @dev Of an account as a contributor in USDC: 96 bits of what its home subnet has paid it, 16 bits of its home, which is the first
    /// subnet that paid it, 32 bits of the number of epochs in which it was verified, 64 bits of the root that confirmed the last.
    uint256 private constant HOME_AT = 96;
    uint256 private constant HOME_MASK = 2 ** 16 - 1;
    uint256 private constant VERIFIED_AT = 112;
    uint256 private constant ONE_VERIFIED = 2 ** 112;
    uint256 private constant VERIFIED_MASK = 2 ** 32 - 1;
    uint256 private constant COUNTED_AT = 144;
    uint256 private constant COUNTED_MASK = 2 ** 64 - 1;
    uint256 private constant BELOW_COUNTED = 2 ** 144 - 1;

    uint256 private constant NETUID_AT = 8;
    uint256 private constant ACCOUNT_AT = 24;

    /// @dev A (netuid, kind) as the key of a mapping: one hash in place of two.
    function budgetKey(
        Netuid netuid,
        RewardKind kind
    ) internal pure returns (uint256) {
        return (uint256(Netuid.unwrap(netuid)) << NETUID_AT) | uint256(kind);
    }

    /// @dev A (netuid, kind, account) as the key of a mapping.
    function accountKey(
        Netuid netuid,
        RewardKind kind,
        address account
    ) internal pure returns (uint256) {
        return (uint256(uint160(account)) << ACCOUNT_AT) | budgetKey(netuid, kind);
    }

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

    /// @dev Whether nobody needs to look at the grants during `period`: the ceiling stands, and it is granted.
    function isOpen(
        uint256 spending,
        uint256 period
    ) internal pure returns (bool) {
        return spending >> PERIOD_AT == period | BACKED;
    }

    /// @dev What may be claimed of an open word, which is claimed up to its ceiling at most.
    function roomOf(
        uint256 spending
    ) internal pure returns (uint256) {
        unchecked {
            return ((spending >> CEILING_AT) & MAX_CLAIMED) - (spending & MAX_CLAIMED);
        }
    }

    /// @dev Zero for an account that was never paid.
    function homeOf(
        uint256 contributor
    ) internal pure returns (uint256) {
        return (contributor >> HOME_AT) & HOME_MASK;
    }

    function homePaid(
        uint256 contributor
    ) internal pure returns (uint256) {
        return contributor & MAX_CLAIMED;
    }

    function verifiedOf(
        uint256 contributor
    ) internal pure returns (uint256) {
        return (contributor >> VERIFIED_AT) & VERIFIED_MASK;
    }

    function withHome(
        uint256 contributor,
        Netuid netuid
    ) internal pure returns (uint256) {
        return contributor | (uint256(Netuid.unwrap(netuid)) << HOME_AT);
    }

    /// @dev Counts an epoch unless `root` confirmed the last one too.
    function verifiedBy(
        uint256 contributor,
        bytes32 root
    ) internal pure returns (uint256) {
        uint256 mark = uint256(root) & COUNTED_MASK;
        if ((contributor >> COUNTED_AT) & COUNTED_MASK == mark) return contributor;
        // Below four billion epochs.
        return ((contributor + ONE_VERIFIED) & BELOW_COUNTED) | (mark << COUNTED_AT);
    }

    /// @dev Takes back what `verifiedBy` changed. Which root confirmed an earlier epoch does not matter any more: it is not the current one.
    function unverified(
        uint256 contributor
    ) internal pure returns (uint256) {
        return (contributor & BELOW_COUNTED) - ONE_VERIFIED;
    }
}
