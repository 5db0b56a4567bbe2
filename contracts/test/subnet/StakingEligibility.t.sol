// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IStakeWeights } from "../../src/subnet/IStakeWeights.sol";
import { IStaking } from "../../src/subnet/IStaking.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Netuid } from "../../src/types/Types.sol";
import { StakingTest } from "../support/StakingTest.sol";

/// @notice Four neurons of three owners in a full subnet, and ways to lose a uid.
abstract contract SeatsTest is StakingTest {
    address[] internal _hotkeys;
    address[] internal _owners;
    uint256 internal _newcomers;

    function setUp() public override {
        super.setUp();
        _hotkeys = [HA, HB, HC, HD];
        _owners = [A, B, C, A];
        for (uint256 n = 0; n < 4; ++n) {
            register(ONE, _owners[n], _hotkeys[n]);
        }
        vm.prank(A);
        tndm.approve(address(registry), type(uint256).max);
    }

    function maxUids() internal pure override returns (uint16) {
        return 4;
    }

    /// @dev HB, HC and HD hold three times the minimum of 1,000 alpha in circulation.
    /// @dev The uid goes to a newcomer, or to one that had a uid before.
    function evict(
        uint16 uid
    ) internal {
        ISubnetRegistry.PruneProof memory proof;
        proof.pruneList = new uint16[](1);
        proof.pruneList[0] = uid;
        bytes32 pruneHash = keccak256(abi.encode(proof.pruneList));
        oracle.activate(
            keccak256(bytes.concat(keccak256(abi.encode(ONE, proof.traceRoot, pruneHash)))), staking.currentEpoch()
        );
        address hotkey = _hotkeys[uint256(keccak256(abi.encode(block.timestamp, uid))) % _hotkeys.length];
        if (registry.uidOf(ONE, hotkey) != 0) {
            hotkey = vm.addr(7000 + ++_newcomers);
            _hotkeys.push(hotkey);
        }
        address owner = registry.ownerOfHotkey(hotkey);
        attempt(
            address(registry),
            owner == address(0) ? _owners[_newcomers % 3] : owner,
            abi.encodeCall(registry.registerNeuronEvicting, (ONE, hotkey, "", 0, proof))
        );
    }

    /// @dev What the rules refuse at the moment is part of the game.
    function attempt(
        address target,
        address caller,
        bytes memory data
    ) internal {
        vm.prank(caller);
        (bool ok,) = target.call(data);
        ok;
    }
}

/// @notice [SN] A subnet with three validators of distinct owners is found eligible cheaply, and exactly when it is.
contract StakingEligibilityTest is SeatsTest {
    uint256 private constant STEPS = 40;
    uint256 private constant ACTIONS = 16;
    /// @dev One word of the subnet, one for all subnets, and the call.
    uint256 private constant REMEMBERED = 8500;

    function makeTrio() private {
        gate.openMarkets();
        pools.setCirculating(ONE, 1000e18);
        stake(HB, 15e18);
        stake(HC, 15e18);
        stake(HD, 15e18);
        // The virtual stake of HA is gone by now.
        warpToEpoch(20);
        vm.assertTrue(checkEligible(19));
        warpToEpoch(22);
    }

    function gasOfCheck(
        uint64 epoch
    ) private returns (uint256 spent) {
        vm.cool(address(staking));
        spent = gasleft();
        vm.assertTrue(checkEligible(epoch));
        spent -= gasleft();
    }

    function test_a_trio_is_remembered_from_the_next_epoch_on_for_the_price_of_a_word() public {
        makeTrio();
        vm.assertGt(gasOfCheck(20), REMEMBERED, "an epoch before what is remembered");
        vm.assertLt(gasOfCheck(21), REMEMBERED);
        warpToEpoch(21 + 256);
        vm.assertLt(gasOfCheck(20 + 256), REMEMBERED);
        vm.assertLt(gasOfCheck(20 + 256), REMEMBERED);
        vm.assertGt(gasOfCheck(21 + 256), REMEMBERED, "not for ever");
    }

    function test_small_changes_leave_the_trio_alone_and_large_ones_do_not() public {
        makeTrio();
        unstakeAs(A, HB, 7e18);
        pools.setCirculating(ONE, 1400e18);
        staking.sampleCirculation(ONE);
        vm.assertLt(gasOfCheck(21), REMEMBERED);
        unstakeAs(A, HB, 1e18);
        vm.assertGt(gasOfCheck(21), REMEMBERED, "more than half has left");
    }

    function test_a_sample_above_the_limit_forgets_the_trio() public {
        makeTrio();
        pools.setCirculating(ONE, 1501e18);
        staking.sampleCirculation(ONE);
        vm.assertGt(gasOfCheck(22), REMEMBERED);
        warpToEpoch(23);
        vm.assertTrue(checkEligible(23), "7.5 suffice for 1501 still");
        pools.setCirculating(ONE, 3001e18);
        staking.sampleCirculation(ONE);
        warpToEpoch(24);
        vm.assertFalse(checkEligible(24));
    }

    function test_an_evicted_member_forgets_the_trio() public {
        makeTrio();
        evict(1);
        vm.assertTrue(checkEligible(22), "the epoch of the eviction counts it still");
        warpToEpoch(23);
        vm.assertFalse(checkEligible(23));
    }

    function test_a_pruned_subnet_is_not_eligible() public {
        makeTrio();
        prune();
        vm.assertTrue(checkEligible(22));
        vm.assertFalse(checkEligible(23));
    }

    /// @dev With the bond divided by two the members hold half as much: not the minimum any more.
    function test_a_member_that_joins_another_subnet_divides_its_bond() public {
        gate.openMarkets();
        pools.setCirculating(ONE, 1000e18);
        bondAs(A, HB, 150e18);
        bondAs(A, HC, 150e18);
        bondAs(A, HD, 150e18);
        staking.sampleCirculation(ONE);
        warpToEpoch(22);
        vm.assertTrue(checkEligible(22));
        warpToEpoch(23);
        vm.assertLt(gasOfCheck(23), REMEMBERED);
        register(TWO, B, HB);
        vm.assertGt(gasOfCheck(23), REMEMBERED);
        pools.setCirculating(ONE, 1501e18);
        staking.sampleCirculation(ONE);
        warpToEpoch(24);
        vm.assertFalse(checkEligible(24));
    }

    /// @dev The first three by uid would not do with half their stake; three later ones would.
    function test_anybody_names_a_better_trio() public {
        gate.openMarkets();
        pools.setCirculating(ONE, 1000e18);
        stake(HA, 5e18);
        stake(HB, 20e18);
        stake(HC, 20e18);
        stake(HD, 20e18);
        warpToEpoch(22);
        vm.assertTrue(checkEligible(22));
        warpToEpoch(23);
        vm.assertGt(gasOfCheck(23), REMEMBERED, "HA has no room");
        vm.expectRevert(abi.encodeWithSelector(IStakeWeights.Staking_NoTrio.selector, ONE));
        staking.nameTrio(ONE, [HA, HB, HC]);
        vm.expectRevert(abi.encodeWithSelector(IStakeWeights.Staking_NoTrio.selector, ONE));
        staking.nameTrio(ONE, [HB, HC, HC]);
        vm.expectRevert(abi.encodeWithSelector(IStakeWeights.Staking_NoTrio.selector, TWO));
        staking.nameTrio(TWO, [HB, HC, HD]);
        staking.nameTrio(ONE, [HB, HC, HD]);
        warpToEpoch(24);
        vm.assertLt(gasOfCheck(24), REMEMBERED);
        staking.nameTrio(ONE, [HA, HB, HC]);
        vm.assertLt(gasOfCheck(24), REMEMBERED, "a trio that stands stays");
    }

    function test_only_the_registry_tells_of_seats() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeWeights.Staking_OnlyRegistry.selector, A));
        vm.prank(A);
        staking.onSeatsChanged(ONE, HB);
    }

    function test_samples_that_differ_little_are_not_noted() public {
        gate.openMarkets();
        pools.setCirculating(ONE, 6400e18);
        staking.sampleCirculation(ONE);
        warpToEpoch(1);
        pools.setCirculating(ONE, 6500e18);
        staking.sampleCirculation(ONE);
        vm.assertEq(staking.minimumStakeAt(ONE, 2), 32e18);
        pools.setCirculating(ONE, 6501e18);
        staking.sampleCirculation(ONE);
        vm.assertEq(staking.minimumStakeAt(ONE, 2), 32.505e18);
        pools.setCirculating(ONE, 6400e18);
        staking.sampleCirculation(ONE);
        vm.assertEq(staking.minimumStakeAt(ONE, 2), 32.505e18);
        pools.setCirculating(ONE, 6000e18);
        staking.sampleCirculation(ONE);
        vm.assertEq(staking.minimumStakeAt(ONE, 2), 30e18);
    }

    /// @dev Whatever happens, and whenever it is asked for whichever epoch that has begun, what is remembered is what is so.
    function testFuzz_what_is_remembered_is_always_what_is_so(
        uint256 seed
    ) public {
        for (uint256 step = 0; step < STEPS; ++step) {
            uint256 random = uint256(keccak256(abi.encode(seed, step)));
            act(random);
            uint64 epoch = staking.currentEpoch();
            for (uint64 late = 0; late < 4 && late <= epoch; ++late) {
                // Asked often, so that there is something to remember; not always, so that some of it is asked for late.
                if ((random >> (40 + late)) % 2 == 0) continue;
                bool exact = staking.eligibleAt(ONE, epoch - late);
                vm.assertTrue(checkEligible(epoch - late) == exact, "not what is so");
            }
            vm.warp(block.timestamp + (random >> 64) % (2 * LENGTH));
        }
    }

    function act(
        uint256 random
    ) private {
        address hotkey = _hotkeys[(random >> 8) % _hotkeys.length];
        uint256 amount = 10 ** ((random >> 16) % 6 + 17);
        uint256 action = random % ACTIONS;
        if (action < 4) attempt(address(staking), A, abi.encodeCall(staking.stake, (ONE, hotkey, amount)));
        else if (action < 6) attempt(address(staking), A, abi.encodeCall(staking.bond, (hotkey, amount)));
        else if (action == 6) attempt(address(staking), A, abi.encodeCall(staking.unstake, (ONE, hotkey, amount)));
        else if (action == 7) attempt(address(staking), A, abi.encodeCall(staking.unbond, (hotkey, amount)));
        else if (action == 8) slash(ONE, hotkey, (random >> 128) % 1e18);
        else if (action < 11) sample(amount);
        else if (action == 11 && gate.marketsOpenedAt() == 0) gate.openMarkets();
        else if (action == 12) evict(uint16((random >> 32) % 4));
        else if (action == 13) register2(hotkey);
        else if (action == 14) nameAny(random >> 32);
        else if (action == 15 && (random >> 32) % 8 == 0 && gate.marketsOpenedAt() != 0) prune();
    }

    function sample(
        uint256 amount
    ) private {
        pools.setCirculating(ONE, amount * 100);
        staking.sampleCirculation(ONE);
    }

    function nameAny(
        uint256 random
    ) private {
        uint256 n = _hotkeys.length;
        address[3] memory three = [_hotkeys[random % n], _hotkeys[(random >> 8) % n], _hotkeys[(random >> 16) % n]];
        attempt(address(staking), B, abi.encodeCall(staking.nameTrio, (ONE, three)));
    }

    /// @dev In the second subnet, which has no alpha: the bond is divided.
    function register2(
        address hotkey
    ) private {
        attempt(
            address(registry),
            registry.ownerOfHotkey(hotkey),
            abi.encodeCall(registry.registerNeuron, (TWO, hotkey, "", 0))
        );
    }

    /// @dev A third subnet, and a fourth in the place of the first, which earns least.
    function prune() private {
        for (uint256 n = 0; n < 2; ++n) {
            attempt(address(registry), A, abi.encodeCall(registry.registerSubnet, ("new", type(uint256).max)));
        }
    }
}

/// @notice Mesh validators whose virtual stake outlasts the horizon.
contract StakingMeshTrioTest is SeatsTest {
    function mesh() internal view override returns (IStaking.Virtual[] memory list) {
        list = new IStaking.Virtual[](3);
        for (uint256 n = 0; n < 3; ++n) {
            list[n] = IStaking.Virtual({ netuid: ONE, hotkey: [HA, HB, HC][n], weight: VIRTUAL });
        }
    }

    function fade() internal pure override returns (uint64) {
        return 1000 * LENGTH;
    }

    function test_a_member_of_virtual_stake_alone_is_watched_too() public {
        warpToEpoch(1);
        vm.expectEmit(address(staking));
        emit IStakeWeights.TrioFound(ONE, 2, [HA, HB, HC], limit());
        vm.assertTrue(checkEligible(1));
        warpToEpoch(2);
        gate.openMarkets();
        evict(1);
        pools.setCirculating(ONE, limit());
        staking.sampleCirculation(ONE);
        vm.assertTrue(checkEligible(2));
        warpToEpoch(3);
        vm.assertFalse(checkEligible(3));
    }

    /// @dev 257 epochs after this one 743 thousandths are left, of which a circulation 200 times as large needs one in 200.
    function limit() private pure returns (uint256) {
        return uint256(VIRTUAL) * 743 / 1000 * 200 >> 40 << 40;
    }
}
