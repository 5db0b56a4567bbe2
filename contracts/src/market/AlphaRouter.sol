// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { ConstantProduct } from "./ConstantProduct.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { IAlphaRouter } from "./IAlphaRouter.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { IERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Multicall } from "@openzeppelin/contracts/utils/Multicall.sol";

/// @title AlphaRouter
/// @notice See {IAlphaRouter}.
contract AlphaRouter is IAlphaRouter, Multicall {
    using SafeERC20 for IERC20;

    IERC20 public immutable TNDM;
    IAlphaPools public immutable POOLS;

    constructor(
        address tndm,
        address pools
    ) {
        TNDM = IERC20(tndm);
        POOLS = IAlphaPools(pools);
    }

    /// @inheritdoc IAlphaRouter
    function permit(
        Netuid netuid,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        IERC20Permit token = IERC20Permit(address(netuid.isZero() ? TNDM : _alphaOf(netuid)));
        try token.permit(msg.sender, address(this), amount, deadline, v, r, s) { } catch { }
    }

    /// @inheritdoc IAlphaRouter
    function buy(
        Netuid netuid,
        uint256 tndmIn,
        uint256 maxPrice,
        uint256 minAlphaOut,
        address to,
        uint256 deadline
    ) external returns (uint256 tndmUsed, uint256 alphaOut) {
        (tndmUsed,) = POOLS.quoteBuyUntil(netuid, tndmIn, maxPrice);
        _take(TNDM, tndmUsed);
        return POOLS.buyUntil(netuid, tndmUsed, maxPrice, minAlphaOut, to, deadline);
    }

    /// @inheritdoc IAlphaRouter
    function sell(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minPrice,
        uint256 minTndmOut,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaUsed, uint256 tndmOut) {
        (alphaUsed,) = POOLS.quoteSellUntil(netuid, alphaIn, minPrice);
        _take(_alphaOf(netuid), alphaUsed);
        return POOLS.sellUntil(netuid, alphaUsed, minPrice, minTndmOut, to, deadline);
    }

    /// @inheritdoc IAlphaRouter
    function swap(
        Netuid from,
        Netuid into,
        uint256 alphaIn,
        uint256 minAlphaOut,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaOut) {
        return _swap(from, into, alphaIn, minAlphaOut, to, deadline);
    }

    /// @inheritdoc IAlphaRouter
    function buyExact(
        Netuid netuid,
        uint256 alphaOut,
        uint256 maxTndmIn,
        address to,
        uint256 deadline
    ) external returns (uint256 tndmIn) {
        tndmIn = quoteBuyExact(netuid, alphaOut);
        _checkInput(tndmIn, maxTndmIn);
        _take(TNDM, tndmIn);
        POOLS.buyUntil(netuid, tndmIn, type(uint256).max, alphaOut, to, deadline);
    }

    /// @inheritdoc IAlphaRouter
    function sellExact(
        Netuid netuid,
        uint256 tndmOut,
        uint256 maxAlphaIn,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaIn) {
        alphaIn = quoteSellExact(netuid, tndmOut);
        _checkInput(alphaIn, maxAlphaIn);
        _take(_alphaOf(netuid), alphaIn);
        POOLS.sellUntil(netuid, alphaIn, 0, tndmOut, to, deadline);
    }

    /// @inheritdoc IAlphaRouter
    function swapExact(
        Netuid from,
        Netuid into,
        uint256 alphaOut,
        uint256 maxAlphaIn,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaIn) {
        alphaIn = quoteSwapExact(from, into, alphaOut);
        _checkInput(alphaIn, maxAlphaIn);
        _swap(from, into, alphaIn, alphaOut, to, deadline);
    }

    /// @inheritdoc IAlphaRouter
    function redeem(
        Netuid netuid,
        uint256 amount,
        address to
    ) external returns (uint256 tndm) {
        _take(_alphaOf(netuid), amount);
        return POOLS.redeem(netuid, amount, to);
    }

    /// @inheritdoc IAlphaRouter
    function quoteBuyExact(
        Netuid netuid,
        uint256 alphaOut
    ) public view returns (uint256 tndmIn) {
        return ConstantProduct.beforeFeeUp(_netFor(netuid, alphaOut), POOLS.FEE_RATE());
    }

    /// @inheritdoc IAlphaRouter
    function quoteSellExact(
        Netuid netuid,
        uint256 tndmOut
    ) public view returns (uint256 alphaIn) {
        (uint256 tndm, uint256 alpha) = POOLS.reservesAhead(netuid);
        _checkWanted(netuid, tndmOut, tndm);
        uint256 gross = ConstantProduct.beforeFeeUp(tndmOut, POOLS.FEE_RATE());
        _checkWanted(netuid, gross, tndm);
        return ConstantProduct.alphaInUp(tndm, alpha, gross);
    }

    /// @inheritdoc IAlphaRouter
    function quoteSwapExact(
        Netuid from,
        Netuid into,
        uint256 alphaOut
    ) public view returns (uint256 alphaIn) {
        if (from == into) revert IAlphaPools.AlphaPools_SamePool(from);
        return quoteSellExact(from, _netFor(into, alphaOut));
    }

    function _swap(
        Netuid from,
        Netuid into,
        uint256 alphaIn,
        uint256 minAlphaOut,
        address to,
        uint256 deadline
    ) private returns (uint256 alphaOut) {
        _take(_alphaOf(from), alphaIn);
        alphaOut = POOLS.swap(from, into, alphaIn, minAlphaOut, deadline);
        _alphaOf(into).safeTransfer(to, alphaOut);
    }

    /// @dev Pulls what the pools will pull from here in turn. Approving them for ever is safe: they take from a caller only, and this contract
    /// owns nothing when it calls them but what it just pulled.
    function _take(
        IERC20 token,
        uint256 amount
    ) private {
        token.safeTransferFrom(msg.sender, address(this), amount);
        if (token.allowance(address(this), address(POOLS)) < amount) {
            token.forceApprove(address(POOLS), type(uint256).max);
        }
    }

    function _alphaOf(
        Netuid netuid
    ) private view returns (IERC20) {
        address token = POOLS.alphaOf(netuid);
        if (token == address(0)) revert IAlphaPools.AlphaPools_UnknownPool(netuid);
        return IERC20(token);
    }

    /// @dev TNDM after fees for at least `alphaOut`.
    function _netFor(
        Netuid netuid,
        uint256 alphaOut
    ) private view returns (uint256) {
        (uint256 tndm, uint256 alpha) = POOLS.reservesAhead(netuid);
        _checkWanted(netuid, alphaOut, alpha);
        return ConstantProduct.netForUp(tndm, alpha, alphaOut);
    }

    /// @dev A pool never gives all that it has.
    function _checkWanted(
        Netuid netuid,
        uint256 wanted,
        uint256 available
    ) private pure {
        if (wanted == 0) revert IAlphaPools.AlphaPools_ZeroAmount();
        if (wanted >= available) revert AlphaRouter_NotEnoughLiquidity(netuid, wanted, available);
    }

    function _checkInput(
        uint256 amountIn,
        uint256 maximum
    ) private pure {
        if (amountIn > maximum) revert AlphaRouter_TooMuchIn(amountIn, maximum);
    }
}
