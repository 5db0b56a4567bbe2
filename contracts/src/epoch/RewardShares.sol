// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { RewardKind } from "../types/Types.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

uint256 constant PERCENT = 100;
uint256 constant OWNER_PERCENT = 18;
/// @dev Each of validators and contributors.
uint256 constant ALPHA_PERCENT = 41;
/// @dev Each of validators and contributors; keepers get the rest.
uint256 constant USDC_PERCENT = 39;
uint256 constant KEEPER_PERCENT = 4;

/// @dev Bits of a packed amount that are its leading digits; the seven above them are the exponent.
uint256 constant MANTISSA_BITS = 9;

function isAlpha(
    RewardKind kind
) pure returns (bool) {
    return kind <= RewardKind.ContributorAlpha;
}

/// @dev What of `granted`, a sum since the beginning, belongs to a kind of that asset, rounded down. Of sums and not of single grants:
/// so no kind's part ever falls, all together never exceed the whole, and no more than three units wait for the next grant.
function shareDown(
    RewardKind kind,
    uint256 granted
) pure returns (uint256) {
    uint256 percent = isAlpha(kind) ? ALPHA_PERCENT : USDC_PERCENT;
    if (kind == RewardKind.OwnerAlpha || kind == RewardKind.OwnerUsdc) percent = OWNER_PERCENT;
    else if (kind == RewardKind.KeeperUsdc) percent = KEEPER_PERCENT;
    return granted * percent / PERCENT;
}

/// @dev `amount`, below 2^127, in sixteen bits: rounded down by less than 1 in 256.
function packDown(
    uint256 amount
) pure returns (uint256) {
    uint256 exponent = Math.saturatingSub(Math.log2(amount), MANTISSA_BITS - 1);
    return (exponent << MANTISSA_BITS) | (amount >> exponent);
}

/// @dev `packDown`, for an amount that is probably about as large as the one that was packed before: then its exponent is the same, which is
/// seen without a logarithm.
function packLikeDown(
    uint256 amount,
    uint256 before
) pure returns (uint256) {
    uint256 exponent = before >> MANTISSA_BITS;
    uint256 digits = amount >> exponent;
    // All of the leading digits and no more. Small amounts have fewer, and no exponent.
    if (digits >> MANTISSA_BITS == 0 && digits >> (MANTISSA_BITS - 1) != 0) {
        return (exponent << MANTISSA_BITS) | digits;
    }
    return packDown(amount);
}

function unpack(
    uint256 packed
) pure returns (uint256) {
    return (packed & (2 ** MANTISSA_BITS - 1)) << (packed >> MANTISSA_BITS);
}
