// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { WAD } from "../types/Types.sol";
import { ConstantProduct } from "./ConstantProduct.sol";
import { LANE_MAX } from "./PoolWords.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title How much of a swap a price limit admits
/// @notice The largest input, to the wei, after which the pool's price, rounded as `ConstantProduct.price` does, is still within the limit.
/// Prices only move one way as an input grows, whatever the rounding, so that input is well defined.
/// @dev A closed form guesses, the exact arithmetic of the swap decides: the guess is off by little, and doubling steps then halving
/// find the exact value from wherever it lands.
library PartialFill {
    /// @dev One side of a pool: what a swap would meet, and what bounds it.
    struct Bound {
        uint256 tndm;
        uint256 alpha;
        uint256 feeRate;
        uint256 limit; // of the price after the swap: at most if buying, at least if selling
        bool buying;
    }

    /// @notice At most `offered`; zero where not a wei can be filled.
    function fillDown(
        Bound memory b,
        uint256 offered
    ) internal pure returns (uint256 used) {
        if (_admits(b, offered)) return offered;
        if (!_admits(b, 1)) return 0;
        (uint256 low, uint256 high) = _bracket(b, offered, Math.min(b.buying ? _guessBuy(b) : _guessSell(b), offered));
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (_admits(b, middle)) low = middle;
            else high = middle;
        }
        return low;
    }

    /// @dev `low` is admitted, `high` is not, and they lie close around the guess if it is a good one.
    function _bracket(
        Bound memory b,
        uint256 offered,
        uint256 guess
    ) private pure returns (uint256 low, uint256 high) {
        uint256 step = 1;
        if (guess > 0 && _admits(b, guess)) {
            (low, high) = (guess, offered);
            while (high - low > step) {
                uint256 next = low + step;
                if (!_admits(b, next)) return (low, next);
                low = next;
                step *= 2;
            }
        } else {
            (low, high) = (1, guess == 0 ? offered : guess);
            while (high - low > step) {
                uint256 next = high - step;
                if (_admits(b, next)) return (next, high);
                high = next;
                step *= 2;
            }
        }
    }

    function _admits(
        Bound memory b,
        uint256 amount
    ) private pure returns (bool) {
        if (b.buying) {
            (uint256 alphaOut, uint256 fee) = ConstantProduct.buyDown(b.tndm, b.alpha, amount, b.feeRate);
            uint256 kept = amount - ConstantProduct.burnedHalfDown(fee);
            return ConstantProduct.price(b.tndm + kept, b.alpha - alphaOut) <= b.limit;
        }
        (uint256 tndmOut, uint256 taken) = ConstantProduct.sellDown(b.tndm, b.alpha, amount, b.feeRate);
        uint256 left = b.tndm - tndmOut - ConstantProduct.burnedHalfDown(taken);
        return ConstantProduct.price(left, b.alpha + amount) >= b.limit;
    }

    /// @dev (T + gx)(T + hx) = P·T·A with g = 1 − f/2 (what stays in the pool) and h = 1 − f (what buys), solved for x.
    function _guessBuy(
        Bound memory b
    ) private pure returns (uint256) {
        uint256 g = 2 * WAD - b.feeRate; // twice
        uint256 h = WAD - b.feeRate;
        uint256 product = Math.mulDiv(b.tndm * b.alpha, Math.min(b.limit, LANE_MAX) + 1, WAD);
        uint256 half = b.tndm * b.feeRate / (2 * WAD);
        uint256 root = Math.sqrt(half * half + Math.mulDiv(product, 2 * g * h, WAD * WAD));
        uint256 minus = b.tndm * (g + 2 * h) / (2 * WAD);
        return root <= minus ? 0 : Math.mulDiv(root - minus, WAD * WAD, g * h);
    }

    /// @dev T·(A·g + y·f/2) = P·y² with y = A + x and g = 1 − f/2, solved for x.
    function _guessSell(
        Bound memory b
    ) private pure returns (uint256) {
        uint256 half = b.tndm * b.feeRate / (2 * WAD);
        uint256 product = Math.mulDiv(b.tndm * b.alpha, b.limit, WAD);
        uint256 root = Math.sqrt(half * half + Math.mulDiv(product, 2 * (2 * WAD - b.feeRate), WAD));
        uint256 y = Math.mulDiv(half + root, WAD, 2 * b.limit);
        return y <= b.alpha ? 0 : y - b.alpha;
    }
}
