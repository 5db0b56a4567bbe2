// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GrantWord, MAX_PER_EPOCH, MAX_USDC, MAX_WORTH, packGrant } from "../../src/emission/GrantWord.sol";
import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { packDown, packLikeDown } from "../../src/epoch/RewardShares.sol";
import { Netuid } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";
import { Vm } from "../support/Test.sol";

/// @notice The words in which the controller tells neighbours and the world what an epoch granted.
contract GrantWordsTest is EconomyWorld {
    uint256 private constant SUBNETS = 3;

    function testFuzz_whatIsPackedIsRead(
        uint80 emitted,
        uint80 alphaOut,
        uint256 worth,
        uint256 usdc,
        bool eligible,
        uint24 lap,
        uint24 other
    ) public pure {
        GrantWord word = packGrant(emitted, alphaOut, worth, eligible);
        vm.assertEq(word.emitted(), emitted);
        vm.assertEq(word.alphaOut(), alphaOut);
        vm.assertEq(word.worth(), worth < MAX_WORTH ? worth : MAX_WORTH);
        vm.assertEq(word.isEligible(), eligible);
        vm.assertEq(word.isZero(), emitted == 0 && alphaOut == 0);
        GrantWord kept = word.beside(usdc, lap);
        IEmissionController.Grant memory grant = kept.unpack(lap);
        vm.assertEq(grant.emitted, emitted);
        vm.assertEq(grant.alphaOut, alphaOut);
        vm.assertEq(grant.usdc, usdc < MAX_USDC ? usdc : MAX_USDC);
        if (other != lap) vm.assertEq(kept.unpack(other).emitted, 0, "another lap");
    }

    /// @dev Whatever was packed before, the same sixteen bits.
    function testFuzz_aGuessedExponentChangesNothing(
        uint256 amount,
        uint16 before,
        uint8 bits
    ) public pure {
        amount = (amount >> 129) >> (bits % 127);
        vm.assertEq(packLikeDown(amount, before), packDown(amount));
        vm.assertEq(packLikeDown(amount, packDown(amount)), packDown(amount));
    }

    /// @dev [EM-2] Each subnet is told once for an epoch that changed something for it, with what `grantOf` and the ledger say.
    function testFuzz_theEventSaysWhatWasGranted(
        uint256 batches
    ) public {
        for (uint256 i = 0; i < SUBNETS; ++i) {
            _addSubnet();
        }
        _openMarkets();
        _sponsor(Netuid.wrap(1), 1000e18);
        _sponsor(Netuid.wrap(3), 500e18);
        _toEpoch(2);
        _contribute(Netuid.wrap(2), 77e6);
        _settleAll();
        _toEpoch(3);
        bool[SUBNETS + 1] memory told;
        for (uint256 i = 0; controller.settledThrough() < 3; ++i) {
            vm.recordLogs();
            controller.settle(1 + uint256(keccak256(abi.encode(batches, i))) % 4);
            _read(vm.getRecordedLogs(), told);
        }
        for (uint256 n = 1; n <= SUBNETS; ++n) {
            vm.assertTrue(told[n]);
            IEmissionController.Grant memory grant = controller.grantOf(2, Netuid.wrap(uint16(n)));
            vm.assertEq(grant.emitted > 0, n != 2);
            vm.assertEq(grant.usdc, n == 2 ? 77e6 : 0);
        }
    }

    function _read(
        Vm.Log[] memory logs,
        bool[SUBNETS + 1] memory told
    ) private view {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != address(controller)) continue;
            if (logs[i].topics[0] != IEmissionController.Granted.selector) continue;
            vm.assertEq(uint256(logs[i].topics[1]), 2);
            (uint256[] memory grants, uint256[] memory states) = abi.decode(logs[i].data, (uint256[], uint256[]));
            vm.assertEq(grants.length, states.length);
            for (uint256 k = 0; k < grants.length; ++k) {
                uint16 netuid = uint16(grants[k] >> 224);
                vm.assertFalse(told[netuid], "once");
                told[netuid] = true;
                if (controller.settledThrough() == 3) _compare(Netuid.wrap(netuid), grants[k], states[k]);
            }
        }
    }

    function _compare(
        Netuid netuid,
        uint256 word,
        uint256 state
    ) private view {
        IEmissionController.Grant memory grant = controller.grantOf(2, netuid);
        vm.assertEq(word & MAX_PER_EPOCH, grant.emitted);
        vm.assertEq((word >> 80) & MAX_PER_EPOCH, grant.alphaOut);
        vm.assertEq((word >> 160) & MAX_USDC, grant.usdc);
        vm.assertEq(uint128(state), controller.ledgerOf(netuid).allowance);
        vm.assertEq(state >> 128 != 0, grant.emitted != 0);
    }
}
