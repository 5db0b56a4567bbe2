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

/// @dev Splits `amount` credits off a holding: purchased ones first, with their margin by average cost. The margin taken
/// rounds down, and the last purchased unit takes all that is left of it, so that over any series of splits the margin
/// comes out once and whole `[CR-3]`. `amount` must not exceed `creditsIn(holding)`.
function splitMarginDown(
    IComputeCredit.Holding memory holding,
    uint256 amount
) pure returns (IComputeCredit.Holding memory taken, IComputeCredit.Holding memory left) {
    uint256 purchased = amount < holding.purchased ? amount : holding.purchased;
    uint256 margin =
        purchased == holding.purchased ? holding.margin : uint256(holding.margin) * purchased / holding.purchased;
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
