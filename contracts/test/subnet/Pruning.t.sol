// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { SubnetRegistry } from "../../src/subnet/SubnetRegistry.sol";
import { Netuid } from "../../src/types/Types.sol";
import { RegistryTest } from "../support/RegistryTest.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

/// @notice Who is alive in which epoch, and who goes when somebody comes.
contract PruningTest is RegistryTest {
    uint256 private constant STEPS = 40;

    function setUp() public override {
        super.setUp();
        gate.openMarkets();
    }

    /// @dev Locks that double forty times without anybody running out of TNDM.
    function config() internal view override returns (ISubnetRegistry.Config memory c) {
        c = super.config();
        (c.firstLock, c.floorLock) = (2, 2);
    }

    /// @dev Four subnets, the first two of them genesis subnets and past their immunity, in epoch 3.
    function fill() private {
        warpToEpoch(2);
        registerSubnet();
        registerSubnet();
        warpToEpoch(3);
        for (uint16 id = 1; id <= 4; ++id) {
            auction.setRevenue(Netuid.wrap(id), 100e6);
            pools.setEma(Netuid.wrap(id), 0.05e18);
        }
    }

    function test_below_the_limit_nobody_is_pruned() public {
        warpToEpoch(50);
        vm.assertTrue(registry.nextVictim() == NONE);
        registerSubnet();
        registerSubnet();
        assertIds(registry.liveAt(50), "1 2 3 4");
        for (uint16 id = 1; id <= 4; ++id) {
            vm.assertEq(registry.prunedFromOf(Netuid.wrap(id)), 0);
        }
    }

    /// @dev [SN-1] The victim is alive until the running epoch ends: it is settled and paid for it like all others.
    function test_at_the_limit_a_new_subnet_takes_the_place_of_the_one_with_the_least_revenue_at_the_boundary() public {
        fill();
        auction.setRevenue(ONE, 2e6);
        auction.setRevenue(TWO, 1e6);
        vm.assertTrue(registry.nextVictim() == TWO);
        vm.expectEmit(address(registry));
        emit ISubnetRegistry.SubnetPruned(TWO, 4, FIVE);
        vm.assertTrue(registerSubnet() == FIVE);
        vm.assertEq(registry.prunedFromOf(TWO), 4);
        vm.assertEq(pools.stoppedFrom(TWO), 4);
        assertIds(registry.liveAt(3), "1 2 3 4 5");
        assertIds(registry.liveAt(4), "1 3 4 5");
        vm.assertTrue(registry.exists(TWO));
        vm.assertEq(registry.ownerOfSubnetAt(TWO, 3), OWNER);
        vm.assertEq(registry.ownerOfSubnetAt(TWO, 4), address(0));
        vm.assertEq(staking.changedIn(TWO).length, 1);
        vm.assertEq(staking.changedIn(TWO)[0], address(0), "all of its seats");
    }

    function test_among_equal_revenues_the_lowest_price_goes_and_among_equal_prices_the_lowest_netuid() public {
        fill();
        vm.assertTrue(registry.nextVictim() == ONE, "equal in both");
        pools.setEma(TWO, 0.04e18);
        vm.assertTrue(registry.nextVictim() == TWO, "cheaper");
        pools.setEma(ONE, 0.03e18);
        vm.assertTrue(registry.nextVictim() == ONE, "cheaper still");
        auction.setRevenue(TWO, 99e6);
        vm.assertTrue(registry.nextVictim() == TWO, "revenue comes first");
    }

    function test_a_subnet_within_its_immunity_is_never_pruned() public {
        fill();
        auction.setRevenue(THREE, 0);
        vm.assertTrue(registry.nextVictim() == ONE, "the third is the weakest, but immune");
        registerSubnet();
        registerSubnet();
        assertIds(registry.liveAt(4), "3 4 5 6");
        vm.assertTrue(registry.nextVictim() == NONE);
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_AllSubnetsImmune.selector, uint256(MAX_SUBNETS))
        );
        registerSubnet();
        vm.warp(GENESIS + 2 * LENGTH + SUBNET_IMMUNITY - 1);
        vm.assertTrue(registry.nextVictim() == NONE, "a second too early");
        vm.warp(GENESIS + 2 * LENGTH + SUBNET_IMMUNITY);
        vm.assertTrue(registry.nextVictim() == THREE);
    }

    function test_several_are_pruned_in_one_epoch_and_all_of_them_count_until_it_ends() public {
        fill();
        auction.setRevenue(TWO, 1e6);
        registerSubnet();
        registerSubnet();
        assertIds(registry.liveAt(3), "1 2 3 4 5 6");
        assertIds(registry.liveAt(4), "3 4 5 6");
        vm.assertEq(registry.prunedFromOf(ONE), 4);
        vm.assertEq(registry.prunedFromOf(TWO), 4);
        // The next change forgets that epoch's victims, and recounting still knows them.
        warpToEpoch(9);
        // The fifth has brought nothing yet.
        registerSubnet();
        assertIds(registry.liveAt(9), "3 4 5 6 7");
        assertIds(registry.liveAt(10), "3 4 6 7");
        assertIds(registry.liveAt(3), "1 2 3 4 5 6");
        assertIds(registry.liveAt(2), "1 2 3 4");
        assertIds(registry.liveAt(1), "1 2");
    }

    function test_a_subnet_whose_pruning_is_decided_takes_no_more_changes_and_has_no_neurons_any_more() public {
        register(ONE, 7);
        fill();
        auction.setRevenue(ONE, 0);
        vm.prank(OWNER);
        registry.transferSubnet(ONE, OTHER);
        registerSubnet();
        bytes memory pruned =
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_SubnetPruned.selector, ONE, uint64(4));
        vm.expectRevert(pruned);
        register(ONE, 8);
        vm.expectRevert(pruned);
        vm.prank(OWNER);
        registry.setHyperparameters(ONE, defaults());
        vm.expectRevert(pruned);
        vm.prank(OWNER);
        registry.transferSubnet(ONE, MINER);
        vm.expectRevert(pruned);
        vm.prank(OTHER);
        registry.acceptSubnet(ONE);
        bytes memory unknown =
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_UnknownNeuron.selector, ONE, uint16(0));
        vm.expectRevert(unknown);
        vm.prank(MINER);
        registry.setEndpoint(ONE, 0, "");
        vm.expectRevert(unknown);
        registry.neuronOf(ONE, 0);
        vm.expectRevert(unknown);
        registry.keysAt(ONE, 0, 4);
        vm.assertEq(registry.neuronsOf(ONE).length, 0);
        vm.assertEq(registry.subnetOf(ONE).neuronCount, 0);
        vm.assertEq(registry.uidOf(ONE, hotkey(7)), 0);
        // The running epoch still has them.
        vm.assertEq(registry.neuronCountAt(ONE, 3), 1);
        vm.assertEq(registry.neuronsAt(ONE, 3)[0].hotkey, hotkey(7));
        vm.assertEq(registry.uidAt(ONE, hotkey(7), 3), 1);
        vm.assertEq(registry.uidAt(ONE, hotkey(7), 4), 0);
    }

    /// @dev [SN-2] A bond weighs in fewer subnets once one is gone, and never in an epoch that has begun.
    function test_neurons_of_a_pruned_subnet_stop_counting_for_their_hotkeys_when_anybody_says_so() public {
        register(ONE, 7);
        register(TWO, 7);
        register(ONE, 8);
        fill();
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NotPruned.selector, ONE));
        registry.leavePruned(ONE, new uint16[](1));
        registerSubnet();
        uint16[] memory uids = new uint16[](2);
        uids[1] = 1;
        vm.expectEmit(address(registry));
        emit ISubnetRegistry.NeuronLeft(ONE, 0, hotkey(7), 4);
        registry.leavePruned(ONE, uids);
        vm.assertEq(registry.subnetsOfAt(hotkey(7), 3), 2);
        vm.assertEq(registry.subnetsOfAt(hotkey(7), 4), 1);
        vm.assertEq(registry.subnetsOfAt(hotkey(8), 4), 0);
        warpToEpoch(6);
        registry.leavePruned(ONE, uids);
        vm.assertEq(registry.subnetsOfAt(hotkey(7), 7), 1, "only once");
        uids[0] = 2;
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_UnknownNeuron.selector, ONE, uint16(2)));
        registry.leavePruned(ONE, uids);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_UnknownSubnet.selector, NONE));
        registry.leavePruned(NONE, uids);
    }

    function test_the_limit_is_governed_between_genesis_and_256_from_the_next_epoch_on() public {
        fill();
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, MINER));
        vm.prank(MINER);
        registry.setMaxSubnets(5);
        expectBadLimit(3);
        expectBadLimit(257);
        vm.expectEmit(address(registry));
        emit ISubnetRegistry.MaxSubnetsScheduled(4, 5);
        registry.setMaxSubnets(5);
        vm.assertEq(registry.maxSubnets(), 4);
        registerSubnet();
        assertIds(registry.liveAt(4), "2 3 4 5");
        warpToEpoch(4);
        vm.assertEq(registry.maxSubnets(), 5);
        registerSubnet();
        assertIds(registry.liveAt(5), "2 3 4 5 6");
        // Lowered below the number alive: it stays there, one for one.
        registry.setMaxSubnets(4);
        warpToEpoch(9);
        registerSubnet();
        assertIds(registry.liveAt(10), "2 3 4 6 7");
    }

    function test_a_config_of_limits_that_cannot_work_is_refused() public {
        ISubnetRegistry.Config memory bad = config();
        bad.maxSubnets = 257;
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadConfig.selector));
        new SubnetRegistry(bad, genesisSubnets(), bindings());
        bad = config();
        bad.subnetImmunity = LENGTH - 1;
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadConfig.selector));
        new SubnetRegistry(bad, genesisSubnets(), bindings());
    }

    /// @dev [EM-2] Against a model that remembers every registration and pruning, for every epoch, whenever asked.
    /// forge-config: default.fuzz.runs = 16
    function testFuzz_who_was_alive_is_known_for_every_epoch(
        uint256 seed
    ) public {
        uint64[] memory from = new uint64[](STEPS + 3);
        uint64[] memory until = new uint64[](STEPS + 3);
        until[1] = until[2] = type(uint64).max;
        uint16 count = 2;
        uint64 epoch = 0;
        for (uint256 step = 0; step < STEPS; ++step) {
            uint256 random = uint256(keccak256(abi.encode(seed, step)));
            vm.warp(block.timestamp + (random % 4 == 0 ? 0 : bound(random >> 8, 1, 150)));
            epoch = registry.currentEpoch();
            auction.setRevenue(Netuid.wrap(uint16(bound(random >> 64, 1, count))), bound(random >> 128, 0, 3));
            uint16 victim = Netuid.unwrap(registry.nextVictim());
            uint16[] memory live = registry.liveAt(epoch + 1);
            vm.prank(MINER);
            try registry.registerSubnet("new", ANY) returns (Netuid netuid) {
                vm.assertEq(Netuid.unwrap(netuid), ++count);
                (from[count], until[count]) = (epoch, type(uint64).max);
                vm.assertEq(victim != 0, live.length == MAX_SUBNETS);
                if (victim != 0) until[victim] = epoch + 1;
            } catch {
                vm.assertEq(victim, 0, "only if all are immune");
                vm.assertEq(live.length, MAX_SUBNETS);
            }
        }
        for (uint64 e = 0; e <= epoch + 2; ++e) {
            uint16[] memory live = registry.liveAt(e);
            uint256 place = 0;
            for (uint16 id = 1; id <= count; ++id) {
                if (from[id] > e || until[id] <= e) continue;
                vm.assertEq(live[place++], id);
            }
            vm.assertEq(live.length, place);
        }
    }

    /// @dev Settling an epoch asks once: 128 subnets are eight words.
    function test_128_live_subnets_are_read_for_less_than_100_000_gas() public {
        ISubnetRegistry.Config memory c = config();
        c.maxSubnets = 128;
        ISubnetRegistry.GenesisSubnet[] memory list = new ISubnetRegistry.GenesisSubnet[](128);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = ISubnetRegistry.GenesisSubnet({ owner: OWNER, name: "x" });
        }
        SubnetRegistry wide = new SubnetRegistry(c, list, bindings());
        uint256 before = gasleft();
        uint16[] memory live = wide.liveAt(1);
        vm.assertLt(before - gasleft(), 100_000);
        vm.assertEq(live.length, 128);
        vm.assertEq(live[127], 128);
    }

    function expectBadLimit(
        uint16 limit
    ) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                ISubnetRegistry.SubnetRegistry_BadLimit.selector, uint256(limit), uint256(MAX_SUBNETS), uint256(256)
            )
        );
        registry.setMaxSubnets(limit);
    }
}
