// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @dev What is left at `now_` of an amount as of `then_`, halved every `halfLife` seconds in a straight line between absolute
/// multiples of it. Fading in many small steps gives the same as in one, but for rounding down: nobody stays above others by
/// being asked more often. `now_ >= then_`.
function fadedDown(
    uint256 amount,
    uint256 then_,
    uint256 now_,
    uint256 halfLife
) pure returns (uint256) {
    uint256 whole = 2 * halfLife;
    uint256 left = Math.mulDiv(amount, whole - now_ % halfLife, whole - then_ % halfLife);
    // Shifts of 256 bits and more give zero.
    return left >> (now_ / halfLife - then_ / halfLife);
}
