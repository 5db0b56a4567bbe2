// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Phase } from "../types/Types.sol";

/// @title Mesh → Token → Markets, one way, enforced on chain [GV-1].
interface ILaunchGate {
    /// @notice `buybackMargin` in USDC units (margin recognised × buybackShare), `cleanPeriod` in seconds (see
    /// IEpochOracle.cleanSince).
    struct Thresholds {
        uint128 buybackMargin;
        uint32 verifiedContributors;
        uint32 verifiedEpochsEach;
        uint64 cleanPeriod;
    }

    /// @notice Periods in seconds. `claimable` and `poolSeed` (for each genesis subnet) in TNDM, `initialPrice` in WAD TNDM per alpha.
    /// `successor` (may be zero) takes over the proposer and canceller roles from `council`.
    struct Config {
        address tndm;
        address usdc;
        address credit;
        address desk;
        address distributor;
        address oracle;
        address registry;
        address pools;
        address timelock;
        address council;
        address successor;
        address allocation;
        Thresholds thresholds;
        uint64 notice;
        uint64 publicAfter;
        uint64 tokenPeriod;
        uint256 claimable;
        uint256 poolSeed;
        uint256 initialPrice;
    }

    event ContributorQualified(address indexed account, uint32 count);
    event ThresholdsMet(uint64 metAt);
    event Announced(uint64 opensAt, address indexed by);
    event TokenOpened(uint64 openedAt);
    event MarketsOpened(uint64 openedAt);

    error LaunchGate_AlreadyQualified(address account);
    error LaunchGate_NotQualified(address account, uint256 margin, uint256 verifiedEpochs);
    error LaunchGate_ThresholdsNotMet(uint256 buybackMargin, uint256 verifiedContributors, uint256 cleanFor);
    error LaunchGate_AlreadyMet(uint64 metAt);
    error LaunchGate_AlreadyAnnounced(uint64 announcedAt);
    /// @dev `publicFrom` is when anybody may announce; zero while the thresholds were never recorded as met.
    error LaunchGate_NotCouncil(address caller, uint256 publicFrom);
    error LaunchGate_NotAnnounced();
    error LaunchGate_TooEarly(uint256 opensAt);
    error LaunchGate_WrongPhase(Phase phase);
    error LaunchGate_TooLittleClaimable(uint256 claimable, uint256 needed);

    function phase() external view returns (Phase);

    /// @notice Seconds since 1970; 0 before.
    function tokenOpenedAt() external view returns (uint64);
    function marketsOpenedAt() external view returns (uint64);
    function announcedAt() external view returns (uint64);

    /// @notice When the thresholds were first recorded as met; 0 before.
    function metAt() external view returns (uint64);
    function thresholds() external view returns (Thresholds memory);

    /// @notice What is reached so far, beside thresholds().
    function progress() external view returns (uint256 buybackMargin, uint32 verifiedContributors, uint64 cleanFor);
    function isQualified(
        address account
    ) external view returns (bool);

    /// @notice By anyone, once per account: lifetime margin above zero and enough verified epochs.
    function qualify(
        address account
    ) external;

    /// @notice By anyone, once: note that the thresholds are met now, from which time the public's waiting period runs.
    function recordMet() external;

    /// @notice While the thresholds are met: by the council; by anyone once `publicAfter` has passed since they were recorded as met.
    function announce() external;

    /// @notice By anyone, `notice` after the announcement: revokes the council's proposer and canceller roles at the timelock, grants
    /// them to the successor if one is named, makes the timelock its own administrator and gives up the gate's own admin role
    /// there, in one transaction.
    function openToken() external;

    /// @notice By anyone, `tokenPeriod` after token opened and once `claimable` TNDM can be released from allocations: creates the
    /// genesis pools from the liquidity tranche that this contract holds.
    function openMarkets() external;
    // constructor(Config config)
}

/// @title Genesis allocations.
/// @notice Nothing leaves before markets open; then `immediateShare` at once and the rest in a straight line over the duration.
interface IGenesisAllocation {
    /// @notice `amount` in TNDM, `duration` in seconds, `immediateShare` in WAD.
    struct Allocation {
        address beneficiary;
        uint128 amount;
        uint64 duration;
        uint64 immediateShare;
        string label;
    }

    event Released(uint256 indexed id, address indexed beneficiary, uint256 amount);

    error GenesisAllocation_Unknown(uint256 id);
    error GenesisAllocation_NothingReleasable(uint256 id);
    error GenesisAllocation_BadAllocation(uint256 id);

    /// @notice By anyone, to the beneficiary: all that is releasable now.
    function release(
        uint256 id
    ) external returns (uint256 amount);

    /// @notice Rounded down; zero before markets open.
    function releasable(
        uint256 id
    ) external view returns (uint256);
    function releasedOf(
        uint256 id
    ) external view returns (uint256);

    /// @notice Sum that can be released as soon as markets open (the gate's `claimable` condition).
    function immediatelyClaimable() external view returns (uint256);

    /// @notice Ids count from 0.
    function allocationOf(
        uint256 id
    ) external view returns (Allocation memory);
    function allocationCount() external view returns (uint256);
    // constructor(address tndm, address gate, Allocation[] allocations)
}
