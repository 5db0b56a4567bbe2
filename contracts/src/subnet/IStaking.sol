// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Stake behind validators (named by hotkey): alpha per subnet, TNDM bond for all, and the mesh phase's virtual stake. Everything counts from the next epoch's start on [SN-2].
interface IStaking {
    struct Virtual { Netuid netuid; address hotkey; uint128 weight; }
    struct Unbonding { address account; address asset; uint128 amount; uint64 releaseAt; }
    event Staked(Netuid indexed netuid, address indexed hotkey, address indexed account, uint256 amount);
    event Unstaked(Netuid indexed netuid, address indexed hotkey, address indexed account, uint256 amount, uint256 unbondingId, uint64 releaseAt);
    event Bonded(address indexed hotkey, address indexed account, uint256 amount);
    event Unbonded(address indexed hotkey, address indexed account, uint256 amount, uint256 unbondingId, uint64 releaseAt);
    event Withdrawn(uint256 indexed unbondingId, address indexed account, uint256 amount);

    function stake(Netuid netuid, address hotkey, uint256 alphaAmount) external;
    function unstake(Netuid netuid, address hotkey, uint256 alphaAmount) external returns (uint256 unbondingId);
    function bond(address hotkey, uint256 tndmAmount) external;
    function unbond(address hotkey, uint256 tndmAmount) external returns (uint256 unbondingId);
    /// @notice After unbondingPeriod; never paused [GV-2].
    function withdraw(uint256 unbondingId) external;

    function stakeOf(Netuid netuid, address hotkey, address account) external view returns (uint256);
    function bondOf(address hotkey, address account) external view returns (uint256);
    /// @notice alpha stake + rootWeight·bond/(subnets of the hotkey) + virtual stake (fading after markets opened), as of the epoch's start.
    function weightAt(Netuid netuid, address hotkey, uint64 epoch) external view returns (uint256);
    /// @notice weightAt of every uid's hotkey that was registered before the epoch's start; others 0.
    function weightsAt(Netuid netuid, uint64 epoch) external view returns (uint256[] memory);
    /// @notice Three validators of distinct owners, registered before the epoch's start, each hold the minimum stake.
    function eligibleAt(Netuid netuid, uint64 epoch) external view returns (bool);
    function minimumStakeAt(Netuid netuid, uint64 epoch) external view returns (uint256);

    struct Config { address tndm; address pools; address registry; address gate; uint64 genesis; uint64 epochLength; uint64 unbondingPeriod; uint64 virtualFade; /* 90 d */
        uint256 minimumStakeShare; /* WAD, 0.005 */ uint256 rootWeightStart; uint256 rootWeightFloor; uint64 rootWeightGlide; }
    // constructor(Config config, Virtual[] meshValidators)
}
