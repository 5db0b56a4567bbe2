// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IOutages } from "../../src/epoch/IOutages.sol";
import { Outages } from "../../src/epoch/Outages.sol";
import { Test } from "../support/Test.sol";
import { RLP } from "@openzeppelin/contracts/utils/RLP.sol";

/// @notice The chain of these tests is made of headers with parent, number and timestamp; their hashes are put where the chain keeps
/// them.
contract OutagesTest is Test {
    using RLP for RLP.Encoder;

    uint64 private constant LEAST = 600;
    uint256 private constant T = 1_800_000_000;

    Outages private outages;

    function setUp() public {
        outages = new Outages(LEAST);
        vm.warp(T);
        vm.roll(1000);
    }

    function header(
        bytes32 parent,
        uint256 number,
        uint256 timestamp
    ) private pure returns (bytes memory) {
        RLP.Encoder memory fields = RLP.encoder().push(parent);
        // Ommers, coinbase, three roots, bloom and difficulty: nobody reads them.
        for (uint256 i = 0; i < 7; ++i) {
            fields.push(uint256(i));
        }
        return fields.push(number).push(uint256(30e6)).push(uint256(0)).push(timestamp).encode();
    }

    /// @dev Two consecutive blocks, the later one number `number`, known to the chain.
    function pair(
        uint256 number,
        uint256 from,
        uint256 to
    ) private returns (bytes memory earlier, bytes memory later) {
        earlier = header(keccak256("before"), number - 1, from);
        later = header(keccak256(earlier), number, to);
        if (number >= block.number) vm.roll(number + 1);
        vm.setBlockhash(number, keccak256(later));
    }

    function gap(
        uint256 number,
        uint256 from,
        uint256 to
    ) private {
        (bytes memory earlier, bytes memory later) = pair(number, from, to);
        outages.record(earlier, later);
    }

    /// [EP-4] A deadline inside an outage moves by its length, others stay where they are.
    function test_a_deadline_in_a_gap_is_extended_by_the_gap() public {
        gap(990, T, T + 3600);
        vm.assertEq(outages.extended(T), T);
        vm.assertEq(outages.extended(T + 1), T + 3601);
        vm.assertEq(outages.extended(T + 1800), T + 5400);
        vm.assertEq(outages.extended(T + 3600), T + 7200);
        vm.assertEq(outages.extended(T + 3601), T + 3601);
        vm.assertEq(outages.extended(0), 0);
        vm.assertEq(outages.extended(type(uint64).max), type(uint64).max);
    }

    function test_a_deadline_that_moves_into_another_gap_moves_again() public {
        gap(980, T, T + 1000);
        gap(990, T + 1500, T + 2500);
        vm.assertEq(outages.extended(T + 400), T + 400 + 1000);
        vm.assertEq(outages.extended(T + 600), T + 600 + 1000 + 1000);
        vm.assertEq(outages.extended(T + 1400), T + 1400);
    }

    function test_the_block_that_ends_a_gap_can_record_it_itself() public {
        bytes memory parent = header(keccak256("before"), 999, T - 700);
        vm.setBlockhash(999, keccak256(parent));
        outages.recordNow(parent);
        vm.assertEq(outages.extended(T - 1), T + 699);
        vm.expectRevert(
            abi.encodeWithSelector(IOutages.Outages_NotConsecutive.selector, keccak256(parent), keccak256("x"))
        );
        outages.recordNow("x");
    }

    function test_what_was_no_gap_is_refused() public {
        (bytes memory earlier, bytes memory later) = pair(990, T, T + 599);
        vm.expectRevert(abi.encodeWithSelector(IOutages.Outages_TooShort.selector, 599, 600));
        outages.record(earlier, later);

        (earlier, later) = pair(990, T, T + 600);
        bytes memory forged = header(keccak256("before"), 989, T - 5000);
        vm.expectRevert(
            abi.encodeWithSelector(IOutages.Outages_NotConsecutive.selector, keccak256(earlier), keccak256(forged))
        );
        outages.record(forged, later);

        bytes memory unknown = header(keccak256(earlier), 990, T + 9000);
        vm.expectRevert(abi.encodeWithSelector(IOutages.Outages_UnknownBlock.selector, 990));
        outages.record(earlier, unknown);

        outages.record(earlier, later);
        vm.expectRevert(abi.encodeWithSelector(IOutages.Outages_Known.selector, T));
        outages.record(earlier, later);
        vm.expectRevert(IOutages.Outages_ZeroLeast.selector);
        new Outages(0);
    }

    /// @notice Whoever records a later outage first must not shut an earlier one out.
    function testFuzz_the_order_of_recording_does_not_matter(
        uint256 seed,
        uint256 deadline
    ) public {
        Outages ordered = new Outages(LEAST);
        uint256[] memory starts = new uint256[](8);
        for (uint256 i = 0; i < 8; ++i) {
            starts[i] = T + 2000 * i;
            (bytes memory earlier, bytes memory later) = pair(900 + i, starts[i], starts[i] + 1000 + 10 * i);
            ordered.record(earlier, later);
        }
        for (uint256 i = 8; i > 0; --i) {
            uint256 pick = seed % i;
            seed = uint256(keccak256(abi.encode(seed)));
            (starts[pick], starts[i - 1]) = (starts[i - 1], starts[pick]);
            uint256 n = (starts[i - 1] - T) / 2000;
            gap(900 + n, starts[i - 1], starts[i - 1] + 1000 + 10 * n);
        }
        deadline = bound(deadline, T - 100, T + 30_000);
        vm.assertEq(outages.extended(deadline), ordered.extended(deadline));
        vm.assertGe(outages.extended(deadline), deadline);
        for (uint256 i = 0; i < 8; ++i) {
            vm.assertEq(outages.outageAt(i).from, T + 2000 * i);
        }
    }

    function test_an_outage_far_behind_sixty_four_others_is_refused() public {
        for (uint256 i = 0; i < 65; ++i) {
            gap(900 + i, T + 10_000 * (i + 1), T + 10_000 * (i + 1) + 700);
        }
        (bytes memory earlier, bytes memory later) = pair(890, T, T + 700);
        vm.expectRevert(abi.encodeWithSelector(IOutages.Outages_TooOld.selector, T));
        outages.record(earlier, later);
        vm.assertEq(outages.outageCount(), 65);
        vm.assertEq(outages.least(), LEAST);
    }
}
