// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { PositionalMerkle } from "../../src/epoch/PositionalMerkle.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { Netuid, RewardKind } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";

contract RewardDistributorTest is EconomyWorld {
    /// @dev What npm's @openzeppelin/merkle-tree 1.0.8 computes for `_vectorClaims`, padded with three zero leaves:
    /// SimpleMerkleTree.of(leaves, { sortLeaves: false, nodeHash: (l, r) => keccak256(l ‖ r) }).
    bytes32 internal constant NPM_ROOT = 0xd1aee2a1e6d540ef485bf69ff9737f65465e8870d8edfc6caf97aa6a39576c0c;

    Netuid internal one;
    address internal alice = makeActor("alice");
    address internal bob = makeActor("bob");

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        _openMarkets();
    }

    function rootOf(
        bytes32 leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external pure returns (bytes32) {
        return PositionalMerkle.rootOf(leaf, index, proof);
    }

    function test_treeAndLeavesAreThoseOfTheNpmLibrary() public view {
        IRewardDistributor.Claim[] memory cs = _vectorClaims();
        bytes32[] memory leaves = _leavesOf(cs);
        vm.assertEq(leaves[0], 0xe8a8caec9490364804eba2886f3b80ffebcbd9a88b7d521686d63a532d42a156);
        vm.assertEq(leaves[4], 0x3bc51b49ca5a13460ef86ec173ab81a4724b2bd15d43cafb50e5c088a22b7d57);
        vm.assertEq(_treeOf(leaves)[0], NPM_ROOT);

        bytes32[] memory proof = new bytes32[](3);
        proof[0] = 0x8e5d00d85130749a90f2ab7a6ceb639b1126881a80bd48ad2032ab7091ff0533;
        proof[1] = 0x2a080fcef2b5326876a363abc32f65392a159fa650ab5bb18e9e9976bb5a26de;
        proof[2] = 0xb47985be5117c066c6c57d937d6d995e629be74a30237c0ffe56b9b5a203040d;
        vm.assertEq(this.rootOf(leaves[3], 3, proof), NPM_ROOT);
        proof[0] = bytes32(0);
        proof[1] = 0xad3228b676f7d3cd4284a5443f17f1962b36e491b30a40b2405849e597ba5fb5;
        proof[2] = 0x95addeb10635d3f48d136187dc2971ac10ca4ed93083386b27fcbf88285dc447;
        vm.assertEq(this.rootOf(leaves[4], 4, proof), NPM_ROOT);
    }

    /// @dev [EP-5]: a leaf proves one position and no other.
    function testFuzz_aProofHoldsAtItsPositionOnly(
        bytes32[16] memory values,
        uint256 place,
        uint256 claimed
    ) public view {
        bytes32[] memory leaves = new bytes32[](16);
        for (uint256 i = 0; i < 16; ++i) {
            leaves[i] = keccak256(abi.encode(values[i], i));
        }
        place = bound(place, 0, 15);
        claimed = bound(claimed, 0, 15);
        bytes32[] memory tree = _treeOf(leaves);
        bool same = this.rootOf(leaves[place], claimed, _proofOf(tree, place)) == tree[0];
        vm.assertEq(same, claimed == place);
    }

    function test_anIndexBeyondTheTreeIsRefused() public {
        bytes32[] memory proof = new bytes32[](3);
        vm.expectRevert(
            abi.encodeWithSelector(PositionalMerkle.PositionalMerkle_IndexOutOfTree.selector, uint256(8), uint256(3))
        );
        this.rootOf(bytes32(0), 8, proof);
    }

    function test_potsSplitByRoleWithDustToContributors() public {
        _contribute(one, 101);
        _close(0, true, 1e18 + 1);
        _assertGranted(RewardKind.OwnerUsdc, 18);
        _assertGranted(RewardKind.ValidatorUsdc, 39);
        _assertGranted(RewardKind.KeeperUsdc, 4);
        _assertGranted(RewardKind.ContributorUsdc, 40);
        _assertGranted(RewardKind.OwnerAlpha, 0.18e18);
        _assertGranted(RewardKind.ValidatorAlpha, 0.41e18);
        _assertGranted(RewardKind.ContributorAlpha, 0.41e18 + 1);
    }

    /// @dev [EP-4]: carried for as long as it takes; money of a later epoch does not count early.
    function test_potsOfIneligibleEpochsAreCarriedWhole() public {
        _contribute(one, 100);
        _toEpoch(1);
        _contribute(one, 1000);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.PotCarried(0, one, 100);
        _close(0, false, 0);
        vm.assertEq(distributor.potOf(0, one), 100);
        vm.assertEq(distributor.potOf(1, one), 1100);
        _toEpoch(2);
        _contribute(one, 5);
        vm.assertEq(_close(1, true, 0), 1100);
        vm.assertEq(distributor.potOf(1, one), 0);
        vm.assertEq(_close(2, true, 0), 5);
    }

    function test_contributionsNeedASubnetAndZeroIsIgnored() public {
        vm.expectRevert(IRewardDistributor.RewardDistributor_NoSubnet.selector);
        distributor.contribute(Netuid.wrap(0), 1);
        distributor.contribute(one, 0);
        vm.assertEq(distributor.potOf(0, one), 0);
    }

    function test_onlyControllerGrantsAndOnlyTheOracleActivates() public {
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.RewardDistributor_OnlyController.selector, alice));
        distributor.closeEpoch(0, one, true, 1);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.RewardDistributor_OnlyOracle.selector, alice));
        distributor.activateRoot(0, bytes32(0));
        vm.stopPrank();
    }

    function test_usdcAndAlphaArePaidToThePayoutAddressByAnyone() public {
        _contribute(one, 1000);
        _close(0, true, 100e18);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](2);
        cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 300);
        cs[1] = _claimOf(1, RewardKind.ContributorAlpha, bob, 41e18);
        bytes32[] memory tree = _activate(0, cs);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.PayoutChanged(alice, trader);
        vm.prank(alice);
        distributor.setPayout(trader);
        vm.assertEq(distributor.payoutOf(alice), trader);

        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Claimed(one, RewardKind.ContributorUsdc, alice, trader, 300, 300);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 300);
        vm.assertEq(distributor.claim(cs[1], _proofOf(tree, 1)), 41e18);
        vm.assertEq(usdc.balanceOf(trader), 300);
        vm.assertEq(AlphaToken(pools.alphaOf(one)).balanceOf(bob), 41e18);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 0, "twice pays nothing");
        vm.assertEq(distributor.paidTo(one, RewardKind.ContributorUsdc, alice), 300);

        vm.prank(alice);
        distributor.setPayout(address(0));
        vm.assertEq(distributor.payoutOf(alice), alice);
    }

    /// @dev [EP-3]: partial payment, never a revert, and the rest once there is budget again.
    function test_aClaimAboveItsBudgetIsPaidInParts() public {
        _contribute(one, 100);
        _close(0, true, 0);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](1);
        cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 60);
        bytes32[] memory tree = _activate(0, cs);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 39);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 0);
        _toEpoch(1);
        _contribute(one, 100);
        _close(1, true, 0);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 21);
    }

    /// @dev [EP-3] whatever roots say: per (netuid, kind) claimed <= granted, and the contract covers what is granted.
    function testFuzz_neverMoreIsClaimedThanGranted(
        uint128[8] memory cumulatives,
        uint64 pot,
        uint64 alpha
    ) public {
        _contribute(one, pot);
        _close(0, true, alpha);
        for (uint64 e = 0; e < 2; ++e) {
            IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](8);
            for (uint256 i = 0; i < 8; ++i) {
                uint256 cumulative = uint256(cumulatives[i]) << e;
                cs[i] = _claimOf(i, RewardKind(i % 7), i % 2 == 0 ? alice : bob, cumulative);
            }
            bytes32[] memory tree = _activate(e, cs);
            bytes32[][] memory proofs = new bytes32[][](8);
            for (uint256 i = 0; i < 8; ++i) {
                proofs[i] = _proofOf(tree, i);
            }
            distributor.claimBatch(cs, proofs);
        }
        uint256 usdcLeft;
        for (uint256 k = 0; k < 7; ++k) {
            IRewardDistributor.Budget memory budget = distributor.budgetOf(one, RewardKind(k));
            vm.assertLe(budget.claimed, budget.granted, "EP-3");
            uint256 paid = distributor.paidTo(one, RewardKind(k), alice) + distributor.paidTo(one, RewardKind(k), bob);
            vm.assertEq(paid, budget.claimed);
            if (k > 2) usdcLeft += budget.granted - budget.claimed;
        }
        vm.assertEq(usdc.balanceOf(address(distributor)), usdcLeft);
    }

    function test_theLastTwoRootsAreValidAndNoOther() public {
        _contribute(one, 1000);
        _close(0, true, 0);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](1);
        cs[0] = _claimOf(0, RewardKind.OwnerUsdc, alice, 10);
        bytes32[] memory first = _activate(0, cs);
        _activate(1, _vectorClaims());
        (bytes32 current, bytes32 previous, uint64 epoch) = distributor.roots();
        vm.assertEq(current, NPM_ROOT);
        vm.assertEq(previous, first[0]);
        vm.assertEq(epoch, 1);
        bytes32[] memory proof = _proofOf(first, 0);
        vm.assertEq(distributor.claim(cs[0], proof), 10);
        _activate(2, _vectorClaims());
        vm.expectRevert(IRewardDistributor.RewardDistributor_InvalidProof.selector);
        distributor.claim(cs[0], proof);
    }

    function test_aBatchSkipsWhatFails() public {
        _contribute(one, 1000);
        _close(0, true, 0);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](3);
        cs[0] = _claimOf(0, RewardKind.OwnerUsdc, alice, 10);
        cs[1] = _claimOf(1, RewardKind.OwnerUsdc, bob, 10);
        cs[2] = _claimOf(2, RewardKind.KeeperUsdc, bob, 10);
        bytes32[] memory tree = _activate(0, cs);
        bytes32[][] memory proofs = new bytes32[][](3);
        proofs[0] = _proofOf(tree, 0);
        proofs[1] = _proofOf(tree, 0); // not its place
        proofs[2] = _proofOf(tree, 2);
        usdc.blacklist(alice);
        vm.assertEq(distributor.claimBatch(cs, proofs), 1, "blacklisted, wrong proof, paid");
        vm.assertEq(usdc.balanceOf(bob), 10);
        vm.prank(alice);
        distributor.setPayout(trader);
        vm.assertEq(distributor.claimBatch(cs, proofs), 1, "a payout address helps");
        vm.assertEq(usdc.balanceOf(trader), 10);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.RewardDistributor_LengthMismatch.selector, 3, 2));
        distributor.claimBatch(cs, new bytes32[][](2));
    }

    function test_verifiedEpochsCountDistinctRootsThatPaidAContributor() public {
        _contribute(one, 1000);
        _close(0, true, 1e18);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](3);
        for (uint64 e = 1; e < 4; ++e) {
            cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 10 * e);
            cs[1] = _claimOf(1, RewardKind.ContributorAlpha, alice, 10 * e);
            cs[2] = _claimOf(2, RewardKind.ValidatorUsdc, bob, 10 * e);
            bytes32[] memory tree = _activate(e, cs);
            distributor.claim(cs[0], _proofOf(tree, 0));
            distributor.claim(cs[1], _proofOf(tree, 1));
            distributor.claim(cs[2], _proofOf(tree, 2));
            distributor.claim(cs[0], _proofOf(tree, 0));
            vm.assertEq(distributor.verifiedEpochs(alice), e);
        }
        vm.assertEq(distributor.verifiedEpochs(bob), 0);
    }

    function _close(
        uint64 epoch,
        bool eligible,
        uint256 alpha
    ) private returns (uint256) {
        vm.prank(address(controller));
        return distributor.closeEpoch(epoch, one, eligible, alpha);
    }

    function _assertGranted(
        RewardKind kind,
        uint256 amount
    ) private view {
        vm.assertEq(distributor.budgetOf(one, kind).granted, amount);
    }

    function _claimOf(
        uint256 index,
        RewardKind kind,
        address account,
        uint256 cumulative
    ) private view returns (IRewardDistributor.Claim memory) {
        return
            IRewardDistributor.Claim({
                index: index, kind: kind, netuid: one, account: account, cumulative: cumulative
            });
    }

    function _activate(
        uint64 epoch,
        IRewardDistributor.Claim[] memory cs
    ) private returns (bytes32[] memory tree) {
        tree = _treeOf(_leavesOf(cs));
        vm.prank(oracle);
        distributor.activateRoot(epoch, tree[0]);
    }

    function _vectorClaims() private pure returns (IRewardDistributor.Claim[] memory cs) {
        cs = new IRewardDistributor.Claim[](5);
        cs[0] = _vector(0, RewardKind.ContributorAlpha, 1, 0x11, 100);
        cs[1] = _vector(1, RewardKind.ContributorUsdc, 1, 0x22, 2_000_000);
        cs[2] = _vector(2, RewardKind.KeeperUsdc, 1, 0x33, 7);
        cs[3] = _vector(3, RewardKind.ContributorAlpha, 2, 0x44, 1e18);
        cs[4] = _vector(4, RewardKind.OwnerAlpha, 3, 0x55, 1 << 200);
    }

    /// @dev An account whose address repeats one byte.
    function _vector(
        uint256 index,
        RewardKind kind,
        uint16 netuid,
        uint160 b,
        uint256 cumulative
    ) private pure returns (IRewardDistributor.Claim memory) {
        address account = address(b * (type(uint160).max / 0xff));
        return IRewardDistributor.Claim({
            index: index, kind: kind, netuid: Netuid.wrap(netuid), account: account, cumulative: cumulative
        });
    }

    /// @dev Leaves of a tree of at least eight places.
    function _leavesOf(
        IRewardDistributor.Claim[] memory cs
    ) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](8);
        for (uint256 i = 0; i < cs.length; ++i) {
            IRewardDistributor.Claim memory c = cs[i];
            bytes32 inner =
                keccak256(abi.encode(c.index, uint8(c.kind), Netuid.unwrap(c.netuid), c.account, c.cumulative));
            leaves[i] = keccak256(bytes.concat(inner));
        }
    }

    /// @dev In npm's layout: the root first, leaf i at the end less i.
    function _treeOf(
        bytes32[] memory leaves
    ) private pure returns (bytes32[] memory tree) {
        uint256 size = 2 * leaves.length - 1;
        tree = new bytes32[](size);
        for (uint256 i = 0; i < leaves.length; ++i) {
            tree[size - 1 - i] = leaves[i];
        }
        for (uint256 place = leaves.length - 1; place > 0; --place) {
            tree[place - 1] = keccak256(abi.encode(tree[2 * place - 1], tree[2 * place]));
        }
    }

    function _proofOf(
        bytes32[] memory tree,
        uint256 index
    ) private pure returns (bytes32[] memory proof) {
        uint256 depth;
        while (2 ** (depth + 1) - 1 < tree.length) {
            ++depth;
        }
        proof = new bytes32[](depth);
        uint256 place = tree.length - 1 - index;
        for (uint256 level = 0; level < depth; ++level) {
            proof[level] = tree[place % 2 == 1 ? place + 1 : place - 1];
            place = (place - 1) / 2;
        }
    }
}
