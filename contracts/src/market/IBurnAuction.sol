// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Dutch auction: sells revenue USDC for TNDM and burns it. Closed lots, whole-lot takes. Prices are WAD TNDM per USDC (1e6).
interface IBurnAuction {
    struct Lot { uint64 startedAt; uint128 usdc; uint256 startPrice; uint256 floorPrice; bool attributed; bool sold; Netuid[] netuids; uint128[] parts; }
    event Funded(Netuid indexed netuid, uint256 usdc); // netuid 0: unattributed (mesh phase)
    event LotStarted(uint256 indexed lotId, uint256 usdc, bool attributed, uint256 startPrice, uint256 floorPrice);
    event LotTaken(uint256 indexed lotId, address indexed taker, uint256 usdc, uint256 tndmBurned, uint256 price);
    event LotRestarted(uint256 indexed lotId, uint256 startPrice);
    event Stopped(uint64 until);

    /// @notice Only the desk and the registry (USDC fees): USDC is pulled from the caller. Before markets everything is unattributed.
    function fund(Netuid netuid, uint256 usdc) external;
    /// @notice By anyone, from `openDelay` after markets opened, one lot per `lotInterval`, at most maxLot USDC, at most 64 subnets; mesh money first, in lots of its own.
    function startLot() external returns (uint256 lotId);
    /// @notice By anyone, when an unsold lot is older than lotDuration: a new decay of the same contents.
    function restart(uint256 lotId) external;
    /// @notice Pay at most maxTndm for the whole lot; TNDM is pulled and burned, each subnet's part of the burn is credited to its allowance (controller.creditBurn).
    function take(uint256 lotId, uint256 maxTndm, uint256 deadline) external returns (uint256 tndmPaid);
    function priceOf(uint256 lotId) external view returns (uint256 price);
    function costOf(uint256 lotId) external view returns (uint256 tndm); // rounded up
    function lotOf(uint256 lotId) external view returns (Lot memory);
    function lotCount() external view returns (uint256); // ids from 1
    function accruedOf(Netuid netuid) external view returns (uint256);
    /// @notice restricted (guardian): no takes until `until`, at most 7 days, expires by itself.
    function stop(uint64 until) external;
    function totalBurned() external view returns (uint256);

    struct Config { address authority; address tndm; address usdc; address desk; address registry; address controller; address gate;
        uint64 openDelay; uint64 lotInterval; uint64 lotDuration; uint64 halfLife; uint128 maxLot; uint256 genesisPrice; uint256 genesisFloor; }
    // constructor(Config config)
}
