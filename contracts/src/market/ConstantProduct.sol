// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { WAD } from "../types/Types.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The arithmetic of a TNDM/alpha pool
/// @notice Outputs round down and fees up, so that `tndm × alpha` never falls [AM-2]. The fee is TNDM on either side:
/// half of it (rounded down) leaves the reserves to be burned, the rest stays in them.
library ConstantProduct {
    /// @notice Alpha for `tndmIn`: the fee is taken off the input.
    function buyDown(
        uint256 tndm,
        uint256 alpha,
        uint256 tndmIn,
        uint256 feeRate
    ) internal pure returns (uint256 alphaOut, uint256 fee) {
        fee = Math.mulDiv(tndmIn, feeRate, WAD, Math.Rounding.Ceil);
        uint256 net = tndmIn - fee;
        alphaOut = Math.mulDiv(alpha, net, tndm + net);
    }

    /// @notice TNDM for `alphaIn`: the fee is taken off the output.
    function sellDown(
        uint256 tndm,
        uint256 alpha,
        uint256 alphaIn,
        uint256 feeRate
    ) internal pure returns (uint256 tndmOut, uint256 fee) {
        uint256 gross = Math.mulDiv(tndm, alphaIn, alpha + alphaIn);
        fee = Math.mulDiv(gross, feeRate, WAD, Math.Rounding.Ceil);
        tndmOut = gross - fee;
    }

    /// @notice The part of a fee that is burned.
    function burnedHalfDown(
        uint256 fee
    ) internal pure returns (uint256) {
        return fee / 2;
    }

    /// @notice WAD TNDM per alpha, within [1, 2^128) so that nothing that divides by a price can fail.
    function price(
        uint256 tndm,
        uint256 alpha
    ) internal pure returns (uint128) {
        uint256 exact = Math.mulDiv(tndm, WAD, alpha);
        // forge-lint: disable-next-line(unsafe-typecast) clamped to the type's range first
        return uint128(Math.max(1, Math.min(exact, type(uint128).max)));
    }
}
