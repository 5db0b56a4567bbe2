// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @dev From this many halvings on nothing is left of a price that fits 128 bits.
uint256 constant MAX_HALVINGS = 128;

/// @dev A price after `elapsed` seconds of decay that halves it every `halfLife` seconds (not zero), rounded up.
/// Between two halvings it falls in a straight line, from `price / 2^n` to `price / 2^(n + 1)`: no exponential is needed, the curve is
/// continuous, never rises, and lies above the true exponential by at most 6.2 % of it. `price` must fit 128 bits and `halfLife` 64: then
/// no product here exceeds 256. A price above zero never falls below one unit before MAX_HALVINGS half-lives have passed.
function decayedUp(
    uint256 price,
    uint256 elapsed,
    uint256 halfLife
) pure returns (uint256) {
    uint256 halvings = elapsed / halfLife;
    if (halvings >= MAX_HALVINGS) return 0;
    uint256 rest = elapsed % halfLife;
    // Both steps at once, so that only one rounding happens: price · (2h − rest) / (2h · 2^n).
    return Math.ceilDiv(price * (2 * halfLife - rest), (2 * halfLife) << halvings);
}
