// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IWeightCommits } from "../../src/epoch/IWeightCommits.sol";
import { WeightCommits } from "../../src/epoch/WeightCommits.sol";
import { Netuid } from "../../src/types/Types.sol";
import { Test } from "../support/Test.sol";

/// @dev Extends every deadline between two instants by their distance, as one recorded outage does.
contract OutagesStand {
    uint256 private _from;
    uint256 private _to;

    function set(
        uint256 from,
        uint256 to
    ) external {
        (_from, _to) = (from, to);
    }

    function extended(
        uint256 deadline
    ) external view returns (uint256) {
        return deadline > _from && deadline <= _to ? deadline + _to - _from : deadline;
    }
}

contract WeightCommitsTest is Test {
    uint64 private constant GENESIS = 1_000_000;
    uint64 private constant LENGTH = 100;
    Netuid private constant TEXT = Netuid.wrap(3);
    bytes32 private constant SALT = keccak256("salt");
    bytes private constant ROW = hex"0000ffff00017fff00100001";

    address private oracle = makeActor("oracle");
    address private hotkey = makeActor("hotkey");
    OutagesStand private outages;
    WeightCommits private commits;

    function setUp() public {
        vm.warp(GENESIS);
        outages = new OutagesStand();
        commits = new WeightCommits(oracle, address(outages), GENESIS, LENGTH);
    }

    function commit(
        uint64 epoch,
        uint32 seq,
        bytes memory row
    ) private returns (bytes32 hash) {
        hash = commits.commitHashOf(TEXT, epoch, hotkey, seq, SALT, row);
        vm.prank(hotkey);
        commits.commit(TEXT, epoch, seq, hash);
    }

    function refusesCommit(
        uint64 epoch,
        uint32 seq,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        vm.prank(hotkey);
        commits.commit(TEXT, epoch, seq, bytes32(uint256(1)));
    }

    function refusesReveal(
        uint64 epoch,
        uint32 seq,
        bytes memory row,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        commits.reveal(TEXT, epoch, hotkey, seq, SALT, row);
    }

    /// @dev What Rust's `commit_hash` of tandem-protocol gives for the same fields.
    function test_the_hash_is_that_of_a_signed_commit() public view {
        bytes32 hash = commits.commitHashOf(TEXT, 7, hotkey, 2, SALT, ROW);
        bytes memory words = abi.encode(block.chainid, oracle, uint256(3), uint256(7), hotkey, uint256(2), SALT);
        vm.assertEq(hash, keccak256(bytes.concat(words, abi.encode(256, ROW.length), bytes32(ROW))));
    }

    /// @dev [EP-5]
    function test_a_row_is_committed_in_time_and_shown_by_anybody_after_the_deadline() public {
        vm.warp(GENESIS + LENGTH + 89);
        bytes32 hash = commits.commitHashOf(TEXT, 1, hotkey, 5, SALT, ROW);
        vm.expectEmit(address(commits));
        emit IWeightCommits.Committed(TEXT, 1, hotkey, 5, hash);
        commit(1, 5, ROW);
        vm.assertEq(commits.commitOf(TEXT, 1, hotkey, 5), hash);
        refusesReveal(
            1,
            5,
            ROW,
            abi.encodeWithSelector(
                IWeightCommits.WeightCommits_NotRevealTime.selector, uint64(1), GENESIS + 190, GENESIS + 210
            )
        );
        vm.warp(GENESIS + 190);
        refusesCommit(
            1, 6, abi.encodeWithSelector(IWeightCommits.WeightCommits_TooLate.selector, uint64(1), GENESIS + 190)
        );
        vm.expectEmit(address(commits));
        emit IWeightCommits.Revealed(TEXT, 1, hotkey, 5, SALT, ROW);
        vm.prank(makeActor("anybody"));
        commits.reveal(TEXT, 1, hotkey, 5, SALT, ROW);
        vm.warp(GENESIS + 209);
        commits.reveal(TEXT, 1, hotkey, 5, SALT, ROW);
        vm.warp(GENESIS + 210);
        refusesReveal(
            1,
            5,
            ROW,
            abi.encodeWithSelector(
                IWeightCommits.WeightCommits_NotRevealTime.selector, uint64(1), GENESIS + 190, GENESIS + 210
            )
        );
    }

    function test_sequence_numbers_ascend_within_an_epoch() public {
        commit(0, 3, ROW);
        refusesCommit(
            0, 3, abi.encodeWithSelector(IWeightCommits.WeightCommits_SeqNotAscending.selector, uint32(3), uint32(3))
        );
        refusesCommit(
            0, 2, abi.encodeWithSelector(IWeightCommits.WeightCommits_SeqNotAscending.selector, uint32(2), uint32(3))
        );
        commit(0, 4, hex"00010001");
        vm.warp(GENESIS + 95);
        commits.reveal(TEXT, 0, hotkey, 4, SALT, hex"00010001");
        vm.warp(GENESIS + LENGTH);
        commit(1, 0, ROW);
        commits.reveal(TEXT, 0, hotkey, 3, SALT, ROW);
    }

    function test_only_the_committed_row_of_the_committer_is_shown() public {
        bytes32 hash = commit(0, 1, ROW);
        vm.warp(GENESIS + 95);
        bytes memory other = hex"00000001";
        bytes32 given = commits.commitHashOf(TEXT, 0, hotkey, 1, SALT, other);
        refusesReveal(0, 1, other, abi.encodeWithSelector(IWeightCommits.WeightCommits_Mismatch.selector, given, hash));
        refusesReveal(
            0,
            2,
            ROW,
            abi.encodeWithSelector(IWeightCommits.WeightCommits_NoCommit.selector, TEXT, uint64(0), hotkey, uint32(2))
        );
        refusesReveal(0, 1, hex"000001", abi.encodeWithSelector(IWeightCommits.WeightCommits_BadRow.selector, 3));
        refusesReveal(0, 1, new bytes(1028), abi.encodeWithSelector(IWeightCommits.WeightCommits_BadRow.selector, 1028));
    }

    function test_a_whole_row_of_256_entries_can_be_shown() public {
        bytes memory row = new bytes(1024);
        for (uint256 i = 0; i < 1024; ++i) {
            row[i] = bytes1(uint8(i % 251));
        }
        commit(0, 1, row);
        vm.warp(GENESIS + 95);
        commits.reveal(TEXT, 0, hotkey, 1, SALT, row);
    }

    function test_nothing_is_committed_before_an_epoch_begins_or_as_zero() public {
        refusesCommit(
            1, 0, abi.encodeWithSelector(IWeightCommits.WeightCommits_NotBegun.selector, uint64(1), GENESIS + LENGTH)
        );
        vm.expectRevert(IWeightCommits.WeightCommits_ZeroHash.selector);
        commits.commit(TEXT, 0, 0, 0);
    }

    function test_deadlines_that_fall_into_an_outage_wait_for_it() public {
        outages.set(GENESIS + 50, GENESIS + 250);
        vm.assertEq(commits.commitDeadline(0), GENESIS + 290);
        vm.assertEq(commits.revealDeadline(0), GENESIS + 310);
        // The outage ends before reveals would, and moves commits beyond them: there is as much time to show a row as ever.
        outages.set(GENESIS + 50, GENESIS + 105);
        vm.assertEq(commits.commitDeadline(0), GENESIS + 145);
        vm.assertEq(commits.revealDeadline(0), GENESIS + 165);
        vm.warp(GENESIS + 144);
        commit(0, 1, ROW);
        commit(1, 1, ROW);
        commit(0, 2, ROW);
        refusesCommit(
            1, 1, abi.encodeWithSelector(IWeightCommits.WeightCommits_SeqNotAscending.selector, uint32(1), uint32(1))
        );
        vm.warp(GENESIS + 164);
        commits.reveal(TEXT, 0, hotkey, 2, SALT, ROW);
    }

    /// @dev Commits and reveals of an epoch never overlap, and either is possible for a tenth at least.
    function testFuzz_nobody_commits_while_rows_are_shown(
        uint64 epoch,
        uint256 from,
        uint256 length
    ) public {
        epoch = uint64(bound(epoch, 0, 1e9));
        uint256 end = GENESIS + uint256(epoch + 1) * LENGTH;
        from = bound(from, end - 500, end + 50);
        outages.set(from, from + bound(length, 1, 2000));
        uint256 deadline = commits.commitDeadline(epoch);
        vm.assertGe(deadline, end - LENGTH / 10);
        vm.assertGe(commits.revealDeadline(epoch), deadline + 2 * (LENGTH / 10));
        vm.assertGe(commits.revealDeadline(epoch), end + LENGTH / 10);
    }
}
