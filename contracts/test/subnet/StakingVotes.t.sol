// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IStakedVotes } from "../../src/subnet/IStakedVotes.sol";
import { StakingTest } from "../support/StakingTest.sol";

/// @notice Votes of staked tokens follow the delegator, not the validator.
contract StakingVotesTest is StakingTest {
    address private immutable D = makeActor("delegator");
    address private immutable VOTER = makeActor("voter");
    address private immutable OTHER = makeActor("other voter");

    function setUp() public override {
        super.setUp();
        register(ONE, A, HB);
        register(ONE, B, HC);
        endow(D, 1000e18);
    }

    function test_staking_keeps_the_votes_with_whom_the_token_gave_them_to() public {
        vm.startPrank(D);
        alpha.delegate(VOTER);
        staking.stake(ONE, HB, 400e18);
        vm.stopPrank();
        vm.assertEq(alpha.getVotes(VOTER) + staking.getVotes(ONE, VOTER), 1000e18, "not one vote more or less");
        vm.assertEq(staking.delegateOf(ONE, D), VOTER);
        vm.assertEq(staking.getVotes(BOND, VOTER), 0, "each ballot has its own votes");
        bondAs(D, HB, 100e18);
        vm.assertEq(staking.delegateOf(BOND, D), address(0), "nobody was named in TNDM");
        vm.assertEq(staking.votingUnitsOf(BOND, D), 100e18);
        vm.prank(D);
        staking.delegate(BOND, OTHER);
        vm.assertEq(staking.getVotes(BOND, OTHER), 100e18);
        vm.assertEq(staking.getVotes(ONE, VOTER), 400e18);
    }

    function test_what_leaves_stops_voting_at_once() public {
        vm.prank(D);
        staking.delegate(ONE, VOTER);
        stakeAs(D, HB, 100e18);
        stakeAs(D, HC, 50e18);
        vm.assertEq(staking.getVotes(ONE, VOTER), 150e18, "behind whichever validator");
        unstakeAs(D, HB, 30e18);
        vm.assertEq(staking.getVotes(ONE, VOTER), 120e18);
        unstakeAs(D, HC, ALL);
        vm.assertEq(staking.getVotes(ONE, VOTER), 70e18);
        vm.assertEq(staking.votingUnitsOf(ONE, D), 70e18);
    }

    function test_a_choice_made_here_outlives_the_tokens() public {
        vm.startPrank(D);
        alpha.delegate(VOTER);
        staking.stake(ONE, HB, 10e18);
        staking.delegate(ONE, OTHER);
        staking.stake(ONE, HB, 5e18);
        vm.stopPrank();
        vm.assertEq(staking.getVotes(ONE, VOTER), 0);
        vm.assertEq(staking.getVotes(ONE, OTHER), 15e18);
        vm.prank(D);
        staking.delegate(ONE, address(0));
        staking.syncVotes(ONE, HB, D);
        vm.assertEq(staking.getVotes(ONE, OTHER), 0, "nobody is a choice too");
    }

    function test_anybody_brings_votes_to_what_a_slash_left_and_to_whom_the_token_follows_now() public {
        vm.prank(D);
        alpha.delegate(VOTER);
        stakeAs(D, HB, 100e18);
        stakeAs(D, HC, 10e18);
        slash(ONE, HB, 0.25e18);
        vm.assertEq(staking.getVotes(ONE, VOTER), 110e18, "too many until synced");
        vm.prank(D);
        alpha.delegate(OTHER);
        uint256 shares = staking.sharesAt(ONE, HB, D, 1);
        staking.syncVotes(ONE, HB, D);
        vm.assertEq(staking.getVotes(ONE, VOTER), 0);
        vm.assertEq(staking.getVotes(ONE, OTHER), 85e18);
        vm.assertEq(staking.sharesAt(ONE, HB, D, 1), shares, "votes alone change");
        staking.syncVotes(ONE, HB, D);
        vm.assertEq(staking.getVotes(ONE, OTHER), 85e18);
    }

    function test_votes_are_those_at_the_end_of_a_past_second() public {
        vm.prank(D);
        staking.delegate(ONE, D);
        vm.warp(GENESIS + 10);
        stakeAs(D, HB, 100e18);
        unstakeAs(D, HB, 40e18);
        vm.expectRevert(
            abi.encodeWithSelector(IStakedVotes.Staking_FutureLookup.selector, GENESIS + 10, uint48(GENESIS + 10))
        );
        staking.getPastVotes(ONE, D, GENESIS + 10);
        vm.warp(GENESIS + 20);
        unstakeAs(D, HB, ALL);
        vm.warp(GENESIS + 21);
        vm.assertEq(staking.getPastVotes(ONE, D, GENESIS + 9), 0);
        vm.assertEq(staking.getPastVotes(ONE, D, GENESIS + 10), 60e18);
        vm.assertEq(staking.getPastVotes(ONE, D, GENESIS + 19), 60e18);
        vm.assertEq(staking.getPastVotes(ONE, D, GENESIS + 20), 0);
    }

    /// @dev Stake of one moment never votes: whoever takes it out in the same second leaves nothing behind.
    function testFuzz_votes_are_what_is_staked(
        uint96 first,
        uint96 second,
        uint96 out
    ) public {
        uint256 a = bound(first, 1, 400e18);
        uint256 b = bound(second, 1, 400e18);
        vm.prank(D);
        staking.delegate(ONE, VOTER);
        stakeAs(D, HB, a);
        stakeAs(D, HC, b);
        unstakeAs(D, HB, bound(out, 1, a));
        vm.assertEq(staking.getVotes(ONE, VOTER), staking.stakeOf(ONE, HB, D) + staking.stakeOf(ONE, HC, D));
    }
}
