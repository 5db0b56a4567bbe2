// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title What TandemGovernor and SubnetGovernor add to OpenZeppelin's Governor
/// @notice The stack is OpenZeppelin's: Settings, CountingSimple, Votes, VotesQuorumFraction, TimelockControl, PreventLateQuorum,
/// ProposalGuardian and Storage, on the timestamp clock (`mode=timestamp`), with ERC-165, votes by signature (ERC-1271 too) and
/// the standard events, so that wallets and explorers work unchanged. Two rules are added, both of them limits:
/// - The quorum is the fraction of the votes' supply, but never less than `quorumFloor()`, which is immutable.
/// - The guardian can cancel proposals until `guardianUntil()` only. After that there is none, whoever is set, and as OpenZeppelin
///   has it a proposer may then cancel its own proposal at any stage.
///
/// A governor holds nothing. What a vote decides, its timelock does.
interface IGovernorStack {
    /// @notice How a governor decides.
    /// @param votingDelay Seconds from a proposal to the moment at which votes are counted and voting begins.
    /// @param votingPeriod Seconds of voting.
    /// @param voteExtension Seconds of voting that are left at least when the quorum is reached; at most the voting period.
    /// @param guardianPeriod Seconds for which the guardian can cancel proposals.
    /// @param proposalThreshold Votes (wei) that a proposer needs.
    /// @param quorumPercent Of the votes' supply, in whole percent.
    /// @param quorumFloor Votes (wei) that a quorum has at least, for ever.
    struct Rules {
        uint48 votingDelay;
        uint32 votingPeriod;
        uint48 voteExtension;
        uint64 guardianPeriod;
        uint256 proposalThreshold;
        uint256 quorumPercent;
        uint256 quorumFloor;
    }

    /// @notice Votes (wei) that every quorum has at least; immutable.
    function quorumFloor() external view returns (uint256);

    /// @notice First second without a guardian.
    function guardianUntil() external view returns (uint256);
}
