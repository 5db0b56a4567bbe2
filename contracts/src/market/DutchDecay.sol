// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The falling price of a Dutch auction
library DutchDecay {
    /// @dev Halvings after which any price is zero.
    uint256 private constant WORD_BITS = 256;

    /// @notice `start` halved every `halfLife` seconds, in a straight line within a half-life, never below `floor`. Never
    /// rises with `elapsed`, and has no jump: at the end of a half-life the line ends at half its start.
    function decayed(
        uint256 start,
        uint256 floor,
        uint256 elapsed,
        uint256 halfLife
    ) internal pure returns (uint256) {
        uint256 halvings = elapsed / halfLife;
        if (halvings >= WORD_BITS) return floor;
        uint256 top = start >> halvings;
        uint256 price = top - Math.mulDiv(top, elapsed % halfLife, 2 * halfLife);
        return Math.max(price, floor);
    }
}
