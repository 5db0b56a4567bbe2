// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Dutch auction that sells revenue USDC for TNDM and burns it
/// @notice Closed lots: contents and composition by subnet are frozen at the start, and a lot is taken whole. No oracle: the
/// price falls until somebody pays it. Prices are WAD TNDM per USDC (1e6 units). A lot's price starts at twice that of the
/// last sale (before the first at `genesisPrice`), halves every `halfLife`, in a straight line within a half-life, and stops at a
/// floor: 25 % of the median of the last seven sales (before there are seven, `genesisFloor`). A restart of a lot that found no
/// taker halves that floor and starts at no more than twice the price that it had come down to, so that no rise of TNDM can
/// strand revenue for ever.
///
/// Promises:
/// - `[EM-1]` All TNDM paid is burned. Each subnet is credited its part of a lot's burn, rounded down; nobody is credited the part
///   that money without a subnet brought.
/// - USDC leaves against the burn of a lot's price alone; nobody can withdraw it. Amounts are exact from one unit to a billion USDC.
/// - Money is sold in the order in which it came; small amounts of some cannot hold up those of others.
interface IBurnAuction {
    /// @notice `parts[i]` USDC were brought in by `netuids[i]`, zero standing for money without a subnet; both empty for a lot that is
    /// not attributed at all.
    struct Lot {
        uint64 startedAt; // of the running decay
        uint128 usdc;
        uint256 startPrice;
        uint256 floorPrice;
        bool attributed;
        bool sold;
        Netuid[] netuids;
        uint128[] parts;
    }

    /// @param desk First credit desk whose money is attributed to subnets; `allowSeries` adds those of later series.
    /// @param openDelay Seconds after markets opened.
    /// @param lotInterval Seconds between starts of lots.
    /// @param lotDuration Seconds after which an unsold lot can be restarted; at least two half-lives.
    /// @param halfLife Of a falling price, seconds.
    /// @param revenueHalfLife Of `revenueOf`, seconds.
    /// @param maxLot USDC units; at least one USDC, so that every subnet's part of a lot that is cut stays above zero somewhere.
    /// @param pricingLot USDC units; sales of smaller lots teach no price.
    /// @param genesisPrice First price, WAD; below 2^128.
    /// @param genesisFloor Above zero, not above `genesisPrice`.
    struct Config {
        address authority;
        address tndm;
        address usdc;
        address desk;
        address controller;
        address gate;
        uint64 openDelay;
        uint64 lotInterval;
        uint64 lotDuration;
        uint64 halfLife;
        uint64 revenueHalfLife;
        uint128 maxLot;
        uint128 pricingLot;
        uint256 genesisPrice;
        uint256 genesisFloor;
    }

    /// @notice USDC came in for a subnet; netuid 0: for none.
    event Funded(Netuid indexed netuid, address indexed from, uint256 usdc);
    /// @notice Money of this desk is attributed to subnets from now on.
    event SeriesAllowed(address indexed desk);
    event LotStarted(uint256 indexed lotId, uint256 usdc, bool attributed, uint256 startPrice, uint256 floorPrice);
    /// @notice Whose money an attributed lot sells: `parts` USDC units of `netuids`, netuid 0 for what is nobody's.
    event LotComposed(uint256 indexed lotId, Netuid[] netuids, uint128[] parts);
    event LotTaken(uint256 indexed lotId, address indexed taker, uint256 usdc, uint256 tndmBurned, uint256 price);
    event LotRestarted(uint256 indexed lotId, uint256 startPrice, uint256 floorPrice);
    event Stopped(uint64 until);

    /// @notice A price, a half-life or the lot size is too small, the floor lies above the start, or a lot would be restarted before
    /// it has come down.
    error BurnAuction_BadConfig();
    /// @notice Only the desks of allowed series fund for a subnet.
    error BurnAuction_OnlyFunders(address caller);
    /// @notice Lots start from here on; `type(uint256).max` while markets are closed.
    error BurnAuction_TooEarly(uint256 opensAt);
    /// @notice No USDC waits.
    error BurnAuction_NothingToSell();
    /// @notice Lots have ids from 1 to `lotCount()`.
    error BurnAuction_UnknownLot(uint256 lotId);
    /// @notice Somebody has taken the lot.
    error BurnAuction_LotSold(uint256 lotId);
    /// @notice The running decay is too young to be restarted.
    error BurnAuction_StillRunning(uint256 lotId, uint256 restartableAt);
    /// @notice The guardian's stop fell into this decay: restart the lot first.
    error BurnAuction_RestartFirst(uint256 lotId);
    /// @notice The guardian stopped sales before `until`.
    error BurnAuction_IsStopped(uint64 until);
    /// @notice A stop may end at `latest`, seven days ahead.
    error BurnAuction_StopTooLong(uint64 until, uint256 latest);
    /// @notice The transaction came after the taker's deadline.
    error BurnAuction_Expired(uint256 deadline);
    /// @notice The lot costs `cost` now, the taker pays `maxTndm` at most.
    error BurnAuction_TooExpensive(uint256 cost, uint256 maxTndm);

    /// @notice USDC, pulled from the caller, to be sold. For a subnet: only desks of allowed series; counts for `revenueOf`, and the
    /// burn of what it buys for the subnet's allowance. For netuid 0: anybody. Zero USDC is ignored. What comes before markets
    /// opened is for no subnet, whatever the netuid.
    function fund(
        Netuid netuid,
        uint256 usdc
    ) external;

    /// @notice `restricted`, one way: money of this desk is attributed to subnets from now on.
    function allowSeries(
        address desk
    ) external;

    /// @notice By anyone, from `openDelay` after markets opened, one lot per `lotInterval`, at most maxLot USDC, at most 64
    /// subnets in the order in which their money came. If the money of these subnets exceeds maxLot, each gives the same fraction
    /// of its own and waits in line with the rest. Money of the time before markets goes first, in lots of its own that are not
    /// attributed; so does what desks fund for no subnet. What others give for no subnet waits in line like a subnet's.
    function startLot() external returns (uint256 lotId);

    /// @notice By anyone, when an unsold lot is older than lotDuration, or a stop by the guardian fell into its decay: a new
    /// decay of the same contents. After a stop, nothing is learned from the decay that it fell into: start and floor are a new lot's.
    function restart(
        uint256 lotId
    ) external;

    /// @notice Pay at most maxTndm for the whole lot before `deadline` (a timestamp); TNDM is pulled and burned, and each
    /// subnet's part of the burn, rounded down, is credited to its allowance (controller.creditBurns). By anyone.
    /// @return tndmPaid `costOf` in this block.
    function take(
        uint256 lotId,
        uint256 maxTndm,
        uint256 deadline
    ) external returns (uint256 tndmPaid);

    /// @notice restricted (guardian): no lots, restarts or takes until `until`, at most 7 days ahead, expires by itself. Decays
    /// that it fell into must be restarted, or they would have run down while nobody could take. A time that has passed
    /// lifts a stop.
    function stop(
        uint64 until
    ) external;

    /// @notice Price of this block; never rises while a decay runs.
    function priceOf(
        uint256 lotId
    ) external view returns (uint256 price);

    /// @notice TNDM for the whole lot in this block, rounded up.
    function costOf(
        uint256 lotId
    ) external view returns (uint256 tndm);

    function lotOf(
        uint256 lotId
    ) external view returns (Lot memory);

    /// @notice Lots have ids from 1 to this.
    function lotCount() external view returns (uint256);

    /// @notice When the next lot can start; `type(uint256).max` while markets are closed.
    function nextStartAt() external view returns (uint256);

    /// @notice USDC that waits to be sold for a subnet; netuid 0: for none.
    function accruedOf(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice Smoothed revenue: USDC funded for the subnet, fading with half-life `revenueHalfLife`. What subnets are ranked by when
    /// one has to go.
    function revenueOf(
        Netuid netuid
    ) external view returns (uint256 usdc);

    /// @notice Whether money of this desk is attributed to subnets.
    function isSeries(
        address desk
    ) external view returns (bool);

    /// @notice Price of the last sale that counts, WAD TNDM per USDC; 0 before the first.
    function lastPrice() external view returns (uint256);

    /// @notice Median of the last seven sales that count (of an even number the mean of the middle two), WAD TNDM per USDC; 0 before
    /// the first.
    function medianPrice() external view returns (uint256);

    function stoppedUntil() external view returns (uint64);

    /// @notice TNDM that this auction burned, ever, unattributed lots included.
    function totalBurned() external view returns (uint256);

    /// @notice Of sales in the running week and in the 52 before it: TNDM burned by all, and USDC sold that was attributed to
    /// subnets.
    function soldInYear() external view returns (uint256 tndmBurned, uint256 usdcAttributed);

    // constructor(Config config)
}
