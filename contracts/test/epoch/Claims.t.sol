// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { Netuid, RewardKind } from "../../src/types/Types.sol";
import { closeBudget } from "../support/Closings.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";
import { RewardTree } from "../support/RewardTree.sol";

/// @notice Who is paid where, and the slot that a contributor's first subnet shares with its verified epochs.
contract ClaimsTest is EconomyWorld {
    using RewardTree for IRewardDistributor.Claim[];

    Netuid private one;
    Netuid private two;
    address private alice = makeActor("alice");
    address private wallet = makeActor("wallet");
    IRewardDistributor.Claim[] private tree;

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        two = _addSubnet();
        _openMarkets();
    }

    function test_whoClaimsItsOwnIsPaidItselfWhateverItsPayoutAddress() public {
        _grant(0);
        _promise(one, RewardKind.ContributorUsdc, alice, 300);
        _promise(one, RewardKind.ContributorAlpha, alice, 2e18);
        _activate(0);
        vm.startPrank(alice);
        distributor.setPayout(wallet);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Claimed(alice, RewardKind.ContributorUsdc, one, 300);
        vm.assertEq(distributor.claimOwn(0, RewardKind.ContributorUsdc, one, 300, tree.proofOf(0)), 300);
        vm.assertEq(distributor.claimOwn(1, RewardKind.ContributorAlpha, one, 2e18, tree.proofOf(1)), 2e18);
        vm.assertEq(distributor.claimOwn(0, RewardKind.ContributorUsdc, one, 300, tree.proofOf(0)), 0, "twice");
        vm.stopPrank();
        vm.assertEq(usdc.balanceOf(alice), 300);
        vm.assertEq(AlphaToken(pools.alphaOf(one)).balanceOf(alice), 2e18);
        vm.assertEq(usdc.balanceOf(wallet), 0);
        vm.assertEq(distributor.claim(tree[0], tree.proofOf(0)), 0, "the books are the same");
        vm.assertEq(distributor.verifiedEpochs(alice), 1);
    }

    function test_nobodyClaimsAnothersAsItsOwn() public {
        _grant(0);
        _promise(one, RewardKind.ValidatorUsdc, alice, 300);
        _activate(0);
        bytes32[] memory proof = tree.proofOf(0);
        vm.prank(wallet);
        vm.expectRevert(IRewardDistributor.RewardDistributor_InvalidProof.selector);
        distributor.claimOwn(0, RewardKind.ValidatorUsdc, one, 300, proof);
    }

    /// @dev A payment that fails leaves books and count as they were, in the first subnet and in others.
    function test_aFailedPaymentCountsNoVerifiedEpoch() public {
        _grant(0);
        _promise(one, RewardKind.ContributorUsdc, alice, 100);
        _promise(two, RewardKind.ContributorUsdc, alice, 200);
        _activate(0);
        usdc.blacklist(alice);
        vm.assertEq(_claimAll(), 0);
        _assertBooks(0, 0, 0);
        usdc.unBlacklist(alice);
        vm.assertEq(_claimAll(), 2);
        _assertBooks(100, 200, 1);

        _toEpoch(1);
        _grant(1);
        tree[0].cumulative = 110;
        tree[1].cumulative = 210;
        _activate(1);
        usdc.blacklist(alice);
        vm.assertEq(_claimAll(), 0);
        _assertBooks(100, 200, 1);
        vm.prank(alice);
        distributor.setPayout(wallet);
        vm.assertEq(_claimAll(), 2);
        _assertBooks(110, 210, 2);
    }

    /// @dev Whatever is claimed in which order, each subnet's sum is what was paid, and an epoch counts once.
    function testFuzz_aContributorOfManySubnetsHasOneCountAndASumForEach(
        uint8[16] memory steps
    ) public {
        _grant(0);
        _promise(one, RewardKind.ContributorUsdc, alice, 0);
        _promise(two, RewardKind.ContributorUsdc, alice, 0);
        _promise(one, RewardKind.OwnerUsdc, wallet, 0);
        uint256[2] memory paid;
        uint256 verified;
        for (uint64 e = 1; e < 8; ++e) {
            _toEpoch(e);
            _grant(e);
            tree[0].cumulative += steps[2 * e] % 5;
            tree[1].cumulative += steps[2 * e + 1] % 5;
            // So that each epoch has a root of its own.
            ++tree[2].cumulative;
            _activate(e);
            bool due;
            for (uint256 k = 0; k < 2; ++k) {
                uint256 i = (steps[0] >> e) & 1 == 1 ? 1 - k : k;
                if ((steps[1] >> e) & 1 == 1 && i == 0) continue;
                uint256 amount = distributor.claim(tree[i], tree.proofOf(i));
                paid[i] += amount;
                vm.assertEq(paid[i], tree[i].cumulative);
                due = due || amount > 0;
            }
            if (due) ++verified;
            _assertBooks(paid[0], paid[1], verified);
        }
        vm.assertEq(usdc.balanceOf(alice), paid[0] + paid[1]);
    }

    function _assertBooks(
        uint256 inOne,
        uint256 inTwo,
        uint256 verified
    ) private view {
        vm.assertEq(distributor.paidTo(one, RewardKind.ContributorUsdc, alice), inOne);
        vm.assertEq(distributor.paidTo(two, RewardKind.ContributorUsdc, alice), inTwo);
        vm.assertEq(distributor.budgetOf(one, RewardKind.ContributorUsdc).claimed, inOne);
        vm.assertEq(distributor.budgetOf(two, RewardKind.ContributorUsdc).claimed, inTwo);
        vm.assertEq(distributor.verifiedEpochs(alice), verified);
    }

    function _claimAll() private returns (uint256) {
        bytes32[][] memory proofs = new bytes32[][](2);
        (proofs[0], proofs[1]) = (tree.proofOf(0), tree.proofOf(1));
        return distributor.claimBatch(tree, proofs);
    }

    function _promise(
        Netuid netuid,
        RewardKind kind,
        address account,
        uint256 cumulative
    ) private {
        tree.push(
            IRewardDistributor.Claim({
                index: tree.length, kind: kind, netuid: netuid, account: account, cumulative: cumulative
            })
        );
    }

    function _activate(
        uint64 epoch
    ) private {
        bytes32 root = tree.rootOf();
        vm.prank(oracle);
        distributor.activateRoot(epoch, root);
    }

    function _grant(
        uint64 epoch
    ) private {
        _contribute(one, 1000);
        _contribute(two, 1000);
        vm.startPrank(address(controller));
        closeBudget(distributor, epoch, one, true, 10e18);
        closeBudget(distributor, epoch, two, true, 10e18);
        vm.stopPrank();
    }
}
