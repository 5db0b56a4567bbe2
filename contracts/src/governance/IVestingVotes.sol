// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IERC5805 } from "@openzeppelin/contracts/interfaces/IERC5805.sol";

/// @title TNDM that is promised and votes before it can be moved
/// @notice What GenesisAllocation and Airdrop have in common: nothing leaves before markets open; from that second on a share of each
/// promise can be released at once and the rest vests in a straight line. Until it is released, promised TNDM is voting power of
/// the account it is promised to.
///
/// Promises:
/// - Voting units of an account are exactly what it was promised and has not been paid, in wei of TNDM. They count for whom the account
///   named with `delegate` or `delegateBySig` (ERC-5805, checkpointed on the timestamp clock); this is a delegation of its own,
///   apart from the one at the token.
/// - A unit stops voting here in the second in which its TNDM arrives at the account, so no TNDM ever votes twice.
/// - Releasing cannot be paused and needs no role.
interface IVestingVotes is IERC5805 {
    /// @notice What is promised to `account` and not yet paid, in wei of TNDM: its voting units.
    function unreleasedOf(
        address account
    ) external view returns (uint256);

    /// @notice The sum of all units that are delegated to anybody at this moment, in wei of TNDM.
    function delegatedVotes() external view returns (uint256);

    /// @notice Sum that can be released as soon as markets open, in wei of TNDM (part of the gate's `claimable` condition).
    function immediatelyClaimable() external view returns (uint256);
}
