// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title All TNDM/alpha pools and the alpha vault in one contract
/// @notice Constant product, protocol-owned liquidity only, fee always taken in TNDM: half of it is burned once per
/// epoch, half stays in the pool. Prices are WAD TNDM per alpha. What it promises:
/// - `tndm × alpha` of a pool never falls [AM-2]; quotes equal execution in the same block [AM-1].
/// - Alpha that left the vault (seed, injection, granted budgets) never exceeds 21,000,000 [EM-3].
/// - Everything that emission reads (TWAP, EMA, issued alpha) is a value as of an epoch's end, whenever it is asked [EM-2].
/// Outputs round down, fees up. Tokens sent here directly belong to no pool and change nothing.
interface IAlphaPools {
    struct Pool {
        address token;
        uint128 tndm;
        uint128 alpha;
        uint128 burnable; // half of the fees, burned once per epoch
        uint128 pending; // emission that waits to be poured in
        uint128 issued; // alpha moved out of the vault: seed, injection, granted budgets; never above 21 M [EM-3]
        uint64 createdEpoch;
        uint64 lastPourEpoch;
        uint64 lastFlushEpoch;
    }

    struct Config {
        address tndm;
        address factory; // IAlphaFactory
        address registry;
        address gate;
        address controller;
        address distributor;
        uint64 genesis;
        uint64 epochLength;
        uint256 feeRate; // WAD
        uint256 emaRate; // WAD per epoch, before the age factor
        uint64 emaHalfAge; // seconds; the age at which half of emaRate applies
        uint256 pourCap; // WAD of the pool's TNDM per epoch
        uint256 alphaPerDay; // injection schedule, halving on issued; the controller's schedule must not be above it
    }

    event PoolCreated(Netuid indexed netuid, address token, uint256 tndm, uint256 alpha);
    event Swapped(
        Netuid indexed netuid, address indexed trader, bool buy, uint256 amountIn, uint256 amountOut, uint256 fee
    );
    event Poured(Netuid indexed netuid, uint256 tndm, uint256 alpha);
    event FeesBurned(Netuid indexed netuid, uint256 tndm);
    event EmaUpdated(Netuid indexed netuid, uint64 indexed epoch, uint256 twap, uint256 ema);
    event AlphaReleased(Netuid indexed netuid, address indexed to, uint256 amount);

    /// @notice A rate of the configuration lies outside [0, 1], or the fee takes everything.
    error AlphaPools_BadConfig();
    /// @notice Only the registry and the launch gate create pools.
    error AlphaPools_OnlyRegistryOrGate(address caller);
    error AlphaPools_OnlyRegistry(address caller);
    error AlphaPools_OnlyController(address caller);
    error AlphaPools_OnlyDistributor(address caller);
    error AlphaPools_UnknownPool(Netuid netuid);
    error AlphaPools_PoolExists(Netuid netuid);
    /// @notice Seed or initial price are too small to give a pool two sides.
    error AlphaPools_EmptySeed();
    error AlphaPools_ZeroAmount();
    error AlphaPools_Expired(uint256 deadline);
    /// @notice The output is below the caller's minimum.
    error AlphaPools_TooLittleOut(uint256 amountOut, uint256 minimum);
    /// @notice Epochs close one by one: `expected` is next.
    error AlphaPools_WrongEpoch(uint64 epoch, uint64 expected);
    error AlphaPools_EpochNotEnded(uint64 epoch);
    /// @notice 21,000,000 alpha is all there is [EM-3].
    error AlphaPools_SupplyExceeded(Netuid netuid, uint256 issued);

    /// @notice Creates the alpha token and its pool. Only the registry and the gate; `tndm` must have been approved to
    /// this contract by the caller and is pulled.
    /// @param initialPrice the EMA's start; alpha put in is `tndm / initialPrice`, rounded down, at most 10 % of 21 M.
    function create(
        Netuid netuid,
        uint256 tndm,
        uint256 initialPrice
    ) external returns (address token);

    /// @notice Swaps exactly `tndmIn` of the caller's TNDM for alpha, or reverts if that gives less than `minAlphaOut` or
    /// `deadline` (a timestamp) has passed. An epoch's first swap flushes the fees and pours before it trades.
    function buy(
        Netuid netuid,
        uint256 tndmIn,
        uint256 minAlphaOut,
        uint256 deadline
    ) external returns (uint256 alphaOut);

    /// @notice Swaps exactly `alphaIn` of the caller's alpha for TNDM, the fee taken off the output; see `buy`.
    function sell(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minTndmOut,
        uint256 deadline
    ) external returns (uint256 tndmOut);

    /// @notice What `buy` would give in this block, the pour it may trigger included [AM-1].
    function quoteBuy(
        Netuid netuid,
        uint256 tndmIn
    ) external view returns (uint256 alphaOut);

    /// @notice What `sell` would give in this block, the pour it may trigger included [AM-1].
    function quoteSell(
        Netuid netuid,
        uint256 alphaIn
    ) external view returns (uint256 tndmOut);

    /// @notice Only the registry: buy alpha with pulled TNDM and burn it (half of a neuron's registration
    /// price). Zero is ignored.
    function buyAndBurn(
        Netuid netuid,
        uint256 tndmIn
    ) external returns (uint256 alphaBurned);

    /// @notice Moves emission into the pool: min(pending, pourCap of the pool's TNDM) with alpha at the current ratio, once
    /// per pool and epoch, no catch-up, and only while the price is within a factor of 1.5 of the last TWAP (before the first: the
    /// EMA), so that pushing the price, pouring and pushing it back costs more than it brings [AM-2]. If the alpha schedule caps the alpha side, TNDM is cut in the same ratio. By anyone
    /// and by an epoch's first swap; gives zeros where there is nothing to do.
    function pour(
        Netuid netuid
    ) external returns (uint256 tndm, uint256 alpha);

    /// @notice Burns the accrued half of the fees, once per epoch. By anyone and by an epoch's first swap; gives zero where
    /// there is nothing to do.
    function flushFees(
        Netuid netuid
    ) external returns (uint256 burned);

    /// @notice Only the controller, which transfers the TNDM in the same transaction: emission of a closed epoch and the alpha
    /// budget that goes with it. Reverts above 21 M issued, which a budget within the daily schedule at `issuedAt` never reaches.
    function grant(
        Netuid netuid,
        uint256 tndm,
        uint256 alpha
    ) external;

    /// @notice Only the controller, epochs in order, epoch ended: closes the TWAP of `epoch` and moves the EMA:
    /// `ema += a·(min(twap, 2·ema) − ema)`, `a = emaRate·t / (t + emaHalfAge)`, t the pool's age at the epoch's end in whole
    /// epochs. The result does not depend on when it is called. The creation epoch averages as if the initial price had
    /// stood since its start.
    /// @return emaBefore The EMA before this call; 0 if the pool was created in `epoch`.
    function closeEpoch(
        Netuid netuid,
        uint64 epoch
    ) external returns (uint256 emaBefore, uint256 twap);

    /// @notice Only the distributor: pay a claimed budget out of the vault.
    function release(
        Netuid netuid,
        address to,
        uint256 amount
    ) external;

    function exists(
        Netuid netuid
    ) external view returns (bool);

    /// @notice All zero for an unknown pool.
    function poolOf(
        Netuid netuid
    ) external view returns (Pool memory);

    /// @notice Zero for an unknown pool.
    function alphaOf(
        Netuid netuid
    ) external view returns (address token);

    /// @notice Price of this moment, before fees; at least 1. Reverts for an unknown pool.
    function spotPrice(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice EMA after the last closed epoch (the initial price before the first; 0 for an unknown pool).
    function emaOf(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice TWAP of the last closed epoch (0 before the first).
    function lastTwapOf(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice First epoch of the pool that `closeEpoch` has not closed.
    function nextEpochOf(
        Netuid netuid
    ) external view returns (uint64);

    /// @notice Median of all pools' EMA, of an even number the mean of the middle two; 0 without pools, where the first
    /// pool's initial price is the caller's.
    function medianEma() external view returns (uint256);

    /// @notice Alpha outside the vault: 21 M less the vault's balance and burned supply; what minimum stake is measured
    /// against. 0 for an unknown pool.
    function circulatingAlpha(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice Alpha moved out of the vault as of the end of `epoch`: seed, injection until then, and every budget reserved
    /// so far. What the schedule of the budget of `epoch` halves on, if asked before that budget is reserved.
    function issuedAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256);
}
