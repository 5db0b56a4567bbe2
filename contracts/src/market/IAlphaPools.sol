// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title All TNDM/alpha pools and the alpha vault in one contract. Constant product, protocol-owned liquidity only, fee always taken in TNDM.
/// Prices are WAD TNDM per alpha.
interface IAlphaPools {
    struct Pool {
        address token; uint128 tndm; uint128 alpha;
        uint128 burnable;   // half of the fees, burned once per epoch
        uint128 pending;    // emission that waits to be poured in
        uint128 issued;     // alpha moved out of the vault: seed, injection, granted budgets; never above 21 M [EM-3]
        uint64 createdEpoch; uint64 lastPourEpoch; uint64 lastFlushEpoch;
    }
    event PoolCreated(Netuid indexed netuid, address token, uint256 tndm, uint256 alpha);
    event Swapped(Netuid indexed netuid, address indexed trader, bool buy, uint256 amountIn, uint256 amountOut, uint256 fee);
    event Poured(Netuid indexed netuid, uint256 tndm, uint256 alpha);
    event FeesBurned(Netuid indexed netuid, uint256 tndm);
    event EmaUpdated(Netuid indexed netuid, uint64 indexed epoch, uint256 twap, uint256 ema);
    event AlphaReleased(Netuid indexed netuid, address indexed to, uint256 amount);

    /// @notice Only registry and gate; `tndm` must have been approved to this contract by the caller and is pulled. `alpha` = tndm / initialPrice, at most 10 % of 21 M. EMA starts at initialPrice.
    function create(Netuid netuid, uint256 tndm, uint256 initialPrice) external returns (address token);
    function buy(Netuid netuid, uint256 tndmIn, uint256 minAlphaOut, uint256 deadline) external returns (uint256 alphaOut);
    function sell(Netuid netuid, uint256 alphaIn, uint256 minTndmOut, uint256 deadline) external returns (uint256 tndmOut);
    function quoteBuy(Netuid netuid, uint256 tndmIn) external view returns (uint256 alphaOut);
    function quoteSell(Netuid netuid, uint256 alphaIn) external view returns (uint256 tndmOut);
    /// @notice Only the registry: buy alpha with pulled TNDM and burn it (half of a neuron's registration price).
    function buyAndBurn(Netuid netuid, uint256 tndmIn) external returns (uint256 alphaBurned);
    /// @notice By anyone and by an epoch's first swap: min(pending, 1 % of the pool's TNDM) with alpha at the current ratio, once per pool and epoch.
    function pour(Netuid netuid) external returns (uint256 tndm, uint256 alpha);
    /// @notice By anyone and by an epoch's first swap: burns the accrued half of the fees, once per epoch.
    function flushFees(Netuid netuid) external returns (uint256 burned);

    /// @notice Only the controller (which transfers the TNDM first): emission of a closed epoch.
    function addPending(Netuid netuid, uint256 tndm) external;
    /// @notice Only the controller: count a granted alpha budget as issued.
    function reserveAlpha(Netuid netuid, uint256 amount) external;
    /// @notice Only the controller, epochs in order, epoch ended: closes the TWAP of `epoch`, moves the EMA: ema += a·(min(twap, 2·ema) − ema), a = emaRate·t/(t + emaHalfAge).
    function closeEpoch(Netuid netuid, uint64 epoch) external returns (uint256 twap, uint256 ema);
    /// @notice Only the distributor: pay a claimed budget out of the vault.
    function release(Netuid netuid, address to, uint256 amount) external;

    function exists(Netuid netuid) external view returns (bool);
    function poolOf(Netuid netuid) external view returns (Pool memory);
    function alphaOf(Netuid netuid) external view returns (address token);
    function spotPrice(Netuid netuid) external view returns (uint256);
    /// @notice EMA after the last closed epoch, and the TWAP of that epoch (0 before the first).
    function emaOf(Netuid netuid) external view returns (uint256);
    function lastTwapOf(Netuid netuid) external view returns (uint256);
    /// @notice Median of all pools' EMA; `initialPrice` of the first pool is the caller's.
    function medianEma() external view returns (uint256);
    /// @notice Alpha outside the vault: 21 M less the vault's balance and burned supply; what minimum stake is measured against.
    function circulatingAlpha(Netuid netuid) external view returns (uint256);

    struct Config { address tndm; address factory; address registry; address gate; address controller; address distributor;
        uint64 genesis; uint64 epochLength; uint256 feeRate; /* WAD, 0.003 */ uint256 emaRate; /* WAD per epoch */ uint64 emaHalfAge; /* seconds, 28 d */ uint256 pourCap; /* WAD, 0.01 */ uint256 alphaPerDay; /* injection schedule, halving on issued */ }
    // constructor(Config config)
}
