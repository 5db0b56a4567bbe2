// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { Netuid } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";
import { Vm } from "../support/Test.sol";

/// @notice [EM-2] Who settles, when and in which batches never changes what anyone is granted: a history of burns, trades, pots,
/// new and pruned subnets is settled in many ways, and what each way granted is compared word for word.
contract SettleInAnyBatchesTest is EconomyWorld {
    Netuid internal one;
    Netuid internal two;

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        two = _addSubnet();
        _addSubnet();
        _openMarkets();
    }

    function testFuzz_anyBatchesGrantTheSame(
        uint256[12] memory moves,
        uint256 batch
    ) public {
        uint64 epochs = _live(moves);
        uint256 snapshot = vm.snapshotState();
        controller.settle(type(uint256).max);
        bytes32 atOnce = _outcome(epochs);

        vm.assertTrue(vm.revertToState(snapshot));
        while (controller.settledThrough() < epochs) {
            controller.settle(1);
        }
        vm.assertEq(_outcome(epochs), atOnce, "one visit at a time");

        vm.assertTrue(vm.revertToState(snapshot));
        for (uint256 i = 0; controller.settledThrough() < epochs; ++i) {
            vm.prank(i % 2 == 0 ? trader : guardian);
            controller.settle(uint256(keccak256(abi.encode(batch, i))) % 7);
        }
        vm.assertEq(_outcome(epochs), atOnce, "batches of any size");
    }

    /// @dev Much later, with trades, pours, burns, revenue and a pruning between the calls.
    function testFuzz_anyDelayGrantsTheSame(
        uint256[12] memory moves,
        uint256 batch
    ) public {
        uint64 epochs = _live(moves);
        uint256 snapshot = vm.snapshotState();
        controller.settle(type(uint256).max);
        bytes32 atOnce = _outcome(epochs);

        vm.assertTrue(vm.revertToState(snapshot));
        for (uint256 i = 0; controller.settledThrough() < epochs; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(batch, i)));
            controller.settle(1 + dice % 7);
            vm.warp(block.timestamp + bound(dice >> 8, 1, 2 * L));
            _sponsor(one, 1e18 + (dice >> 16) % 1e21);
            if (dice % 3 == 0) _buy(two, 1e18);
            if (dice % 5 == 0) pools.pour(one);
            _contribute(one, 1 + (dice >> 32) % 1e9);
            if (i == 2) registry.prune(two, pools.currentEpoch() + 1);
        }
        vm.assertEq(_outcome(epochs), atOnce);
    }

    /// @dev Promptly each epoch, or all at the end; also where late burns have to wait beside each other.
    function testFuzz_promptOrLateGrantsTheSame(
        uint256[8] memory burns,
        uint256 rhythm
    ) public {
        uint256 snapshot = vm.snapshotState();
        bytes32 prompt = _burnThrough(burns, 1);
        vm.assertTrue(vm.revertToState(snapshot));
        vm.assertEq(_burnThrough(burns, 100), prompt, "all at the end");
        vm.assertTrue(vm.revertToState(snapshot));
        vm.assertEq(_burnThrough(burns, bound(rhythm, 2, 5)), prompt, "every few epochs");
    }

    /// @dev All that one call emits arrives by one transfer, whatever it closes.
    function test_oneCallMovesTndmOnce() public {
        _sponsor(one, 1000e18);
        _sponsor(two, 500e18);
        _toEpoch(5);
        uint256 before = tndm.balanceOf(address(pools));
        vm.recordLogs();
        controller.settle(1000);
        uint256 transfers;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == address(tndm)) ++transfers;
        }
        vm.assertEq(transfers, 1);
        vm.assertEq(tndm.balanceOf(address(pools)) - before, controller.totalEmitted());
        vm.assertGt(controller.totalEmitted(), 0);
    }

    /// @dev A call that stops in the middle hands over what it has granted so far, and what it weighed is not weighed again.
    function test_aHalfClosedEpochGoesOnWhereItStopped() public {
        _sponsor(one, 1000e18);
        _sponsor(two, 500e18);
        _toEpoch(2);
        _settleAll();
        _toEpoch(3);
        // Three visits to weigh, three to share, one to pay.
        controller.settle(7);
        vm.assertEq(controller.settledThrough(), 2);
        uint256 emitted = controller.ledgerOf(one).emitted - controller.grantOf(1, one).emitted;
        vm.assertEq(controller.totalEmitted(), controller.ledgerOf(one).emitted + controller.ledgerOf(two).emitted);
        vm.assertGt(emitted, 0);
        vm.assertEq(tndm.balanceOf(address(controller)), VAULT - controller.totalEmitted());
        vm.expectRevert(
            abi.encodeWithSelector(IEmissionController.EmissionController_NoGrant.selector, uint64(2), uint64(0), 2)
        );
        controller.grantOf(2, one);
        vm.assertEq(controller.settle(2), 3);
        vm.assertEq(controller.grantOf(2, one).emitted, emitted);
    }

    function _live(
        uint256[12] memory moves
    ) private returns (uint64 epochs) {
        for (uint256 i = 0; i < moves.length; ++i) {
            Netuid netuid = Netuid.wrap(uint16(1 + (moves[i] >> 8) % 3));
            uint256 size = moves[i] >> 16;
            uint256 kind = moves[i] % 6;
            if (kind <= 1) _sponsor(netuid, bound(size, 1, 50_000e18));
            else if (kind == 2) _buy(netuid, bound(size, 1e6, 1000e18));
            else if (kind == 3) _contribute(netuid, bound(size, 1, 1e9));
            else if (kind == 4) _addSubnet();
            else pools.pour(netuid);
            vm.warp(block.timestamp + bound(size >> 8, 1, L));
        }
        vm.warp(pools.endOf(pools.currentEpoch() + 2));
        return pools.currentEpoch();
    }

    function _burnThrough(
        uint256[8] memory burns,
        uint256 rhythm
    ) private returns (bytes32) {
        for (uint64 e = 0; e < burns.length; ++e) {
            _toEpoch(e);
            if (e % rhythm == rhythm - 1) _settleAll();
            // Not in every epoch, and more than once in some.
            if (burns[e] % 4 != 0) _sponsor(one, bound(burns[e], 1, 20_000e18));
            if (burns[e] % 3 != 0) _sponsor(Netuid.wrap(uint16(1 + burns[e] % 2)), bound(burns[e] >> 8, 1, 5000e18));
        }
        _toEpoch(14);
        _settleAll();
        return _outcome(14);
    }

    /// @dev Everything that was granted in epochs before `epochs`.
    function _outcome(
        uint64 epochs
    ) private view returns (bytes32 hash) {
        uint16 count = registry.subnetCount();
        for (uint16 n = 1; n <= count; ++n) {
            for (uint64 e = 0; e < epochs; ++e) {
                hash = keccak256(abi.encode(hash, controller.grantOf(e, Netuid.wrap(n))));
            }
        }
    }
}
