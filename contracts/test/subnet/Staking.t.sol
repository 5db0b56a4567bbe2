// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IDelegation } from "../../src/subnet/IDelegation.sol";
import { IStaking } from "../../src/subnet/IStaking.sol";
import { Staking } from "../../src/subnet/Staking.sol";
import { Netuid } from "../../src/types/Types.sol";
import { StakingTest } from "../support/StakingTest.sol";

/// @notice What stake counts: weights, the minimum, eligibility, and the way out.
contract StakingWeightsTest is StakingTest {
    /// @dev [SN-2]
    function test_stake_counts_from_the_next_epoch_and_past_epochs_never_change() public {
        register(ONE, A, HB);
        stake(HB, 10e18);
        vm.assertEq(staking.weightAt(ONE, HB, 0), 0);
        vm.assertEq(staking.weightAt(ONE, HB, 1), 10e18);
        warpToEpoch(3);
        stake(HB, 5e18);
        vm.prank(A);
        staking.unstake(ONE, HB, 1e18);
        vm.assertEq(staking.weightAt(ONE, HB, 1), 10e18);
        vm.assertEq(staking.weightAt(ONE, HB, 3), 10e18);
        vm.assertEq(staking.weightAt(ONE, HB, 4), 14e18);
        vm.assertEq(staking.totalStakeAt(ONE, HB, 4), 14e18);
        vm.assertEq(staking.stakeOf(ONE, HB, A), 14e18);
    }

    function test_unstaked_alpha_is_paid_after_the_unbonding_period_to_its_owner_by_anyone() public {
        register(ONE, A, HB);
        stake(HB, 10e18);
        uint256 held = alpha.balanceOf(A);
        vm.prank(A);
        uint256 id = staking.unstake(ONE, HB, 4e18);
        vm.assertEq(id, 1);
        vm.warp(GENESIS + UNBONDING - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IDelegation.Staking_StillBound.selector, id, uint64(GENESIS + UNBONDING))
        );
        staking.withdraw(id);
        vm.warp(GENESIS + UNBONDING);
        vm.prank(B);
        staking.withdraw(id);
        vm.assertEq(alpha.balanceOf(A), held + 4e18);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_UnknownUnbonding.selector, id));
        staking.withdraw(id);
    }

    function test_nobody_takes_out_what_another_put_in() public {
        register(ONE, A, HB);
        stake(HB, 10e18);
        vm.prank(A);
        staking.bond(HB, 10e18);
        vm.startPrank(B);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_Insufficient.selector, 1, 0));
        staking.unstake(ONE, HB, 1);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_Insufficient.selector, 1, 0));
        staking.unbond(HB, 1);
        vm.stopPrank();
    }

    function test_nothing_is_staked_behind_unknown_hotkeys_or_without_a_pool() public {
        vm.startPrank(A);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_UnknownHotkey.selector, ONE, HB));
        staking.stake(ONE, HB, 1);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_UnknownHotkey.selector, Netuid.wrap(0), HB));
        staking.bond(HB, 1);
        registry.registerNeuron(TWO, HB, "", 0);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_NoPool.selector, TWO));
        staking.stake(TWO, HB, 1);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_ZeroAmount.selector));
        staking.stake(TWO, HB, 0);
        vm.stopPrank();
    }

    function test_a_bond_weighs_the_root_weight_and_is_split_over_the_hotkeys_subnets() public {
        register(ONE, A, HB);
        vm.prank(A);
        staking.bond(HB, 80e18);
        vm.assertEq(staking.weightAt(ONE, HB, 1), 40e18);
        warpToEpoch(2);
        register(TWO, A, HB);
        vm.assertEq(staking.weightAt(ONE, HB, 2), 40e18);
        vm.assertEq(staking.weightAt(ONE, HB, 3), 20e18);
        vm.assertEq(staking.weightAt(TWO, HB, 3), 20e18);
        vm.assertEq(staking.weightAt(TWO, HB, 2), 0, "not registered at the start of 2");
        vm.prank(A);
        uint256 id = staking.unbond(HB, 40e18);
        vm.assertEq(staking.weightAt(ONE, HB, 3), 10e18);
        vm.assertEq(staking.totalBondAt(HB, 3), 40e18);
        vm.assertEq(staking.unbondingOf(id).asset, address(tndm));
    }

    function test_the_root_weight_glides_from_start_to_floor_after_markets_open() public {
        warpToEpoch(5);
        vm.assertEq(staking.rootWeightAt(5), 0.5e18);
        gate.openMarkets();
        vm.assertEq(staking.rootWeightAt(5), 0.5e18);
        vm.assertEq(staking.rootWeightAt(15), 0.3e18);
        vm.assertEq(staking.rootWeightAt(25), 0.1e18);
        vm.assertEq(staking.rootWeightAt(1000), 0.1e18);
    }

    function test_virtual_stake_is_whole_until_markets_and_fades_to_nothing() public {
        register(ONE, A, HA);
        warpToEpoch(5);
        vm.assertEq(staking.weightAt(ONE, HA, 5), VIRTUAL);
        gate.openMarkets();
        vm.assertEq(staking.weightAt(ONE, HA, 5), VIRTUAL);
        vm.assertEq(staking.weightAt(ONE, HA, 10), VIRTUAL / 2);
        vm.assertEq(staking.weightAt(ONE, HA, 15), 0);
        vm.assertEq(staking.weightAt(TWO, HA, 5), 0);
    }

    function test_weights_come_by_uid_and_newcomers_have_none() public {
        register(ONE, A, HA);
        register(ONE, A, HB);
        stake(HB, 7e18);
        warpToEpoch(1);
        register(ONE, A, HC);
        stake(HC, 9e18);
        uint256[] memory weights = staking.weightsAt(ONE, 1);
        vm.assertEq(weights.length, 2);
        vm.assertEq(weights[0], VIRTUAL);
        vm.assertEq(weights[1], 7e18);
        vm.assertEq(staking.weightAt(ONE, HC, 1), 0, "registered at the epoch's start, not before");
        vm.assertEq(staking.weightsAt(ONE, 2)[2], 9e18);
    }

    function test_a_subnet_is_eligible_with_three_distinct_owners_of_the_minimum() public {
        register(ONE, A, HA);
        register(ONE, A, HB);
        register(ONE, B, HC);
        register(ONE, C, HD);
        stake(HB, 1);
        stake(HC, 1);
        vm.assertFalse(staking.eligibleAt(ONE, 1), "two owners");
        warpToEpoch(1);
        stake(HD, 1);
        vm.assertFalse(staking.eligibleAt(ONE, 1));
        vm.assertTrue(staking.eligibleAt(ONE, 2), "before markets any stake suffices");
        vm.assertFalse(staking.eligibleAt(TWO, 2));
    }

    /// @dev [EM-2] The minimum of an epoch depends on samples from before it alone.
    function test_the_minimum_is_a_share_of_the_lowest_sample_of_the_epoch_before() public {
        warpToEpoch(2);
        gate.openMarkets();
        warpToEpoch(3);
        vm.assertEq(staking.minimumStakeAt(ONE, 2), 1);
        vm.assertEq(staking.minimumStakeAt(ONE, 3), 1, "never sampled");
        pools.setCirculating(ONE, 1000e18);
        staking.sampleCirculation(ONE);
        vm.assertEq(staking.minimumStakeAt(ONE, 3), 1, "an epoch that has begun does not change");
        vm.assertEq(staking.minimumStakeAt(ONE, 4), 5e18);
        pools.setCirculating(ONE, 9000e18);
        staking.sampleCirculation(ONE);
        vm.assertEq(staking.minimumStakeAt(ONE, 4), 5e18, "alpha bought for a moment shuts nobody out");
        pools.setCirculating(ONE, 199);
        staking.sampleCirculation(ONE);
        vm.assertEq(staking.minimumStakeAt(ONE, 4), 1, "rounded up");
        warpToEpoch(5);
        pools.setCirculating(ONE, 2000e18);
        staking.sampleCirculation(ONE);
        vm.assertEq(staking.minimumStakeAt(ONE, 5), 1);
        vm.assertEq(staking.minimumStakeAt(ONE, 6), 10e18);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_NoPool.selector, TWO));
        staking.sampleCirculation(TWO);
    }

    function test_after_markets_less_than_the_minimum_does_not_make_a_subnet_eligible() public {
        register(ONE, A, HB);
        register(ONE, B, HC);
        register(ONE, C, HD);
        gate.openMarkets();
        warpToEpoch(1);
        pools.setCirculating(ONE, 1000e18);
        stake(HB, 5e18);
        stake(HC, 5e18);
        stake(HD, 5e18 - 1);
        vm.assertFalse(staking.eligibleAt(ONE, 2));
        warpToEpoch(2);
        stake(HD, 1);
        vm.assertTrue(staking.eligibleAt(ONE, 3));
    }

    function test_a_config_that_cannot_work_is_refused() public {
        IStaking.Virtual[] memory none = new IStaking.Virtual[](0);
        IStaking.Config memory bad = config();
        bad.unbondingPeriod = LENGTH - 1;
        vm.expectRevert(abi.encodeWithSelector(IStaking.Staking_BadConfig.selector));
        new Staking(bad, none);
        bad = config();
        bad.rootWeightFloor = bad.rootWeightStart + 1;
        vm.expectRevert(abi.encodeWithSelector(IStaking.Staking_BadConfig.selector));
        new Staking(bad, none);
        IStaking.Virtual[] memory twice = new IStaking.Virtual[](2);
        twice[0] = IStaking.Virtual({ netuid: ONE, hotkey: HA, weight: 1 });
        twice[1] = IStaking.Virtual({ netuid: ONE, hotkey: HA, weight: 1 });
        vm.expectRevert(abi.encodeWithSelector(IStaking.Staking_DuplicateVirtual.selector, ONE, HA));
        new Staking(config(), twice);
    }

    /// @dev What is held for accounts and what waits in the queue always lies in the contract.
    function testFuzz_tokens_held_cover_stakes_and_unbondings(
        uint128 put,
        uint128 taken
    ) public {
        uint256 amount = bound(put, 1, 1_000_000e18);
        uint256 out = bound(taken, 1, amount);
        register(ONE, A, HB);
        stake(HB, amount);
        vm.prank(A);
        uint256 id = staking.unstake(ONE, HB, out);
        vm.assertEq(alpha.balanceOf(address(staking)), staking.stakeOf(ONE, HB, A) + staking.unbondingOf(id).amount);
        vm.warp(GENESIS + UNBONDING);
        staking.withdraw(id);
        vm.assertEq(alpha.balanceOf(address(staking)), amount - out);
        vm.assertEq(staking.totalStakeAt(ONE, HB, 100), amount - out);
    }
}
