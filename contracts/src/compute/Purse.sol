// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @dev What settling a voucher reads and writes of a channel, in one word:
///
/// | bits | field | unit |
/// |---|---|---|
/// | 0..79 | remaining | credits of the part that is being spent, 18 decimals |
/// | 80..159 | settled | credits since the opening |
/// | 160..207 | margin | deferred margin of `remaining`, USDC units; zero while earned credits are spent |
/// | 208..247 | expiry | seconds since 1970; never zero, so that the word of a channel is never empty |
/// | 248 | spendsEarned | `remaining` are earned credits |
/// | 249 | earnedWaits | earned credits follow when `remaining` is spent; how many is kept elsewhere |
///
/// Purchased credits are spent first, so a channel spends one kind at a time and needs room for one.
type Purse is uint256;

using {
    isNone,
    remainingOf,
    settledOf,
    marginOf,
    expiryOf,
    spendsEarned,
    earnedWaits,
    afterSpending,
    afterCrossing,
    withExpiry,
    emptied
} for Purse global;

/// @dev Credits that a channel takes in over its life, and settles, end here: 1.2 million.
uint256 constant PURSE_CAPACITY = type(uint80).max;

uint256 constant SETTLED_AT = 80;
uint256 constant MARGIN_AT = 160;
uint256 constant EXPIRY_AT = 208;
uint256 constant SPENDS_EARNED = 1 << 248;
uint256 constant EARNED_WAITS = 1 << 249;

/// @dev `purchased`, `earned` and `settled` together must not exceed `PURSE_CAPACITY`.
function newPurse(
    uint256 purchased,
    uint256 earned,
    uint256 margin,
    uint256 settled,
    uint256 expiry
) pure returns (Purse) {
    bool earnedFirst = purchased == 0;
    uint256 flags = earnedFirst ? SPENDS_EARNED : earned == 0 ? 0 : EARNED_WAITS;
    return Purse.wrap(
        flags | SafeCast.toUint80(earnedFirst ? earned : purchased) | uint256(SafeCast.toUint80(settled)) << SETTLED_AT
            | uint256(SafeCast.toUint48(margin)) << MARGIN_AT | uint256(SafeCast.toUint40(expiry)) << EXPIRY_AT
    );
}

function isNone(
    Purse purse
) pure returns (bool) {
    return Purse.unwrap(purse) == 0;
}

function remainingOf(
    Purse purse
) pure returns (uint256) {
    return Purse.unwrap(purse) & type(uint80).max;
}

function settledOf(
    Purse purse
) pure returns (uint256) {
    return (Purse.unwrap(purse) >> SETTLED_AT) & type(uint80).max;
}

function marginOf(
    Purse purse
) pure returns (uint256) {
    return (Purse.unwrap(purse) >> MARGIN_AT) & type(uint48).max;
}

function expiryOf(
    Purse purse
) pure returns (uint256) {
    return (Purse.unwrap(purse) >> EXPIRY_AT) & type(uint40).max;
}

function spendsEarned(
    Purse purse
) pure returns (bool) {
    return Purse.unwrap(purse) & SPENDS_EARNED != 0;
}

function earnedWaits(
    Purse purse
) pure returns (bool) {
    return Purse.unwrap(purse) & EARNED_WAITS != 0;
}

/// @dev `amount` of the part that is being spent left, and `margin` with it.
function afterSpending(
    Purse purse,
    uint256 amount,
    uint256 margin
) pure returns (Purse) {
    // No field borrows from or carries into its neighbour: amount ≤ remaining, margin ≤ the purse's, settled + remaining ≤
    // capacity.
    unchecked {
        return Purse.wrap(Purse.unwrap(purse) - amount + (amount << SETTLED_AT) - (margin << MARGIN_AT));
    }
}

/// @dev All purchased credits left, with all margin, and `fromEarned` of the `waiting` earned ones.
function afterCrossing(
    Purse purse,
    uint256 waiting,
    uint256 fromEarned
) pure returns (Purse) {
    return newPurse(0, waiting - fromEarned, 0, purse.settledOf() + purse.remainingOf() + fromEarned, purse.expiryOf());
}

function withExpiry(
    Purse purse,
    uint256 expiry
) pure returns (Purse) {
    uint256 others = Purse.unwrap(purse) & ~(uint256(type(uint40).max) << EXPIRY_AT);
    return Purse.wrap(others | uint256(SafeCast.toUint40(expiry)) << EXPIRY_AT);
}

/// @dev Nothing remains; what was settled and the expiry stay known.
function emptied(
    Purse purse
) pure returns (Purse) {
    return newPurse(0, 0, 0, purse.settledOf(), purse.expiryOf());
}
