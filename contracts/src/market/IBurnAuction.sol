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
interface IBurnAuction {
    /// @notice `parts[i]` USDC were brought in by `netuids[i]`; both empty for an unattributed lot.
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

    struct Config {
        address authority;
        address tndm;
        address usdc;
        address desk;
        address registry;
        address controller;
        address gate;
        uint64 openDelay; // seconds after markets opened
        uint64 lotInterval; // seconds between starts of lots
        uint64 lotDuration; // seconds after which an unsold lot can be restarted; at least two half-lives
        uint64 halfLife; // seconds
        uint128 maxLot; // USDC
        uint256 genesisPrice;
        uint256 genesisFloor;
    }

    event Funded(Netuid indexed netuid, uint256 usdc); // netuid 0: unattributed (mesh phase)
    event LotStarted(uint256 indexed lotId, uint256 usdc, bool attributed, uint256 startPrice, uint256 floorPrice);
    event LotTaken(uint256 indexed lotId, address indexed taker, uint256 usdc, uint256 tndmBurned, uint256 price);
    event LotRestarted(uint256 indexed lotId, uint256 startPrice);
    event Stopped(uint64 until);

    /// @notice A price, the half-life or the lot size is zero, or the floor lies above the start.
    error BurnAuction_BadConfig();
    /// @notice Only desk and registry fund the auction.
    error BurnAuction_OnlyFunders(address caller);
    /// @notice Lots start from here on; `type(uint256).max` while markets are closed.
    error BurnAuction_TooEarly(uint256 opensAt);
    error BurnAuction_NothingToSell();
    error BurnAuction_UnknownLot(uint256 lotId);
    error BurnAuction_LotSold(uint256 lotId);
    /// @notice The running decay is too young to be restarted.
    error BurnAuction_StillRunning(uint256 lotId, uint256 restartableAt);
    /// @notice The guardian's stop fell into this decay: restart the lot first.
    error BurnAuction_RestartFirst(uint256 lotId);
    error BurnAuction_IsStopped(uint64 until);
    error BurnAuction_StopTooLong(uint64 until, uint256 latest);
    error BurnAuction_Expired(uint256 deadline);
    error BurnAuction_TooExpensive(uint256 cost, uint256 maxTndm);

    /// @notice Only the desk and the registry (USDC fees): USDC is pulled from the caller. Zero is ignored. What comes before
    /// markets opened, or for netuid 0, is unattributed: its burn earns no subnet an allowance.
    function fund(
        Netuid netuid,
        uint256 usdc
    ) external;

    /// @notice By anyone, from `openDelay` after markets opened, one lot per `lotInterval`, at most maxLot USDC, at most 64
    /// subnets in the order in which their money came; unattributed money first, in lots of its own. If the money of these
    /// subnets exceeds maxLot, each gives the same fraction of its own and waits in line with the rest.
    function startLot() external returns (uint256 lotId);

    /// @notice By anyone, when an unsold lot is older than lotDuration, or a stop by the guardian fell into its decay: a new
    /// decay of the same contents. After a stop, nothing is learned from the decay that it fell into: start and floor are a new lot's.
    function restart(
        uint256 lotId
    ) external;

    /// @notice Pay at most maxTndm for the whole lot before `deadline` (a timestamp); TNDM is pulled and burned, and each
    /// subnet's part of the burn, rounded down, is credited to its allowance (controller.creditBurn). By anyone.
    /// @return tndmPaid `costOf` in this block.
    function take(
        uint256 lotId,
        uint256 maxTndm,
        uint256 deadline
    ) external returns (uint256 tndmPaid);

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

    /// @notice USDC that waits to be sold for a subnet; netuid 0: unattributed.
    function accruedOf(
        Netuid netuid
    ) external view returns (uint256);

    /// @notice restricted (guardian): no lots, restarts or takes until `until`, at most 7 days ahead, expires by itself. Decays
    /// that it fell into must be restarted, or they would have run down while nobody could take. A time that has passed
    /// lifts a stop.
    function stop(
        uint64 until
    ) external;

    function stoppedUntil() external view returns (uint64);

    /// @notice TNDM that this auction burned, unattributed lots included.
    function totalBurned() external view returns (uint256);

    // constructor(Config config)
}
