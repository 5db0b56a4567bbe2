// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @dev The two words of ComputeCredit that settling a batch writes. Both are cut alike:
///
/// | bits | of a contributor (Serving) | of all channels together (Escrow) |
/// |---|---|---|
/// | 0..95 | earned credits held | purchased credits held |
/// | 96..191 | credits ever earned from purchased ones | the same, of the network |
/// | 192..247 | margin ever recognised, USDC units | margin held, USDC units |
/// | 248 | the snapshot's number is kept aside | the snapshot is taken |
type Serving is uint256;
type Escrow is uint256;

using { earnedOf, servedOf, recognisedOf, isKept, withEarned, afterEarning, kept } for Serving global;
using { purchasedOf, settledOf, marginOf, isSnapshotTaken, withHeld, afterSettling, withSnapshot } for Escrow global;

uint256 constant EVER_AT = 96;
uint256 constant USDC_AT = 192;
uint256 constant FLAG = 1 << 248;
uint256 constant ALL_BUT_HELD = ~uint256(type(uint96).max);
uint256 constant ALL_BUT_HELD_AND_USDC = ALL_BUT_HELD & ~(uint256(type(uint56).max) << USDC_AT);

function earnedOf(
    Serving word
) pure returns (uint256) {
    return Serving.unwrap(word) & type(uint96).max;
}

function servedOf(
    Serving word
) pure returns (uint256) {
    return (Serving.unwrap(word) >> EVER_AT) & type(uint96).max;
}

function recognisedOf(
    Serving word
) pure returns (uint256) {
    return (Serving.unwrap(word) >> USDC_AT) & type(uint56).max;
}

function isKept(
    Serving word
) pure returns (bool) {
    return Serving.unwrap(word) & FLAG != 0;
}

function withEarned(
    Serving word,
    uint256 earned
) pure returns (Serving) {
    return Serving.wrap(Serving.unwrap(word) & ALL_BUT_HELD | SafeCast.toUint96(earned));
}

/// @dev Credits out of channels, which held them: `purchased` and `earned` ones, and `margin` USDC units of the purchased.
function afterEarning(
    Serving word,
    uint256 purchased,
    uint256 earned,
    uint256 margin
) pure returns (Serving) {
    // No field carries into its neighbour: what accounts hold is below the supply, what they ever earned of purchased credits
    // and of margin below what was ever sold, and these fit their fields, see ComputeCredit_SeriesFull.
    unchecked {
        return Serving.wrap(Serving.unwrap(word) + (purchased + earned) + (purchased << EVER_AT) + (margin << USDC_AT));
    }
}

function kept(
    Serving word
) pure returns (Serving) {
    return Serving.wrap(Serving.unwrap(word) | FLAG);
}

function purchasedOf(
    Escrow word
) pure returns (uint256) {
    return Escrow.unwrap(word) & type(uint96).max;
}

function settledOf(
    Escrow word
) pure returns (uint256) {
    return (Escrow.unwrap(word) >> EVER_AT) & type(uint96).max;
}

function marginOf(
    Escrow word
) pure returns (uint256) {
    return (Escrow.unwrap(word) >> USDC_AT) & type(uint56).max;
}

function isSnapshotTaken(
    Escrow word
) pure returns (bool) {
    return Escrow.unwrap(word) & FLAG != 0;
}

function withHeld(
    Escrow word,
    uint256 purchased,
    uint256 margin
) pure returns (Escrow) {
    return Escrow.wrap(
        Escrow.unwrap(word) & ALL_BUT_HELD_AND_USDC | SafeCast.toUint96(purchased) | uint256(SafeCast.toUint56(margin))
            << USDC_AT
    );
}

/// @dev `purchased` and `margin` must not exceed what the word holds.
function afterSettling(
    Escrow word,
    uint256 purchased,
    uint256 margin
) pure returns (Escrow) {
    // No field borrows from its neighbour; what was ever settled is below what was ever sold.
    unchecked {
        return Escrow.wrap(Escrow.unwrap(word) - purchased + (purchased << EVER_AT) - (margin << USDC_AT));
    }
}

function withSnapshot(
    Escrow word
) pure returns (Escrow) {
    return Escrow.wrap(Escrow.unwrap(word) | FLAG);
}
