// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Phase } from "../types/Types.sol";

/// @title Mesh → Token → Markets, one way, enforced on chain [GV-1]
/// @notice Holds the phase of the network, the liquidity tranche, and, until the token opens, the administration of the timelock.
///
/// Promises:
/// - Phases only go forward, each past its conditions, by anybody once they hold.
/// - *Token* opens only while all thresholds are met and at least twice the governor's quorum floor of genesis votes is delegated, after
///   a notice; the announcement fixes the airdrop's snapshot.
/// - In the transaction that opens the token the council loses both its roles at the timelock, the governor gets them, the timelock
///   becomes its own administrator, and the gate keeps nothing there.
interface ILaunchGate {
    /// @notice What the mesh has to show.
    /// @param buybackMargin USDC units: margin recognised × buybackShare.
    /// @param verifiedContributors Qualified contributors.
    /// @param verifiedEpochsEach Epochs in which each of them was paid as a contributor.
    /// @param cleanPeriod Seconds without a skipped or void epoch (see IEpochOracle.cleanSince).
    struct Thresholds {
        uint128 buybackMargin;
        uint32 verifiedContributors;
        uint32 verifiedEpochsEach;
        uint64 cleanPeriod;
    }

    /// @notice Periods in seconds. `claimable` and `poolSeed` (for each genesis subnet) in wei of TNDM, `initialPrice` in WAD TNDM per alpha.
    /// `successor` is the governor that takes over the proposer and canceller roles from `council`.
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
        address airdrop;
        Thresholds thresholds;
        uint64 notice;
        uint64 publicAfter;
        uint64 tokenPeriod;
        uint256 claimable;
        uint256 poolSeed;
        uint256 initialPrice;
    }

    /// @notice `account` counts as a verified contributor, the `count`-th.
    event ContributorQualified(address indexed account, uint32 count);
    /// @notice The thresholds were recorded as met; the public's waiting period runs.
    event ThresholdsMet(uint64 metAt);
    /// @notice The token opens at `opensAt` at the earliest; the airdrop's snapshot is taken.
    event Announced(uint64 opensAt, address indexed by);
    /// @notice The council has lost its roles, the governor holds them.
    event TokenOpened(uint64 openedAt);
    /// @notice Pools, emission and auction are open.
    event MarketsOpened(uint64 openedAt);

    /// @notice No successor is named, or no council.
    error LaunchGate_BadConfig();
    /// @notice The account counts already.
    error LaunchGate_AlreadyQualified(address account);
    /// @notice The account's work brought no margin, or it was paid in too few epochs.
    error LaunchGate_NotQualified(address account, uint256 margin, uint256 verifiedEpochs);
    /// @notice At least one of these three is below its threshold.
    error LaunchGate_ThresholdsNotMet(uint256 buybackMargin, uint256 verifiedContributors, uint256 cleanFor);
    /// @notice Too few genesis votes are delegated; both in wei of TNDM.
    error LaunchGate_TooFewVotes(uint256 delegated, uint256 needed);
    /// @notice The thresholds were recorded as met before.
    error LaunchGate_AlreadyMet(uint64 metAt);
    /// @notice The token was announced before.
    error LaunchGate_AlreadyAnnounced(uint64 announcedAt);
    /// @notice Only the council announces yet.
    /// @dev `publicFrom` is when anybody may announce; zero while the thresholds were never recorded as met.
    error LaunchGate_NotCouncil(address caller, uint256 publicFrom);
    /// @notice The token was not announced.
    error LaunchGate_NotAnnounced();
    /// @notice The notice or the token period is not over.
    error LaunchGate_TooEarly(uint256 opensAt);
    /// @notice The step belongs to another phase.
    error LaunchGate_WrongPhase(Phase phase);
    /// @notice Too little could be released when markets open; both in wei of TNDM.
    error LaunchGate_TooLittleClaimable(uint256 claimable, uint256 needed);

    /// @notice The present phase.
    function phase() external view returns (Phase);

    /// @notice Seconds since 1970; 0 before.
    function tokenOpenedAt() external view returns (uint64);

    /// @notice Seconds since 1970; 0 before.
    function marketsOpenedAt() external view returns (uint64);

    /// @notice Seconds since 1970; 0 before.
    function announcedAt() external view returns (uint64);

    /// @notice When the thresholds were first recorded as met; 0 before.
    function metAt() external view returns (uint64);

    /// @notice What the mesh has to show.
    function thresholds() external view returns (Thresholds memory);

    /// @notice What is reached so far, beside thresholds(): USDC units, contributors, seconds.
    function progress() external view returns (uint256 buybackMargin, uint32 verifiedContributors, uint64 cleanFor);

    /// @notice Votes of genesis allocations that are delegated, and how many the token needs: twice the governor's quorum floor. In wei
    /// of TNDM.
    function genesisVotes() external view returns (uint256 delegated, uint256 needed);

    /// @notice TNDM that could be released the moment markets open, from allocations and airdrop, in wei.
    function claimable() external view returns (uint256);

    /// @notice Whether `account` counts as a verified contributor.
    function isQualified(
        address account
    ) external view returns (bool);

    /// @notice By anyone, once per account: lifetime margin above zero and enough verified epochs.
    /// @dev Reverts with `LaunchGate_AlreadyQualified` or `LaunchGate_NotQualified`.
    function qualify(
        address account
    ) external;

    /// @notice By anyone, once: note that the thresholds are met now, from which time the public's waiting period runs. Does not ask for votes,
    /// so that nobody holds the period up by not delegating.
    /// @dev Reverts with `LaunchGate_AlreadyMet` or `LaunchGate_ThresholdsNotMet`.
    function recordMet() external;

    /// @notice Once, while thresholds and genesis votes are met: by the council; by anyone once `publicAfter` has passed since the thresholds
    /// were recorded as met. Takes the airdrop's snapshot.
    /// @dev Reverts with `LaunchGate_AlreadyAnnounced`, `LaunchGate_NotCouncil`, `LaunchGate_ThresholdsNotMet` or
    /// `LaunchGate_TooFewVotes`.
    function announce() external;

    /// @notice By anyone, `notice` after the announcement, while thresholds and genesis votes are met (again): revokes the council's proposer and
    /// canceller roles at the timelock, grants them to the governor, makes the timelock its own administrator and gives up the
    /// gate's own admin role there, in one transaction. If a threshold fails then, the opening waits; the announcement stays.
    /// @dev Reverts with `LaunchGate_WrongPhase`, `LaunchGate_NotAnnounced`, `LaunchGate_TooEarly`, `LaunchGate_ThresholdsNotMet` or
    /// `LaunchGate_TooFewVotes`.
    function openToken() external;

    /// @notice By anyone, `tokenPeriod` after token opened and once `claimable` TNDM can be released from allocations and airdrop: creates the
    /// genesis pools from the liquidity tranche that this contract holds.
    /// @dev Reverts with `LaunchGate_WrongPhase`, `LaunchGate_TooEarly` or `LaunchGate_TooLittleClaimable`.
    function openMarkets() external;

    // constructor(Config config)
}
