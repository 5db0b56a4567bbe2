// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @dev Whole supply of TNDM and of every alpha token, minted once.
uint256 constant MAX_SUPPLY = 21_000_000e18;
/// @dev TNDM that emission can ever move out of its vault.
uint256 constant EMISSION_CAP = 10_500_000e18;

/// @dev What one epoch may move when `perDay` halves with the amount `moved` so far: the rate halves when half of `cap`
/// has moved, again when half of the rest has, and so on; never more than what is left. Rounded down.
function halvedPerEpochDown(
    uint256 perDay,
    uint256 epochLength,
    uint256 cap,
    uint256 moved
) pure returns (uint256) {
    if (moved >= cap) return 0;
    uint256 left = cap - moved;
    uint256 rate = Math.mulDiv(perDay, epochLength, 1 days) >> Math.log2(cap / left);
    return Math.min(rate, left);
}
