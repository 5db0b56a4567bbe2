// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "./IEmissionController.sol";

/// @dev What an epoch granted to a subnet, in one slot of a ring that later epochs write over:
///
///     bits   0 ..  79   emitted
///     bits  80 .. 159   alphaOut
///     bits 160 .. 223   usdc, at most 2^64 − 1
///     bits 224 .. 255   lap: which of the epochs that share this slot it belongs to, counted from 1
type GrantWord is uint256;

using { unpack } for GrantWord global;

/// @dev Bound of what an epoch can emit or issue to a subnet.
uint256 constant MAX_PER_EPOCH = type(uint80).max;
uint256 constant MAX_USDC = type(uint64).max;
uint256 constant ALPHA_AT = 80;
uint256 constant USDC_AT = 160;
uint256 constant LAP_AT = 224;

/// @dev The first two are within MAX_PER_EPOCH, which the configuration sees to; `lap` is below 2^32.
function packGrant(
    uint256 emitted,
    uint256 alphaOut,
    uint256 usdc,
    uint256 lap
) pure returns (GrantWord) {
    if (usdc > MAX_USDC) usdc = MAX_USDC;
    return GrantWord.wrap(emitted | alphaOut << ALPHA_AT | usdc << USDC_AT | lap << LAP_AT);
}

/// @dev Zeros if the word belongs to another lap.
function unpack(
    GrantWord word,
    uint256 lap
) pure returns (IEmissionController.Grant memory grant) {
    uint256 raw = GrantWord.unwrap(word);
    if (raw >> LAP_AT != lap) return grant;
    // forge-lint: disable-next-line(unsafe-typecast) masked to 80 bits
    grant.emitted = uint128(raw & MAX_PER_EPOCH);
    // forge-lint: disable-next-line(unsafe-typecast) masked to 80 bits
    grant.alphaOut = uint128(raw >> ALPHA_AT & MAX_PER_EPOCH);
    // forge-lint: disable-next-line(unsafe-typecast) masked to 64 bits
    grant.usdc = uint128(raw >> USDC_AT & MAX_USDC);
}
