// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "./IEmissionController.sol";

/// @dev What an epoch grants to a subnet, in one word: how the controller tells pools and distributor, what the event says, and what one slot of a ring
/// remembers until a later epoch writes over it.
///
///     bits   0 ..  79   emitted
///     bits  80 .. 159   alphaOut
///     bits 160 .. 223   usdc, at most 2^64 − 1
///     bits 160 .. 244   to the pools, in place of usdc, worth: alpha that `emitted` is worth at the price of the grant
///     bits 224 .. 254   in the ring, lap: which of the epochs that share this slot it belongs to, counted from 1;
///                       in the event, the netuid
///     bit  255          to the distributor, eligible
type GrantWord is uint256;

using { emitted, alphaOut, worth, isEligible, isZero, beside, unpack } for GrantWord global;

/// @dev Bound of what an epoch can emit or issue to a subnet.
uint256 constant MAX_PER_EPOCH = type(uint80).max;
uint256 constant MAX_USDC = type(uint64).max;
/// @dev Nearly twice the supply of an alpha.
uint256 constant MAX_WORTH = 2 ** 85 - 1;
uint256 constant ALPHA_AT = 80;
uint256 constant USDC_AT = 160;
uint256 constant WORTH_AT = 160;
uint256 constant ABOVE_AT = 224;
uint256 constant ELIGIBLE = 2 ** 255;
/// @dev Both amounts.
uint256 constant AMOUNTS = 2 ** 160 - 1;

/// @dev Both amounts are within MAX_PER_EPOCH, which the configuration sees to; `worth_` is cut at MAX_WORTH.
function packGrant(
    uint256 emitted_,
    uint256 alphaOut_,
    uint256 worth_,
    bool eligible
) pure returns (GrantWord) {
    if (worth_ > MAX_WORTH) worth_ = MAX_WORTH;
    return GrantWord.wrap(emitted_ | alphaOut_ << ALPHA_AT | worth_ << WORTH_AT | (eligible ? ELIGIBLE : 0));
}

function emitted(
    GrantWord word
) pure returns (uint256) {
    return GrantWord.unwrap(word) & MAX_PER_EPOCH;
}

function alphaOut(
    GrantWord word
) pure returns (uint256) {
    return GrantWord.unwrap(word) >> ALPHA_AT & MAX_PER_EPOCH;
}

/// @dev Before anything was put beside the amounts.
function worth(
    GrantWord word
) pure returns (uint256) {
    return GrantWord.unwrap(word) >> WORTH_AT & MAX_WORTH;
}

function isEligible(
    GrantWord word
) pure returns (bool) {
    return GrantWord.unwrap(word) >= ELIGIBLE;
}

/// @dev Neither TNDM nor alpha.
function isZero(
    GrantWord word
) pure returns (bool) {
    return GrantWord.unwrap(word) & AMOUNTS == 0;
}

/// @dev The two amounts with the third beside them; `above` is below 2^31.
function beside(
    GrantWord word,
    uint256 usdc,
    uint256 above
) pure returns (GrantWord) {
    if (usdc > MAX_USDC) usdc = MAX_USDC;
    return GrantWord.wrap(GrantWord.unwrap(word) & AMOUNTS | usdc << USDC_AT | above << ABOVE_AT);
}

/// @dev Zeros if the word belongs to another lap.
function unpack(
    GrantWord word,
    uint256 lap
) pure returns (IEmissionController.Grant memory grant) {
    uint256 raw = GrantWord.unwrap(word);
    if (raw >> ABOVE_AT != lap) return grant;
    // forge-lint: disable-next-line(unsafe-typecast) masked to 80 bits
    grant.emitted = uint128(word.emitted());
    // forge-lint: disable-next-line(unsafe-typecast) masked to 80 bits
    grant.alphaOut = uint128(word.alphaOut());
    // forge-lint: disable-next-line(unsafe-typecast) masked to 64 bits
    grant.usdc = uint128(raw >> USDC_AT & MAX_USDC);
}
