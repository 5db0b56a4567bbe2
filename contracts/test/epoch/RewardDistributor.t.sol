// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { PositionalMerkle } from "../../src/epoch/PositionalMerkle.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { Netuid, RewardKind } from "../../src/types/Types.sol";
import { closeBudget } from "../support/Closings.sol";
import { DistributorTest } from "../support/DistributorTest.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @notice Who is paid out of what was granted.
contract RewardDistributorTest is DistributorTest {
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

    function test_onlyControllerGrantsAndOnlyTheOracleActivates() public {
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.RewardDistributor_OnlyController.selector, alice));
        closeBudget(distributor, 0, one, true, 1);
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
        emit IRewardDistributor.Claimed(alice, RewardKind.ContributorUsdc, one, 300);
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

    /// @dev [EP-3]: the money of many epochs lies there, and one of them takes four budgets at most.
    function test_anEpochClaimsAtMostFourBudgets() public {
        for (uint64 e = 0; e < 10; ++e) {
            _toEpoch(e);
            _contribute(one, 100);
            _close(e, true, 0);
        }
        vm.assertEq(distributor.claimableNow(one, RewardKind.ContributorUsdc), 4 * 39);
        vm.assertEq(distributor.claimableNow(one, RewardKind.KeeperUsdc), 4 * 4);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](2);
        cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 300);
        cs[1] = _claimOf(1, RewardKind.ContributorUsdc, bob, 60);
        bytes32[] memory tree = _activate(0, cs);
        vm.assertEq(distributor.claim(cs[1], _proofOf(tree, 1)), 60);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 4 * 39 - 60);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 0);
        vm.assertEq(distributor.claimableNow(one, RewardKind.ContributorUsdc), 0);
        _toEpoch(10);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 4 * 39);
        _toEpoch(11);
        vm.assertEq(distributor.claim(cs[0], _proofOf(tree, 0)), 300 - 8 * 39 + 60);
    }

    /// @dev [EP-3]: where much is unclaimed, a twentieth of it is more than four budgets.
    function test_anEpochClaimsATwentiethOfWhatIsUnclaimed() public {
        _contribute(one, 100_000);
        _close(0, true, 0);
        _toEpoch(1);
        _contribute(one, 100);
        _close(1, true, 0);
        vm.assertEq(distributor.claimableNow(one, RewardKind.ContributorUsdc), 1952);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](1);
        cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 1e18);
        bytes32[] memory proof = _proofOf(_activate(0, cs), 0);
        uint256 unclaimed = 39_039;
        for (uint64 e = 1; e < 40; ++e) {
            _toEpoch(e);
            uint256 part = (unclaimed + 19) / 20;
            uint256 most = part > 4 * 39 ? part : 4 * 39;
            vm.assertEq(distributor.claim(cs[0], proof), most);
            unclaimed -= most;
        }
    }

    /// @dev [EP-3]: a grant after an epoch's first claim is claimable in that epoch, up to the limit that the first claim found.
    function test_aGrantInTheMiddleOfAnEpochIsClaimableWithinItsLimit() public {
        _contribute(one, 1000);
        _close(0, true, 0);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](1);
        cs[0] = _claimOf(0, RewardKind.ContributorUsdc, alice, 1e18);
        bytes32[] memory proof = _proofOf(_activate(0, cs), 0);
        _toEpoch(1);
        _contribute(one, 100_000);
        vm.assertEq(distributor.claim(cs[0], proof), 390);
        vm.assertEq(distributor.claim(cs[0], proof), 0);
        _close(1, true, 0);
        vm.assertEq(distributor.claimableNow(one, RewardKind.ContributorUsdc), 3 * 390);
        vm.assertEq(distributor.claim(cs[0], proof), 3 * 390);
        vm.assertEq(distributor.claim(cs[0], proof), 0);
        _toEpoch(2);
        vm.assertEq(distributor.claim(cs[0], proof), 39_000 - 3 * 390);
    }

    /// @dev [EP-3] whatever roots say and whenever: per (netuid, kind) claimed <= granted, per epoch at most the limit, and the
    /// contract covers what is granted.
    function testFuzz_neverMoreIsClaimedThanGranted(
        uint128[8] memory cumulatives,
        uint32[4] memory pots,
        uint64[4] memory alphas
    ) public {
        for (uint64 e = 0; e < 4; ++e) {
            _toEpoch(e);
            _contribute(one, pots[e]);
            _close(e, true, alphas[e]);
            uint256[7] memory claimed;
            uint256[7] memory limits;
            for (uint256 k = 0; k < 7; ++k) {
                claimed[k] = distributor.budgetOf(one, RewardKind(k)).claimed;
                limits[k] = distributor.claimableNow(one, RewardKind(k));
            }
            _claimEight(e, cumulatives);
            _claimEight(e, cumulatives);
            for (uint256 k = 0; k < 7; ++k) {
                uint256 inEpoch = distributor.budgetOf(one, RewardKind(k)).claimed - claimed[k];
                vm.assertLe(inEpoch, limits[k], "EP-3");
            }
            _checkBooks();
        }
    }

    function _claimEight(
        uint64 epoch,
        uint128[8] memory cumulatives
    ) private {
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](8);
        for (uint256 i = 0; i < 8; ++i) {
            uint256 cumulative = uint256(cumulatives[i]) << epoch;
            cs[i] = _claimOf(i, RewardKind(i % 7), i % 2 == 0 ? alice : bob, cumulative);
        }
        bytes32[] memory tree = _activate(epoch, cs);
        bytes32[][] memory proofs = new bytes32[][](8);
        for (uint256 i = 0; i < 8; ++i) {
            proofs[i] = _proofOf(tree, i);
        }
        distributor.claimBatch(cs, proofs);
    }

    function _checkBooks() private view {
        uint256 usdcLeft;
        for (uint256 k = 0; k < 7; ++k) {
            IRewardDistributor.Budget memory budget = distributor.budgetOf(one, RewardKind(k));
            vm.assertLe(budget.claimed, budget.granted, "EP-3");
            uint256 paid = distributor.paidTo(one, RewardKind(k), alice) + distributor.paidTo(one, RewardKind(k), bob);
            vm.assertEq(paid, budget.claimed);
            if (k > 2) usdcLeft += budget.granted - budget.claimed;
        }
        vm.assertGe(usdc.balanceOf(address(distributor)), usdcLeft);
        vm.assertLe(usdc.balanceOf(address(distributor)), usdcLeft + 3);
    }

    /// @dev [EP-3] A leaf of one kind, subnet or account opens no other's budget, and its sum counts once for both valid roots.
    function test_aLeafPaysItsOwnKindAndAccountOnce() public {
        Netuid two = _addSubnet();
        _contribute(one, 1000);
        _contribute(two, 1000);
        _close(0, true, 0);
        vm.prank(address(controller));
        closeBudget(distributor, 0, two, true, 0);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](2);
        cs[0] = _claimOf(0, RewardKind.KeeperUsdc, alice, 30);
        bytes32[] memory first = _activate(0, cs);
        cs[0].cumulative = 35;
        bytes32[] memory second = _activate(1, cs);
        bytes32[] memory proof = _proofOf(first, 0);
        cs[0].kind = RewardKind.ContributorUsdc;
        _refuses(cs[0], proof);
        cs[0] = _claimOf(0, RewardKind.KeeperUsdc, bob, 30);
        _refuses(cs[0], proof);
        cs[0] = _claimOf(0, RewardKind.KeeperUsdc, alice, 31);
        _refuses(cs[0], proof);
        cs[0] = _claimOf(1, RewardKind.KeeperUsdc, alice, 30);
        _refuses(cs[0], proof);
        cs[0] = _claimOf(0, RewardKind.KeeperUsdc, alice, 30);
        cs[0].netuid = two;
        _refuses(cs[0], proof);
        cs[0].netuid = one;
        vm.assertEq(distributor.claim(cs[0], proof), 30);
        cs[0].cumulative = 35;
        vm.assertEq(distributor.claim(cs[0], _proofOf(second, 0)), 5, "both roots pay one sum");
        cs[0].cumulative = 30;
        vm.assertEq(distributor.claim(cs[0], proof), 0);
        vm.assertEq(distributor.budgetOf(two, RewardKind.KeeperUsdc).claimed, 0);
    }

    /// @dev Before there is a second root, nothing leads to the empty one.
    function test_noProofLeadsToARootThatDoesNotExist() public {
        IRewardDistributor.Claim memory c = _claimOf(0, RewardKind.KeeperUsdc, alice, 1);
        _refuses(c, new bytes32[](0));
        c.index = 1;
        _refuses(c, new bytes32[](0));
        c.index = 1 << 20;
        _refuses(c, new bytes32[](20));
    }

    function _refuses(
        IRewardDistributor.Claim memory c,
        bytes32[] memory proof
    ) private {
        vm.expectRevert(IRewardDistributor.RewardDistributor_InvalidProof.selector);
        distributor.claim(c, proof);
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
        _close(0, true, 100e18);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](5);
        cs[0] = _claimOf(0, RewardKind.OwnerUsdc, alice, 10);
        cs[1] = _claimOf(1, RewardKind.OwnerUsdc, bob, 10);
        cs[2] = _claimOf(2, RewardKind.KeeperUsdc, bob, 10);
        cs[3] = _claimOf(3, RewardKind.OwnerAlpha, alice, 1e18);
        cs[4] = _claimOf(4, RewardKind.OwnerAlpha, bob, 1e18);
        bytes32[] memory tree = _activate(0, cs);
        bytes32[][] memory proofs = new bytes32[][](5);
        for (uint256 i = 0; i < 5; ++i) {
            proofs[i] = _proofOf(tree, i);
        }
        proofs[1] = _proofOf(tree, 0); // not its place
        usdc.blacklist(alice);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.ClaimSkipped(
            0, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(usdc))
        );
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.ClaimSkipped(
            1, abi.encodeWithSelector(IRewardDistributor.RewardDistributor_InvalidProof.selector)
        );
        vm.assertEq(distributor.claimBatch(cs, proofs), 3, "blacklisted, wrong proof, paid");
        vm.assertEq(distributor.paidTo(one, RewardKind.OwnerUsdc, alice), 0);
        vm.assertEq(distributor.budgetOf(one, RewardKind.OwnerUsdc).claimed, 0, "a failed payment takes no budget");
        vm.assertEq(AlphaToken(pools.alphaOf(one)).balanceOf(alice), 1e18);
        vm.prank(alice);
        distributor.setPayout(trader);
        vm.assertEq(distributor.claimBatch(cs, proofs), 1, "a payout address helps");
        vm.assertEq(usdc.balanceOf(trader), 10);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.RewardDistributor_LengthMismatch.selector, 5, 2));
        distributor.claimBatch(cs, new bytes32[][](2));
    }

    /// @dev Alpha that cannot be paid out is skipped with the reason and can be claimed later.
    function test_aBatchSkipsAlphaThatIsRefusedAndTakesNoBudgetForIt() public {
        _close(0, true, 100e18);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](2);
        cs[0] = _claimOf(0, RewardKind.OwnerAlpha, alice, 1e18);
        cs[1] = _claimOf(1, RewardKind.ValidatorAlpha, bob, 1e18);
        bytes32[] memory tree = _activate(0, cs);
        bytes32[][] memory proofs = new bytes32[][](2);
        (proofs[0], proofs[1]) = (_proofOf(tree, 0), _proofOf(tree, 1));
        bytes memory code = pools.alphaOf(one).code;
        address token = pools.alphaOf(one);
        vm.etch(token, hex"5f5ffd"); // reverts, whatever it is asked
        vm.assertEq(distributor.claimBatch(cs, proofs), 0);
        vm.assertEq(distributor.budgetOf(one, RewardKind.OwnerAlpha).claimed, 0);
        vm.etch(token, code);
        vm.assertEq(distributor.claimBatch(cs, proofs), 2);
        vm.assertEq(distributor.budgetOf(one, RewardKind.OwnerAlpha).claimed, 1e18);
    }

    /// @dev A batch pays what single claims would pay, whatever is wrong with some of its leaves.
    function testFuzz_aBatchEqualsItsClaimsOneByOne(
        uint256 broken,
        uint32[6] memory cumulatives
    ) public {
        _contribute(one, 1e9);
        _close(0, true, 0);
        IRewardDistributor.Claim[] memory cs = new IRewardDistributor.Claim[](6);
        for (uint256 i = 0; i < 6; ++i) {
            cs[i] = _claimOf(i, RewardKind(3 + i % 4), i < 3 ? alice : bob, cumulatives[i]);
        }
        bytes32[] memory tree = _activate(0, cs);
        bytes32[][] memory proofs = new bytes32[][](6);
        for (uint256 i = 0; i < 6; ++i) {
            proofs[i] = _proofOf(tree, (broken >> i) & 1 == 1 ? (i + 1) % 6 : i);
        }
        uint256 state = vm.snapshotState();
        uint256 paidCount = distributor.claimBatch(cs, proofs);
        uint256 paidAlice = usdc.balanceOf(alice);
        uint256 paidBob = usdc.balanceOf(bob);
        vm.assertTrue(vm.revertToState(state));
        for (uint256 i = 0; i < 6; ++i) {
            (bool ok, bytes memory answer) =
                address(distributor).call(abi.encodeCall(distributor.claim, (cs[i], proofs[i])));
            if (ok && abi.decode(answer, (uint256)) > 0) --paidCount;
        }
        vm.assertEq(paidCount, 0);
        vm.assertEq(usdc.balanceOf(alice), paidAlice);
        vm.assertEq(usdc.balanceOf(bob), paidBob);
    }
}
