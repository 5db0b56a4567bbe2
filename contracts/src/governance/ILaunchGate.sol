// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Phase } from "../types/Types.sol";

/// @title Mesh → Token → Markets, one way, enforced on chain [GV-1].
interface ILaunchGate {
    struct Thresholds { uint128 buybackMargin; /* USDC recognised × buybackShare */ uint32 verifiedContributors; uint32 verifiedEpochsEach; uint64 cleanPeriod; /* seconds */ }
    event ContributorQualified(address indexed account, uint32 count);
    event Announced(uint64 opensAt, address indexed by);
    event TokenOpened(uint64 at);
    event MarketsOpened(uint64 at);

    function phase() external view returns (Phase);
    function tokenOpenedAt() external view returns (uint64);   // 0 before
    function marketsOpenedAt() external view returns (uint64); // 0 before
    function announcedAt() external view returns (uint64);
    function thresholds() external view returns (Thresholds memory);
    /// @notice What is reached so far, beside thresholds().
    function progress() external view returns (uint256 buybackMargin, uint32 verifiedContributors, uint64 cleanFor);
    /// @notice By anyone, once per account: lifetime margin above zero and enough verified epochs.
    function qualify(address account) external;
    /// @notice Thresholds met. By the council; by anyone 180 days (genesis parameter) after they were first recorded as met (`recordMet`).
    function recordMet() external;
    function announce() external;
    /// @notice By anyone, `notice` after the announcement: revokes the council's proposer and canceller roles at the timelock, grants them to the successor if one is named, gives up its own admin role there, in one transaction.
    function openToken() external;
    /// @notice By anyone, `tokenPeriod` after token opened and once `claimable` TNDM can be released from allocations: creates the genesis pools from the liquidity tranche.
    function openMarkets() external;

    struct Config { address tndm; address usdc; address credit; address desk; address distributor; address oracle; address registry; address pools; address timelock; address council; address successor; address allocation;
        Thresholds thresholds; uint64 notice; uint64 publicAfter; uint64 tokenPeriod; uint256 claimable; uint256 poolSeed; uint256 initialPrice; }
    // constructor(Config config)
}

/// @title Genesis allocations; nothing leaves before markets open, then linearly over each grant's duration (`immediateShare` at once).
interface IGenesisAllocation {
    struct Allocation { address beneficiary; uint128 amount; uint64 duration; uint64 immediateShare; /* WAD */ string label; }
    event Released(uint256 indexed id, address indexed beneficiary, uint256 amount);
    function release(uint256 id) external returns (uint256 amount); // by anyone, to the beneficiary
    function releasable(uint256 id) external view returns (uint256);
    /// @notice Sum that can be released as soon as markets open (the gate's `claimable` condition).
    function immediatelyClaimable() external view returns (uint256);
    function allocationOf(uint256 id) external view returns (Allocation memory);
    function allocationCount() external view returns (uint256);
    // constructor(address tndm, address gate, Allocation[] allocations)
}
