// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GrantWord } from "../emission/GrantWord.sol";
import { Netuid } from "../types/Types.sol";

/// @title All TNDM/alpha pools and the alpha vault in one contract
/// @notice Constant product, protocol-owned liquidity only, fee always taken in TNDM: half of it is burned once per
/// epoch, half stays in the pool. Prices are WAD TNDM per alpha. What it promises:
/// - `tndm × alpha` of a pool never falls while it trades [AM-2]; quotes equal execution in the same block, to the wei [AM-1].
/// - Alpha that left the vault (seed, injection, granted budgets) never exceeds 21,000,000 [EM-3].
/// - Everything that emission reads (TWAP, EMA, issued alpha) is a value as of an epoch's end, whenever it is asked [EM-2].
/// - A pruned pool's alpha redeems a fixed part of its TNDM, for ever, and never for more than it sold for [SN-1].
/// Outputs round down, inputs and fees up. The first touch of a pool in an epoch (a swap, `pour` or `flushFees`) burns the accrued half of the
/// fees and pours what may be poured before anything else. Tokens sent here directly belong to no pool and change nothing.
interface IAlphaPools {
    struct Pool {
        address token;
        uint128 tndm; // after a wind-up: what is left to redeem
        uint128 alpha;
        uint128 burnable; // half of the fees, burned once per epoch
        uint128 pending; // emission that waits to be poured in
        uint128 issued; // alpha moved out of the vault: seed, injection, granted budgets; never above 21 M [EM-3]
        uint64 createdEpoch;
        uint64 touchedAt; // last swap, pour or flush
        bool poured; // in the epoch of touchedAt, or created in it
        uint64 stopEpoch; // first epoch without trade; 0: none is set
    }

    /// @notice A pool as it was wound up: one alpha redeems `tndm / supply` TNDM. All zero before.
    struct Redemption {
        uint128 tndm; // T: the pool's TNDM
        uint128 supply; // A + C': alpha in the pool, in circulation, and in budgets that are not claimed yet
    }

    struct Config {
        address tndm;
        address factory; // IAlphaFactory
        address registry;
        address gate;
        address controller;
        uint64 genesis;
        uint64 epochLength; // seconds, less than 2^20 (12 days)
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
    /// @notice Alpha for alpha: `tndm` left the first pool's reserves for the second's; half of `fee` stayed in the first, half of it
    /// (rounded down) is that pool's to burn.
    event AlphaSwapped(
        Netuid indexed from,
        Netuid indexed to,
        address indexed trader,
        uint256 alphaIn,
        uint256 tndm,
        uint256 alphaOut,
        uint256 fee
    );
    event Poured(Netuid indexed netuid, uint256 tndm, uint256 alpha);
    event FeesBurned(Netuid indexed netuid, uint256 tndm);
    event PoolStopped(Netuid indexed netuid, uint64 indexed fromEpoch);
    /// @notice `kept` TNDM wait for redeemers at `tndm / supply` each, `burned` is gone.
    event PoolWoundUp(Netuid indexed netuid, uint256 tndm, uint256 supply, uint256 kept, uint256 burned);
    event Redeemed(Netuid indexed netuid, address indexed holder, address to, uint256 alpha, uint256 tndm);

    /// @notice A rate of the configuration lies outside [0, 1], the fee takes everything or less than a pour gives away, or an epoch is too long.
    error AlphaPools_BadConfig();
    /// @notice Only the registry and the launch gate create pools.
    error AlphaPools_OnlyRegistryOrGate(address caller);
    error AlphaPools_OnlyRegistry(address caller);
    error AlphaPools_OnlyController(address caller);
    error AlphaPools_UnknownPool(Netuid netuid);
    error AlphaPools_PoolExists(Netuid netuid);
    /// @notice Seed or initial price are too small to give a pool two sides.
    error AlphaPools_EmptySeed();
    error AlphaPools_ZeroAmount();
    /// @notice An amount or a price of 2^85 or more, which is more than there can be.
    error AlphaPools_OutOfRange(uint256 value);
    /// @notice Alpha is swapped for the alpha of another subnet.
    error AlphaPools_SamePool(Netuid netuid);
    error AlphaPools_Expired(uint256 deadline);
    /// @notice The output is below the caller's minimum.
    error AlphaPools_TooLittleOut(uint256 amountOut, uint256 minimum);
    /// @notice The price limit admits no trade at all: `price` is at or beyond it.
    error AlphaPools_PriceBeyondLimit(uint256 price, uint256 limit);
    /// @notice Epochs close one by one, each once, and only the present and the unsettled ones can be asked about.
    error AlphaPools_WrongEpoch(uint64 epoch);
    error AlphaPools_EpochNotEnded(uint64 epoch);
    /// @notice 21,000,000 alpha is all there is [EM-3].
    error AlphaPools_SupplyExceeded(Netuid netuid, uint256 issued);
    /// @notice The subnet was pruned: its pool trades no more, alpha can be redeemed.
    error AlphaPools_Stopped(Netuid netuid);
    /// @notice The pool has not been told to stop.
    error AlphaPools_NotStopped(Netuid netuid);
    /// @notice Grants of epochs before the stop are outstanding: settle them first.
    error AlphaPools_NotSettled(uint64 settledThrough, uint64 stopEpoch);
    error AlphaPools_AlreadyWoundUp(Netuid netuid);
    /// @notice Nothing can be redeemed before `windUp`.
    error AlphaPools_NotWoundUp(Netuid netuid);

    // --- Everybody: trade ---

    /// @notice Swaps exactly `tndmIn` of the caller's TNDM for alpha, or reverts if that gives less than `minAlphaOut` or
    /// `deadline` (a timestamp) has passed. TNDM must be approved to this contract.
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

    /// @notice Buys with at most `tndmIn`, and only as far as the price after it is at most `maxPrice`: `tndmUsed` is the largest input for which
    /// that holds, to the wei. Alpha goes to `to`; `minAlphaOut` bounds the output of what was used.
    function buyUntil(
        Netuid netuid,
        uint256 tndmIn,
        uint256 maxPrice,
        uint256 minAlphaOut,
        address to,
        uint256 deadline
    ) external returns (uint256 tndmUsed, uint256 alphaOut);

    /// @notice Sells at most `alphaIn`, and only as far as the price after it is at least `minPrice`; see `buyUntil`.
    function sellUntil(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minPrice,
        uint256 minTndmOut,
        address to,
        uint256 deadline
    ) external returns (uint256 alphaUsed, uint256 tndmOut);

    /// @notice Swaps exactly `alphaIn` of one subnet's alpha for another's: a sale and a purchase with one fee, on the TNDM between them.
    /// The fee is the first pool's.
    function swap(
        Netuid from,
        Netuid to,
        uint256 alphaIn,
        uint256 minAlphaOut,
        uint256 deadline
    ) external returns (uint256 alphaOut);

    /// @notice What `buy` would give in this block; reverts as it would for the pool or the amount. So do the other quotes [AM-1].
    function quoteBuy(
        Netuid netuid,
        uint256 tndmIn
    ) external view returns (uint256 alphaOut);

    function quoteSell(
        Netuid netuid,
        uint256 alphaIn
    ) external view returns (uint256 tndmOut);

    function quoteBuyUntil(
        Netuid netuid,
        uint256 tndmIn,
        uint256 maxPrice
    ) external view returns (uint256 tndmUsed, uint256 alphaOut);

    function quoteSellUntil(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minPrice
    ) external view returns (uint256 alphaUsed, uint256 tndmOut);

    function quoteSwap(
        Netuid from,
        Netuid to,
        uint256 alphaIn
    ) external view returns (uint256 alphaOut);

    /// @notice The reserves that a swap of this block would meet: those of `poolOf`, and the pour that it would trigger.
    function reservesAhead(
        Netuid netuid
    ) external view returns (uint256 tndm, uint256 alpha);

    // --- Everybody: an epoch's chores ---

    /// @notice Moves emission into the pool: min(pending, pourCap of the pool's TNDM) with alpha at the current ratio, once
    /// per pool and epoch, not in the one of its creation, no catch-up, and only while the price is within a factor of 1.25 of the TWAP of the
    /// epoch before (in the epoch after creation too; before there is one, of the EMA), so that pushing prices, pouring and pushing them back
    /// costs more than it brings [AM-2]; nor at more than that factor above the price at which what is pending was granted. If the alpha schedule caps the alpha side, TNDM is cut in the same ratio. Gives zeros where
    /// there is nothing to do. A touch that finds nothing to pour does not use up the epoch's pour.
    function pour(
        Netuid netuid
    ) external returns (uint256 tndm, uint256 alpha);

    /// @notice Burns the half of the fees that accrued before this epoch; zero if the epoch was entered already.
    function flushFees(
        Netuid netuid
    ) external returns (uint256 burned);

    // --- Everybody: after pruning ---

    /// @notice Ends a stopped pool once all its grants are made (`settledThrough() >= stopEpoch` at the controller): keeps `T·C'/(A + C')` of the
    /// pool's TNDM T for redeemers and burns the rest, accrued fees and pending emission included. A is the pool's alpha, C' all alpha in
    /// circulation plus budgets that were granted and not claimed. Claims go on for ever.
    function windUp(
        Netuid netuid
    ) external returns (uint256 burned);

    /// @notice Burns `amount` of the caller's alpha (approved to this contract) for `amount·T/(A + C')` TNDM, rounded down, paid to `to`. Never expires;
    /// no order of redemptions changes anyone's price.
    function redeem(
        Netuid netuid,
        uint256 amount,
        address to
    ) external returns (uint256 tndm);

    // --- Neighbours ---

    /// @notice Creates the alpha token and its pool. Only the registry and the gate; `tndm` must have been approved to
    /// this contract by the caller and is pulled.
    /// @param initialPrice the EMA's start; alpha put in is `tndm / initialPrice`, rounded down, at most 10 % of 21 M.
    function create(
        Netuid netuid,
        uint256 tndm,
        uint256 initialPrice
    ) external returns (address token);

    /// @notice Only the registry: the subnet is pruned from `fromEpoch` on, which must lie ahead. From then on the pool refuses swaps, pours
    /// and flushes.
    function stop(
        Netuid netuid,
        uint64 fromEpoch
    ) external;

    /// @notice Only the registry: buy alpha with pulled TNDM and burn it (half of a neuron's registration
    /// price). Zero is ignored.
    function buyAndBurn(
        Netuid netuid,
        uint256 tndmIn
    ) external returns (uint256 alphaBurned);

    /// @notice Only the controller, epochs in order, epoch ended: of each subnet, closes the TWAP of `epoch` and moves the EMA:
    /// `ema += a·(min(twap, 2·ema) − ema)`, `a = emaRate·t / (t + emaHalfAge)`, t the pool's age at the epoch's end in whole
    /// epochs. The result does not depend on when it is called. The creation epoch averages as if the initial price had
    /// stood since its start. Does nothing and returns zero where there is no pool, or only one younger than `epoch`.
    /// @return prices Of each subnet: in the low 128 bits the EMA as it stood before this closing, 0 for a pool that was created in `epoch`; above
    /// them the TWAP of `epoch`.
    function closeEpoch(
        uint16[] calldata netuids,
        uint64 epoch
    ) external returns (uint256[] memory prices);

    /// @notice Only the controller, which also transfers the TNDM here: of each subnet, emission to pour in, and alpha of budgets that counts as
    /// issued from now on; reverts above 21 M, which a budget within 21 M − `issuedAt` and the daily schedule never reaches.
    function grant(
        uint16[] calldata netuids,
        GrantWord[] calldata grants
    ) external;

    // --- Views ---

    function exists(
        Netuid netuid
    ) external view returns (bool);

    /// @notice All zero for an unknown pool.
    function poolOf(
        Netuid netuid
    ) external view returns (Pool memory);

    /// @notice All zero before `windUp`.
    function redemptionOf(
        Netuid netuid
    ) external view returns (Redemption memory);

    /// @notice Zero for an unknown pool.
    function alphaOf(
        Netuid netuid
    ) external view returns (address token);

    /// @notice Price of this moment, before fees, within [1, 2^85). Reverts for an unknown pool.
    function spotPrice(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice EMA after the last closed epoch (the initial price before the first; 0 for an unknown pool).
    function emaOf(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice TWAP of the last epoch that is over, closed or not (0 in the epoch of creation).
    function lastTwapOf(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice First epoch of the pool that `closeEpoch` has not closed.
    function nextEpochOf(
        Netuid netuid
    ) external view returns (uint64);

    /// @notice Median of the EMA of all pools that are not wound up, of an even number the mean of the middle two; 0 without pools, where the first
    /// pool's initial price is the caller's.
    function medianEma() external view returns (uint256);

    /// @notice Alpha outside the vault: 21 M less the vault's balance and burned supply; what minimum stake is measured
    /// against. 0 for an unknown pool.
    function circulatingAlpha(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice Alpha moved out of the vault as of the end of `epoch`: seed, injection until then, and every budget reserved
    /// so far. What the schedule of the budget of `epoch` halves on, if asked before that budget is reserved. `epoch` must not be settled yet, and
    /// if a later one is running, be closed.
    function issuedAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice WAD.
    // forge-lint: disable-next-line(mixed-case-function)
    function FEE_RATE() external view returns (uint256);

    // constructor(Config config)
}
