// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";

/// @notice What closing an epoch costs in steady state: transactions of their own (cold storage), every subnet emits, earlier epochs have
/// left no slot fresh. Registry and staking are stand-ins, so this watches the controller, the pools and the distributor;
/// `cargo xtask bench gas` measures the deployed code of all.
contract SettleGasTest is EconomyWorld {
    /// @dev Bound of the marginal cost of a subnet, in code that was not compiled through IR.
    uint256 private constant PER_SUBNET = 55_000;

    /// forge-config: default.isolate = true
    function test_eachFurtherSubnetCostsLittle() public {
        uint256 snapshot = vm.snapshotState();
        uint256 first = _measured(1);
        vm.assertTrue(vm.revertToState(snapshot));
        uint256 ten = _measured(10);
        vm.assertTrue(vm.revertToState(snapshot));
        uint256 twenty = _measured(20);
        emit Measured(first, ten, twenty, (twenty - ten) / 10);
        vm.assertLt((twenty - ten) / 10, PER_SUBNET);
        vm.assertLt((ten - first) / 9, PER_SUBNET);
    }

    event Measured(uint256 one, uint256 ten, uint256 twenty, uint256 perSubnet);

    function _measured(
        uint256 count
    ) private returns (uint256) {
        gate.open();
        for (uint256 i = 0; i < count; ++i) {
            _sponsor(_addSubnet(), 10_000e18);
        }
        for (uint64 e = 1; e <= 4; ++e) {
            _toEpoch(e);
            controller.settle(1000);
        }
        // The ring of grants goes round once; epochs in which nobody is eligible are cheaper to pass.
        for (uint16 n = 1; n <= count; ++n) {
            staking.setEligibleFrom(Netuid.wrap(n), 256);
        }
        for (uint64 e = 10; e <= 260; e += 10) {
            _toEpoch(e > 258 ? 258 : e);
            controller.settle(10_000);
        }
        _toEpoch(259);
        controller.settle(1000);
        return vm.lastCallGas().gasTotalUsed;
    }
}
