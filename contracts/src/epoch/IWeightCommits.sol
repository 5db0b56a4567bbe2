// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Commits and reveals of weight rows on chain, for validators whose commits the keepers refuse
/// @notice A commit here counts without receipts. Keepers read the events as of a block after the reveal window: what was committed in
/// time and revealed in time belongs into the epoch's list of rows. Nobody can keep a validator out, and nobody is asked whether
/// the sender is one: that is for the aggregation to say, and a stranger's commit changes nothing.
///
/// Times are those of the services: commits until end − L/10, reveals from there until end + L/10 (a tenth is at least a second), both
/// extended by a gap of blocks that they fall into, as far as it is recorded (IOutages). However far the first is moved, two tenths remain
/// to reveal.
interface IWeightCommits {
    event Committed(
        Netuid indexed netuid, uint64 indexed epoch, address indexed validator, uint32 seq, bytes32 commitHash
    );
    /// @notice `row` is the list of (uid, weight), big-endian u16 each.
    event Revealed(
        Netuid indexed netuid, uint64 indexed epoch, address indexed validator, uint32 seq, bytes32 salt, bytes row
    );

    /// @notice A commit of nothing could not be told from none.
    error WeightCommits_ZeroHash();
    error WeightCommits_NotBegun(uint64 epoch, uint256 startsAt);
    /// @notice Commits of the epoch count before `deadline` only.
    error WeightCommits_TooLate(uint64 epoch, uint256 deadline);
    /// @notice A later commit of an epoch has a higher sequence number.
    error WeightCommits_SeqNotAscending(uint32 seq, uint32 last);
    /// @notice Rows are shown in `[opensAt, closesAt)`: not while anybody may still commit.
    error WeightCommits_NotRevealTime(uint64 epoch, uint256 opensAt, uint256 closesAt);
    /// @notice A row is at most 256 entries of four bytes.
    error WeightCommits_BadRow(uint256 length);
    /// @notice Nothing was committed under this number.
    error WeightCommits_NoCommit(Netuid netuid, uint64 epoch, address validator, uint32 seq);
    /// @notice Salt and row are not what was committed.
    error WeightCommits_Mismatch(bytes32 given, bytes32 committed);

    /// @notice The caller's promise of a row of weights for a subnet, as `commitHashOf` hides it. Several in one epoch have
    /// ascending sequence numbers, and the highest one replaces the others; a number that was used towards the keepers for
    /// another row is a fault.
    function commit(
        Netuid netuid,
        uint64 epoch,
        uint32 seq,
        bytes32 commitHash
    ) external;

    /// @notice By anyone who knows salt and row, in the reveal window. Revealing again says the same again.
    function reveal(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq,
        bytes32 salt,
        bytes calldata row
    ) external;

    /// @notice keccak256(abi.encode(chainid, oracle, netuid, epoch, validator, seq, salt, row)).
    function commitHashOf(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq,
        bytes32 salt,
        bytes calldata row
    ) external view returns (bytes32);

    /// @notice Zero where nothing was committed.
    function commitOf(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq
    ) external view returns (bytes32);

    /// @notice First second in which a commit of `epoch` is too late.
    function commitDeadline(
        uint64 epoch
    ) external view returns (uint256);

    /// @notice First second in which a reveal of `epoch` is too late.
    function revealDeadline(
        uint64 epoch
    ) external view returns (uint256);

    // constructor(address oracle, address outages, uint64 genesis, uint64 epochLength)
}
