// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IComputeCredit } from "./IComputeCredit.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @dev Credits in a holding, of both kinds.
function creditsIn(
    IComputeCredit.Holding memory holding
) pure returns (uint256) {
    return uint256(holding.purchased) + holding.earned;
}

/// @dev The margin that goes with `part` of `whole` purchased credits which carry `margin`: by average cost, rounded down; the
/// last unit takes all that is left, so that over any series of parts the margin comes out once and whole `[CR-3]`.
/// `part` must not exceed `whole`; margin and credits are below 2^128.
function marginOfPartDown(
    uint256 margin,
    uint256 part,
    uint256 whole
) pure returns (uint256) {
    if (part == whole) return margin;
    // Two factors of 128 bits.
    unchecked {
        return margin * part / whole;
    }
}

/// @dev Splits `amount` credits off a holding: purchased ones first, with their margin. `amount` must not exceed
/// `creditsIn(holding)`.
function splitMarginDown(
    IComputeCredit.Holding memory holding,
    uint256 amount
) pure returns (IComputeCredit.Holding memory taken, IComputeCredit.Holding memory left) {
    uint256 purchased = amount < holding.purchased ? amount : holding.purchased;
    uint256 margin = marginOfPartDown(holding.margin, purchased, holding.purchased);
    taken = IComputeCredit.Holding({
        purchased: SafeCast.toUint128(purchased),
        earned: SafeCast.toUint128(amount - purchased),
        margin: SafeCast.toUint128(margin)
    });
    left = IComputeCredit.Holding({
        purchased: holding.purchased - taken.purchased,
        earned: holding.earned - taken.earned,
        margin: holding.margin - taken.margin
    });
}
