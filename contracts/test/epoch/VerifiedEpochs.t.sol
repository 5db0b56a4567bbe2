// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { RewardKind } from "../../src/types/Types.sol";
import { DistributorTest } from "../support/DistributorTest.sol";

/// @notice How the launch knows that somebody works.
contract VerifiedEpochsTest is DistributorTest {
    function test_verifiedEpochsCountDistinctRootsThatPaidAContributor() public {
        _contribute(one, 1000);
        _close(0, true, 1e18);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](3);
        bytes32[] memory tree;
        for (uint64 e = 1; e < 4; ++e) {
            cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 10 * e);
            cs[1] = _claimOf(1, RewardKind.ContributorAlpha, alice, 10 * e);
            cs[2] = _claimOf(2, RewardKind.ValidatorUsdc, bob, 10 * e);
            tree = _activate(e, cs);
            distributor.claim(cs[1], _proofOf(tree, 1));
            vm.assertEq(distributor.verifiedEpochs(alice), e - 1, "the launch knows no alpha");
            distributor.claim(cs[0], _proofOf(tree, 0));
            distributor.claim(cs[2], _proofOf(tree, 2));
            distributor.claim(cs[0], _proofOf(tree, 0));
            vm.assertEq(distributor.verifiedEpochs(alice), e);
        }
        vm.assertEq(distributor.verifiedEpochs(bob), 0);
        cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 40);
        tree = _activate(4, cs);
        cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 50);
        _activate(5, cs);
        cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 40);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 10);
        vm.assertEq(distributor.verifiedEpochs(alice), 3, "the root before pays and does not count");
    }
}
