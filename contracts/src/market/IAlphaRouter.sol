// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Ways to trade that AlphaPools leaves out: exact outputs, permits, several steps at once
/// @notice Holds no state, no role and, between calls, no token. It spends what its callers approved to it and only in their own calls:
/// TNDM or alpha comes from the caller, never more than a trade uses, and the output goes to `to`. Prices, fees, deadlines and their errors are those
/// of IAlphaPools; so is the trader in its events this contract. `multicall` runs several of these functions in one transaction, all or
/// none: permit and trade, or a sale and what is bought with it. Tokens sent here by mistake stay here.
interface IAlphaRouter {
    /// @notice The pool does not hold what was asked for.
    error AlphaRouter_NotEnoughLiquidity(Netuid netuid, uint256 wanted, uint256 available);
    /// @notice The output costs more than the caller's maximum.
    error AlphaRouter_TooMuchIn(uint256 amountIn, uint256 maximum);

    /// @notice ERC-2612 approval of this contract by the caller, for TNDM (netuid 0) or a subnet's alpha. A permit that does not go through is
    /// ignored: somebody else may have used it already, and then the allowance is there; if it is not, the trade fails.
    function permit(
        Netuid netuid,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice `IAlphaPools.buyUntil` for TNDM approved to this contract; no limit: `type(uint256).max`.
    function buy(
        Netuid netuid,
        uint256 tndmIn,
        uint256 maxPrice,
        uint256 minAlphaOut,
        address to,
        uint256 deadline
    ) external returns (uint256 tndmUsed, uint256 alphaOut);

    /// @notice `IAlphaPools.sellUntil` for alpha approved to this contract; no limit: 0.
    function sell(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minPrice,
        uint256 minTndmOut,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaUsed, uint256 tndmOut);

    /// @notice `IAlphaPools.swap` for alpha approved to this contract.
    function swap(
        Netuid from,
        Netuid into,
        uint256 alphaIn,
        uint256 minAlphaOut,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaOut);

    /// @notice Buys at least `alphaOut` for the least TNDM that brings it. One unit of TNDM can buy many of alpha, and `to` gets them all.
    function buyExact(
        Netuid netuid,
        uint256 alphaOut,
        uint256 maxTndmIn,
        address to,
        uint256 deadline
    ) external returns (uint256 tndmIn);

    /// @notice Sells the least alpha that brings at least `tndmOut`; see `buyExact`.
    function sellExact(
        Netuid netuid,
        uint256 tndmOut,
        uint256 maxAlphaIn,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaIn);

    /// @notice Swaps the least alpha of `from` that brings at least `alphaOut` of `into`; see `buyExact`.
    function swapExact(
        Netuid from,
        Netuid into,
        uint256 alphaOut,
        uint256 maxAlphaIn,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaIn);

    /// @notice `IAlphaPools.redeem` for alpha approved to this contract.
    function redeem(
        Netuid netuid,
        uint256 amount,
        address to
    ) external returns (uint256 tndm);

    /// @notice What `buyExact` would take in this block [AM-1]; so do the other two.
    function quoteBuyExact(
        Netuid netuid,
        uint256 alphaOut
    ) external view returns (uint256 tndmIn);

    function quoteSellExact(
        Netuid netuid,
        uint256 tndmOut
    ) external view returns (uint256 alphaIn);

    function quoteSwapExact(
        Netuid from,
        Netuid into,
        uint256 alphaOut
    ) external view returns (uint256 alphaIn);

    // constructor(address tndm, address pools)
}
