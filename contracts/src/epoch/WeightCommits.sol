// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EpochClock } from "../types/EpochClock.sol";
import { Netuid } from "../types/Types.sol";
import { IOutages } from "./IOutages.sol";
import { IWeightCommits } from "./IWeightCommits.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title WeightCommits
/// @notice Promises, units and errors are documented on IWeightCommits.
contract WeightCommits is IWeightCommits, EpochClock {
    /// @dev Of a validator in a subnet: the highest number of its last epoch here.
    struct Last {
        uint64 epoch;
        uint32 seq;
        bool any;
    }

    uint256 private constant ENTRY_BYTES = 4;
    uint256 private constant MAX_ROW_BYTES = 256 * ENTRY_BYTES;
    uint256 private constant TENTHS = 10;

    address public immutable ORACLE;
    IOutages public immutable OUTAGES;

    mapping(Netuid => mapping(address validator => Last)) private _last;
    /// @dev Kept for ever: a commit with the same number towards the keepers is a fault that this proves.
    mapping(Netuid => mapping(uint64 epoch => mapping(address validator => mapping(uint32 seq => bytes32)))) private
        _commits;

    constructor(
        address oracle,
        address outages,
        uint64 genesis,
        uint64 epochLength
    ) EpochClock(genesis, epochLength) {
        ORACLE = oracle;
        OUTAGES = IOutages(outages);
    }

    /// @inheritdoc IWeightCommits
    function commit(
        Netuid netuid,
        uint64 epoch,
        uint32 seq,
        bytes32 commitHash
    ) external {
        if (commitHash == 0) revert WeightCommits_ZeroHash();
        if (block.timestamp < startOf(epoch)) revert WeightCommits_NotBegun(epoch, startOf(epoch));
        uint256 deadline = commitDeadline(epoch);
        if (block.timestamp >= deadline) revert WeightCommits_TooLate(epoch, deadline);
        // Where deadlines were moved, two epochs may be open at once.
        if (_commits[netuid][epoch][msg.sender][seq] != 0) revert WeightCommits_SeqNotAscending(seq, seq);
        Last storage last = _last[netuid][msg.sender];
        if (last.any && last.epoch == epoch && seq <= last.seq) revert WeightCommits_SeqNotAscending(seq, last.seq);
        (last.epoch, last.seq, last.any) = (epoch, seq, true);
        _commits[netuid][epoch][msg.sender][seq] = commitHash;
        emit Committed(netuid, epoch, msg.sender, seq, commitHash);
    }

    /// @inheritdoc IWeightCommits
    function reveal(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq,
        bytes32 salt,
        bytes calldata row
    ) external {
        if (row.length > MAX_ROW_BYTES || row.length % ENTRY_BYTES != 0) revert WeightCommits_BadRow(row.length);
        uint256 opensAt = commitDeadline(epoch);
        uint256 closesAt = revealDeadline(epoch);
        if (block.timestamp < opensAt || block.timestamp >= closesAt) {
            revert WeightCommits_NotRevealTime(epoch, opensAt, closesAt);
        }
        bytes32 committed = _commits[netuid][epoch][validator][seq];
        if (committed == 0) revert WeightCommits_NoCommit(netuid, epoch, validator, seq);
        bytes32 given = commitHashOf(netuid, epoch, validator, seq, salt, row);
        if (given != committed) revert WeightCommits_Mismatch(given, committed);
        emit Revealed(netuid, epoch, validator, seq, salt, row);
    }

    /// @inheritdoc IWeightCommits
    function commitHashOf(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq,
        bytes32 salt,
        bytes calldata row
    ) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, ORACLE, netuid, epoch, validator, seq, salt, row));
    }

    /// @inheritdoc IWeightCommits
    function commitOf(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq
    ) external view returns (bytes32) {
        return _commits[netuid][epoch][validator][seq];
    }

    /// @inheritdoc IWeightCommits
    function commitDeadline(
        uint64 epoch
    ) public view returns (uint256) {
        return OUTAGES.extended(endOf(epoch) - _tenth());
    }

    /// @inheritdoc IWeightCommits
    function revealDeadline(
        uint64 epoch
    ) public view returns (uint256) {
        return Math.max(OUTAGES.extended(endOf(epoch) + _tenth()), commitDeadline(epoch) + 2 * _tenth());
    }

    function _tenth() private view returns (uint256) {
        return Math.max(LENGTH / TENTHS, 1);
    }
}
