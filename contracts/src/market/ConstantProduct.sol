// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { WAD } from "../types/Types.sol";
import { LANE_MAX } from "./PoolWords.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The arithmetic of a TNDM/alpha pool
/// @notice Outputs round down, inputs and fees up, so that `tndm × alpha` never falls [AM-2]. The fee is TNDM on either side:
/// half of it (rounded down) leaves the reserves to be burned, the rest stays in them. Amounts are below 2^85 and the fee rate is below one
/// in WAD, so products of two of them need no wider arithmetic.
library ConstantProduct {
    /// @notice Alpha for `tndmIn`: the fee is taken off the input.
    function buyDown(
        uint256 tndm,
        uint256 alpha,
        uint256 tndmIn,
        uint256 feeRate
    ) internal pure returns (uint256 alphaOut, uint256 fee) {
        fee = feeUp(tndmIn, feeRate);
        alphaOut = alphaForDown(tndm, alpha, tndmIn - fee);
    }

    /// @notice TNDM for `alphaIn`: the fee is taken off the output.
    function sellDown(
        uint256 tndm,
        uint256 alpha,
        uint256 alphaIn,
        uint256 feeRate
    ) internal pure returns (uint256 tndmOut, uint256 fee) {
        uint256 gross = tndm * alphaIn / (alpha + alphaIn);
        fee = feeUp(gross, feeRate);
        tndmOut = gross - fee;
    }

    /// @notice Alpha for TNDM off which the fee is taken already.
    function alphaForDown(
        uint256 tndm,
        uint256 alpha,
        uint256 netIn
    ) internal pure returns (uint256 alphaOut) {
        alphaOut = alpha * netIn / (tndm + netIn);
    }

    /// @notice The least TNDM, after fees, that brings at least `alphaOut`, which must be below `alpha`.
    function netForUp(
        uint256 tndm,
        uint256 alpha,
        uint256 alphaOut
    ) internal pure returns (uint256 netIn) {
        netIn = Math.ceilDiv(tndm * alphaOut, alpha - alphaOut);
    }

    /// @notice The least alpha that brings at least `gross` TNDM before fees, which must be below `tndm`.
    function alphaInUp(
        uint256 tndm,
        uint256 alpha,
        uint256 gross
    ) internal pure returns (uint256 alphaIn) {
        alphaIn = Math.ceilDiv(alpha * gross, tndm - gross);
    }

    /// @notice The least amount of which at least `net` is left after the fee.
    function beforeFeeUp(
        uint256 net,
        uint256 feeRate
    ) internal pure returns (uint256 amount) {
        amount = Math.ceilDiv(net * WAD, WAD - feeRate);
    }

    /// @notice The fee on `amount` TNDM.
    function feeUp(
        uint256 amount,
        uint256 feeRate
    ) internal pure returns (uint256 fee) {
        fee = Math.ceilDiv(amount * feeRate, WAD);
    }

    /// @notice The part of a fee that is burned.
    function burnedHalfDown(
        uint256 fee
    ) internal pure returns (uint256) {
        return fee / 2;
    }

    /// @notice WAD TNDM per alpha, rounded down, within [1, 2^85) so that nothing that divides by a price can fail.
    function price(
        uint256 tndm,
        uint256 alpha
    ) internal pure returns (uint256) {
        return Math.max(1, Math.min(tndm * WAD / alpha, LANE_MAX));
    }
}
