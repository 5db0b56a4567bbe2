// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Sells credits for USDC, pays contributors out in USDC, holds the reserve [CR-2].
/// reserve >= payoutRate × totalSupply after every call. price and payoutRate in USDC units (6 decimals) per credit (1e18). price >= 1.05 × payoutRate.
interface ICreditDesk {
    event Bought(address indexed payer, address indexed account, uint256 credits, uint256 usdc, uint256 toReserve, uint256 margin);
    event CashedOut(address indexed account, address indexed to, uint256 credits, uint256 usdc);
    event MarginRecognised(Netuid indexed netuid, uint256 margin, uint256 toBuyback, uint256 toPot);
    event PriceChanged(uint256 price, uint64 fromEpoch);
    event BuyingPaused(uint64 until);

    /// @notice Buy `credits` for the caller, paying at most `maxUsdc` (cost rounds up).
    function buy(uint256 credits, uint256 maxUsdc) external returns (uint256 usdcPaid);
    function buyWithPermit(uint256 credits, uint256 maxUsdc, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external returns (uint256 usdcPaid);
    /// @notice A gateway pays, `account` gets the credits.
    function buyFor(address account, uint256 credits, uint256 maxUsdc) external returns (uint256 usdcPaid);
    /// @notice Burn the caller's earned credits and pay `payoutRate` each (rounded down) to `to`. Never paused.
    function cashOut(uint256 credits, address to) external returns (uint256 usdcPaid);
    /// @notice Only settlement: margin that became revenue of `netuid`; buybackShare to the BurnAuction (`fund`), rest to RewardDistributor (`contribute`).
    function recogniseMargin(Netuid netuid, uint256 margin) external;
    /// @notice restricted (price setter): from the next epoch's start on.
    function setPrice(uint256 newPrice) external;
    /// @notice restricted (guardian): stops buying until `until`, at most 7 days ahead, expires by itself.
    function pauseBuying(uint64 until) external;

    function price() external view returns (uint256);
    function payoutRate() external view returns (uint256);
    function buybackShare() external view returns (uint256); // WAD, immutable, >= 0.40e18
    function quote(uint256 credits) external view returns (uint256 usdc);
    /// @notice USDC that backs credits (not the deferred margin).
    function reserve() external view returns (uint256);
    function deferredMargin() external view returns (uint256);

    struct Config {
        address authority; address usdc; address credit; address settlement; address auction; address distributor;
        uint256 price; uint256 payoutRate; uint256 buybackShare; uint64 genesis; uint64 epochLength;
    }
    // constructor(Config config)
}
