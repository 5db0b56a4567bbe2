// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { HyperparameterPacking } from "../../src/subnet/HyperparameterPacking.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { decayedUp } from "../../src/subnet/PriceDecay.sol";
import { Test } from "../support/Test.sol";

contract SubnetMathsTest is Test {
    function test_a_price_halves_exactly_at_each_half_life() public pure {
        vm.assertEq(decayedUp(4096, 0, 7), 4096);
        for (uint256 n = 1; n <= 12; ++n) {
            vm.assertEq(decayedUp(4096, 7 * n, 7), uint256(4096) >> n);
        }
        vm.assertEq(decayedUp(4096, 7 * 40, 7), 1, "rounded up to the last unit");
        vm.assertEq(decayedUp(4096, 7 * 128, 7), 0);
    }

    function testFuzz_a_decaying_price_never_rises_and_stays_between_its_halvings(
        uint128 price,
        uint64 elapsed,
        uint64 step,
        uint32 halfLife
    ) public pure {
        uint256 h = bound(halfLife, 1, type(uint32).max);
        uint256 t = bound(elapsed, 0, 127 * h);
        uint256 now_ = decayedUp(price, t, h);
        vm.assertLe(decayedUp(price, t + step, h), now_);
        uint256 halvings = t / h;
        vm.assertLe(now_, (uint256(price) >> halvings) + 1);
        vm.assertGe(now_, uint256(price) >> (halvings + 1));
    }

    function testFuzz_packed_hyperparameters_come_back_the_same(
        uint16 kappa,
        uint32 average,
        uint16 penalty,
        uint16 validators,
        uint16 uids,
        uint64 cutoff
    ) public pure {
        ISubnetRegistry.Hyperparameters memory p = ISubnetRegistry.Hyperparameters({
            kappa: kappa,
            bondsMovingAverage: average,
            bondsPenalty: penalty,
            maxValidators: validators,
            maxUids: uids,
            activityCutoff: cutoff
        });
        ISubnetRegistry.Hyperparameters memory q = HyperparameterPacking.unpack(HyperparameterPacking.pack(p));
        vm.assertEq(keccak256(abi.encode(p)), keccak256(abi.encode(q)));
    }
}
