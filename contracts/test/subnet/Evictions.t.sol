// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { PositionalMerkle } from "../../src/epoch/PositionalMerkle.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Netuid } from "../../src/types/Types.sol";
import { RegistryTest } from "../support/RegistryTest.sol";

/// @notice Who leaves a full subnet for a newcomer, and who had which uid in every epoch.
contract EvictionsTest is RegistryTest {
    bytes32 private constant TRACE = keccak256("trace");
    uint64 private constant REPORTED = 3;
    uint256 private constant STEPS = 60;
    uint256 private constant HOTKEYS = 9;

    /// @dev What the model knows: hotkeys by uid, now and at the start of each epoch.
    mapping(Netuid => address[]) private _now;
    mapping(uint64 epoch => mapping(Netuid => address[])) private _atStart;
    uint64 private _nextStart;

    /// @dev The leaf that Rust's `subnet_leaf` builds.
    function leafOf(
        Netuid netuid,
        uint16[] memory list
    ) private pure returns (bytes32) {
        bytes32 pruneHash = keccak256(abi.encode(list));
        return keccak256(bytes.concat(keccak256(abi.encode(netuid, TRACE, pruneHash))));
    }

    /// @dev A tree of both subnets; its second leaf is TWO's, which lists nobody.
    function activate(
        uint64 epoch,
        uint16[] memory list
    ) private returns (ISubnetRegistry.PruneProof memory proof) {
        bytes32 other = leafOf(TWO, new uint16[](0));
        oracle.activate(keccak256(bytes.concat(other, leafOf(ONE, list))), epoch);
        proof.pruneList = list;
        proof.traceRoot = TRACE;
        proof.index = 0;
        proof.proof = new bytes32[](1);
        proof.proof[0] = other;
    }

    function listOf(
        uint16 a,
        uint16 b,
        uint16 c
    ) private pure returns (uint16[] memory list) {
        list = new uint16[](3);
        (list[0], list[1], list[2]) = (a, b, c);
    }

    function evict(
        Netuid netuid,
        uint256 n,
        ISubnetRegistry.PruneProof memory proof
    ) private returns (uint16) {
        vm.prank(OTHER);
        return registry.registerNeuronEvicting(netuid, hotkey(n), "http://new", ANY, proof);
    }

    /// @dev Four neurons of epoch 0, in epoch 5; the report of epoch 3 lists 2, 0, 1.
    function fill() private returns (ISubnetRegistry.PruneProof memory proof) {
        for (uint256 n = 0; n < 4; ++n) {
            register(ONE, n);
        }
        warpToEpoch(5);
        return activate(REPORTED, listOf(2, 0, 1));
    }

    /// @dev [SN-2] The evicted neuron is there until the epoch ends, the newcomer from then on.
    function test_a_newcomer_takes_the_uid_of_the_lowest_neuron_from_the_next_epoch_on() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        vm.expectEmit(address(registry));
        emit ISubnetRegistry.NeuronLeft(ONE, 2, hotkey(2), 6);
        vm.assertEq(evict(ONE, 10, proof), 2);
        vm.assertEq(registry.neuronOf(ONE, 2).hotkey, hotkey(10));
        vm.assertEq(registry.neuronOf(ONE, 2).owner, OTHER);
        vm.assertEq(registry.uidOf(ONE, hotkey(10)), 3);
        vm.assertEq(registry.uidOf(ONE, hotkey(2)), 0);
        vm.assertEq(registry.uidAt(ONE, hotkey(2), 5), 3);
        vm.assertEq(registry.uidAt(ONE, hotkey(2), 6), 0);
        vm.assertEq(registry.uidAt(ONE, hotkey(10), 5), 0);
        vm.assertEq(registry.uidAt(ONE, hotkey(10), 6), 3);
        vm.assertEq(registry.neuronsAt(ONE, 5)[2].hotkey, hotkey(2));
        vm.assertEq(registry.neuronsAt(ONE, 6)[2].hotkey, hotkey(10));
        (address owner, address key, uint64 since) = registry.keysAt(ONE, 2, 5);
        vm.assertEq(owner, MINER);
        vm.assertEq(key, hotkey(2));
        vm.assertEq(since, GENESIS);
        vm.assertEq(registry.neuronCount(ONE), 4);
        vm.assertEq(registry.subnetsOfAt(hotkey(2), 5), 1);
        vm.assertEq(registry.subnetsOfAt(hotkey(2), 6), 0);
        vm.assertEq(staking.changedIn(ONE)[0], hotkey(2));
    }

    function test_a_newcomer_to_a_full_subnet_pays_the_price_of_any_other() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        uint256 price = registry.neuronPrice(ONE);
        uint256 before = usdc.balanceOf(OTHER);
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_PriceAboveLimit.selector, price, price - 1)
        );
        vm.prank(OTHER);
        registry.registerNeuronEvicting(ONE, hotkey(10), "", price - 1, proof);
        evict(ONE, 10, proof);
        vm.assertEq(before - usdc.balanceOf(OTHER), price);
        vm.assertEq(registry.neuronPrice(ONE), (price * 126 + 99) / 100);
    }

    function test_one_report_serves_as_many_newcomers_as_it_lists_neurons() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        vm.assertEq(evict(ONE, 10, proof), 2);
        vm.assertEq(evict(ONE, 11, proof), 0);
        vm.assertEq(evict(ONE, 12, proof), 1);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NobodyEvictable.selector, ONE, REPORTED));
        evict(ONE, 13, proof);
    }

    function test_whoever_came_since_the_reports_epoch_began_is_passed_over() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        evict(ONE, 10, proof);
        warpToEpoch(50);
        vm.assertEq(evict(ONE, 11, proof), 0, "long past its immunity, but not whom the report scored");
        proof = activate(5, listOf(2, 1, 3));
        vm.assertEq(evict(ONE, 12, proof), 1, "registered in the reported epoch: not scored by it");
        proof = activate(6, listOf(2, 1, 3));
        vm.assertEq(evict(ONE, 13, proof), 2);
    }

    function test_an_immune_neuron_is_passed_over() public {
        warpToEpoch(2);
        for (uint256 n = 0; n < 4; ++n) {
            if (n == 3) vm.warp(GENESIS + 3 * LENGTH - 1);
            register(ONE, n);
        }
        ISubnetRegistry.PruneProof memory proof = activate(REPORTED, listOf(3, 0, 1));
        vm.warp(GENESIS + 3 * LENGTH + NEURON_IMMUNITY - 2);
        vm.assertEq(evict(ONE, 10, proof), 0, "a second too early for uid 3");
        vm.warp(GENESIS + 3 * LENGTH + NEURON_IMMUNITY - 1);
        vm.assertEq(evict(ONE, 11, proof), 3);
    }

    function test_uids_that_were_never_given_are_passed_over() public {
        fill();
        vm.assertEq(evict(ONE, 10, activate(REPORTED, listOf(4, 65_535, 1))), 1);
    }

    function test_where_there_is_room_nobody_is_evicted() public {
        ISubnetRegistry.PruneProof memory nothing;
        vm.assertEq(evict(ONE, 10, nothing), 0);
        vm.assertEq(evict(ONE, 11, nothing), 1);
    }

    function test_a_proof_that_does_not_lead_to_the_active_root_is_refused() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        bytes memory bad = abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadPruneProof.selector, ONE, REPORTED);
        proof.pruneList[0] = 3;
        vm.expectRevert(bad);
        evict(ONE, 10, proof);
        proof.pruneList = new uint16[](2);
        (proof.pruneList[0], proof.pruneList[1]) = (2, 0);
        vm.expectRevert(bad);
        evict(ONE, 10, proof);
        proof.pruneList = listOf(2, 0, 1);
        proof.traceRoot = keccak256("another trace");
        vm.expectRevert(bad);
        evict(ONE, 10, proof);
        proof.traceRoot = TRACE;
        proof.index = 1;
        vm.expectRevert(bad);
        evict(ONE, 10, proof);
        proof.index = 2;
        vm.expectRevert(
            abi.encodeWithSelector(PositionalMerkle.PositionalMerkle_IndexOutOfTree.selector, uint256(2), uint256(1))
        );
        evict(ONE, 10, proof);
        proof.index = 0;
        oracle.activate(keccak256("the root of a later report"), 4);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadPruneProof.selector, ONE, uint64(4)));
        evict(ONE, 10, proof);
    }

    function test_a_list_of_one_subnet_evicts_nobody_in_another() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        for (uint256 n = 20; n < 24; ++n) {
            register(TWO, n);
        }
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadPruneProof.selector, TWO, REPORTED));
        evict(TWO, 10, proof);
    }

    function test_before_the_first_active_report_nobody_is_evicted() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        oracle.activate(0, 0);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NoActiveReport.selector));
        evict(ONE, 10, proof);
    }

    function test_an_evicted_hotkey_may_come_back_in_the_same_epoch_and_both_of_its_times_are_known() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        evict(ONE, 10, proof);
        vm.prank(MINER);
        vm.assertEq(registry.registerNeuronEvicting(ONE, hotkey(2), "", ANY, proof), 0);
        vm.assertEq(registry.uidAt(ONE, hotkey(2), 5), 3);
        vm.assertEq(registry.uidAt(ONE, hotkey(2), 6), 1);
        vm.assertEq(registry.subnetsOfAt(hotkey(2), 5), 1);
        vm.assertEq(registry.subnetsOfAt(hotkey(2), 6), 1);
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_HotkeyRegistered.selector, ONE, hotkey(2))
        );
        vm.prank(MINER);
        registry.registerNeuronEvicting(ONE, hotkey(2), "", ANY, proof);
    }

    /// @dev Or it would buy itself a new immunity.
    function test_nobody_evicts_itself() public {
        ISubnetRegistry.PruneProof memory proof = fill();
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_HotkeyRegistered.selector, ONE, hotkey(2))
        );
        vm.prank(MINER);
        registry.registerNeuronEvicting(ONE, hotkey(2), "", ANY, proof);
    }

    /// @dev Its bond is divided by one subnet more; a hotkey of one subnet has nothing to divide.
    function test_staking_is_told_of_a_hotkeys_second_subnet_and_not_of_its_first() public {
        register(ONE, 0);
        vm.assertEq(staking.changedIn(ONE).length, 0);
        register(TWO, 0);
        vm.assertEq(staking.changedIn(TWO)[0], hotkey(0));
    }

    function test_neurons_registered_before_genesis_are_there_when_epoch_0_begins() public {
        vm.warp(GENESIS - 1);
        register(ONE, 0);
        vm.warp(GENESIS);
        register(ONE, 1);
        vm.assertEq(registry.neuronCountAt(ONE, 0), 1);
        vm.assertEq(registry.uidAt(ONE, hotkey(0), 0), 1);
        vm.assertEq(registry.subnetsOfAt(hotkey(0), 0), 1);
        vm.assertEq(registry.subnetsOfAt(hotkey(1), 0), 0);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_UnknownNeuron.selector, ONE, uint16(1)));
        registry.keysAt(ONE, 1, 0);
    }

    /// @dev [SN-2] Random registrations, evictions and returns in two subnets, one of which grows after it was full: every epoch's
    /// neurons are those that a model copied when it began. Each run is a long one: eight in the quick profile.
    /// forge-config: default.fuzz.runs = 8
    function testFuzz_every_epochs_neurons_are_those_that_were_there_when_it_began(
        uint256 seed
    ) public {
        for (uint256 step = 0; step < STEPS; ++step) {
            uint256 random = uint256(keccak256(abi.encode(seed, step)));
            vm.warp(block.timestamp + bound(random, 0, 120));
            noteStarts();
            if (step == STEPS / 2) {
                ISubnetRegistry.Hyperparameters memory wider = defaults();
                wider.maxUids = 6;
                vm.prank(OWNER);
                registry.setHyperparameters(ONE, wider);
            }
            actOn((random >> 16) % 3 == 0 ? TWO : ONE, random >> 32);
        }
        vm.warp(block.timestamp + 2 * LENGTH);
        noteStarts();
        for (uint64 e = 0; e < _nextStart; ++e) {
            check(e, ONE);
            check(e, TWO);
            for (uint256 n = 0; n < HOTKEYS; ++n) {
                uint256 subnets = (placeOf(_atStart[e][ONE], hotkey(n)) != 0 ? 1 : 0)
                    + (placeOf(_atStart[e][TWO], hotkey(n)) != 0 ? 1 : 0);
                vm.assertEq(registry.subnetsOfAt(hotkey(n), e), subnets, "subnets of a hotkey");
            }
        }
        vm.assertEq(registry.neuronsOf(ONE).length, _now[ONE].length);
    }

    function actOn(
        Netuid netuid,
        uint256 random
    ) private {
        address key = hotkey(random % HOTKEYS);
        uint16 target = uint16((random >> 16) % 6);
        uint16[] memory list = listOf(target, (target + 1) % 6, (target + 2) % 6);
        bytes32 root = leafOf(netuid, list);
        // Of the epoch before, or of this one, which no honest report is: immunity alone decides then.
        uint64 epoch = registry.currentEpoch();
        oracle.activate(root, epoch == 0 ? 0 : epoch - uint64((random >> 32) % 2));
        ISubnetRegistry.PruneProof memory proof;
        (proof.pruneList, proof.traceRoot) = (list, TRACE);
        vm.prank(MINER);
        try registry.registerNeuronEvicting(netuid, key, "", ANY, proof) returns (uint16 uid) {
            vm.assertEq(placeOf(_now[netuid], key), 0, "a hotkey has one uid");
            if (uid == _now[netuid].length) _now[netuid].push(key);
            else _now[netuid][uid] = key;
        } catch { }
    }

    /// @dev Copies what was there before this moment for each epoch that has begun since the last look.
    function noteStarts() private {
        uint64 epoch = registry.currentEpoch();
        for (; _nextStart <= epoch; ++_nextStart) {
            _atStart[_nextStart][ONE] = _now[ONE];
            _atStart[_nextStart][TWO] = _now[TWO];
        }
    }

    function check(
        uint64 epoch,
        Netuid netuid
    ) private view {
        address[] memory expected = _atStart[epoch][netuid];
        ISubnetRegistry.Neuron[] memory neurons = registry.neuronsAt(netuid, epoch);
        vm.assertEq(neurons.length, expected.length, "number of neurons");
        vm.assertEq(registry.neuronCountAt(netuid, epoch), expected.length);
        for (uint16 uid = 0; uid < expected.length; ++uid) {
            vm.assertEq(neurons[uid].hotkey, expected[uid], "neuron");
            (, address key,) = registry.keysAt(netuid, uid, epoch);
            vm.assertEq(key, expected[uid], "keys");
        }
        for (uint256 n = 0; n < HOTKEYS; ++n) {
            vm.assertEq(registry.uidAt(netuid, hotkey(n), epoch), placeOf(expected, hotkey(n)), "uid of a hotkey");
        }
    }

    /// @dev Place + 1, or 0.
    function placeOf(
        address[] memory list,
        address key
    ) private pure returns (uint256) {
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == key) return i + 1;
        }
        return 0;
    }
}
