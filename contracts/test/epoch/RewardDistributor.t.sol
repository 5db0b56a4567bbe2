// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { PositionalMerkle } from "../../src/epoch/PositionalMerkle.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { Netuid, RewardKind } from "../../src/types/Types.sol";
import { closeBudget } from "../support/Closings.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

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

    function test_grantsSplitByRoleAndRoundingWaitsForTheNext() public {
        _contribute(one, 101);
        _close(0, true, 1e18 + 1);
        _assertGranted(RewardKind.OwnerUsdc, 18);
        _assertGranted(RewardKind.ValidatorUsdc, 39);
        _assertGranted(RewardKind.KeeperUsdc, 4);
        _assertGranted(RewardKind.ContributorUsdc, 39);
        _assertGranted(RewardKind.OwnerAlpha, 0.18e18);
        _assertGranted(RewardKind.ValidatorAlpha, 0.41e18);
        _assertGranted(RewardKind.ContributorAlpha, 0.41e18);
        (uint256 alpha, uint256 paid) = distributor.grantsOf(one);
        vm.assertEq(alpha, 1e18 + 1);
        vm.assertEq(paid, 101);
        _toEpoch(1);
        _contribute(one, 99);
        _close(1, true, 99);
        _assertGranted(RewardKind.OwnerUsdc, 36);
        _assertGranted(RewardKind.ValidatorUsdc, 78);
        _assertGranted(RewardKind.KeeperUsdc, 8);
        _assertGranted(RewardKind.ContributorUsdc, 78);
        _assertGranted(RewardKind.ContributorAlpha, 0.41e18 + 41);
    }

    /// @dev [EP-3] However grants come, no kind's budget falls and all together never exceed what was granted, nor lag by more than three.
    function testFuzz_budgetsOnlyRiseAndNeverExceedTheGrants(
        uint40[12] memory pots,
        uint64[12] memory alphas
    ) public {
        uint256[7] memory before;
        for (uint64 e = 0; e < 12; ++e) {
            _toEpoch(e);
            _contribute(one, pots[e] % 1000);
            _close(e, true, alphas[e] % 1000);
            (uint256 alpha, uint256 paid) = distributor.grantsOf(one);
            uint256[2] memory sums;
            for (uint256 k = 0; k < 7; ++k) {
                uint256 granted = distributor.budgetOf(one, RewardKind(k)).granted;
                vm.assertGe(granted, before[k]);
                before[k] = granted;
                sums[k < 3 ? 0 : 1] += granted;
            }
            vm.assertLe(sums[0], alpha);
            vm.assertLe(sums[1], paid);
            vm.assertGe(sums[0] + 3, alpha);
            vm.assertGe(sums[1] + 3, paid);
        }
    }

    /// @dev [EP-4]: carried for as long as it takes; money of a later epoch does not count early.
    function test_potsOfIneligibleEpochsAreCarriedWhole() public {
        _contribute(one, 100);
        _toEpoch(1);
        _contribute(one, 1000);
        vm.assertEq(distributor.potOf(0, one), 100);
        vm.assertEq(distributor.potOf(1, one), 1100);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.PotCarried(0, one, 100);
        _close(0, false, 0);
        vm.assertEq(distributor.potOf(1, one), 1100);
        _toEpoch(2);
        _contribute(one, 5);
        vm.assertEq(_close(1, true, 0), 1100);
        vm.assertEq(distributor.potOf(1, one), 5, "what the next closing would find");
        vm.assertEq(_close(2, true, 0), 5);
    }

    function test_moneyEarnedEarlierCountsInItsEpochOrTheFirstThatIsNotClosed() public {
        _toEpoch(2);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.RewardDistributor_FutureEpoch.selector, uint64(3), uint64(2))
        );
        distributor.contributeFor(one, 3, 1);
        _contributeFor(one, 1, 10);
        _contributeFor(one, 0, 100);
        vm.assertEq(_close(0, true, 0), 100);
        usdc.mint(desk, 7);
        vm.startPrank(desk);
        usdc.approve(address(distributor), 7);
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.Contributed(one, 1, desk, 7);
        distributor.contributeFor(one, 0, 7);
        vm.stopPrank();
        vm.assertEq(_close(1, true, 0), 17);
        vm.assertEq(_close(2, true, 0), 0);
    }

    /// @dev [EM-2] Whenever epochs are closed, each is granted what came in it and what was carried to it.
    function testFuzz_potsAreThoseOfTheirEpochsHoweverLateTheyAreClosed(
        uint32[10] memory amounts,
        uint256 eligible,
        uint256 when
    ) public {
        uint64 closed = 0;
        uint256 carried = 0;
        for (uint64 e = 0; e < 12; ++e) {
            _toEpoch(e);
            bool late = (when >> e) & 1 == 1;
            if (late && e < 10) _contribute(one, amounts[e]);
            while (closed < e && (e == 11 || (when >> (16 + 4 * e + closed)) & 1 == 1)) {
                uint256 pot = carried + (closed < 10 ? amounts[closed] : 0);
                bool pays = (eligible >> closed) & 1 == 1;
                vm.assertEq(_close(closed, pays, 0), pays ? pot : 0);
                carried = pays ? 0 : pot;
                ++closed;
            }
            if (!late && e < 10) _contribute(one, amounts[e]);
        }
        vm.assertEq(distributor.potOf(11, one), carried);
    }

    function test_aYoungSubnetsMoneyWaitsForItsFirstEpoch() public {
        _toEpoch(5);
        _settleAll();
        Netuid young = _addSubnet();
        _contributeFor(young, 2, 30);
        _contribute(young, 4);
        _toEpoch(6);
        _contribute(young, 600);
        vm.prank(address(controller));
        vm.assertEq(closeBudget(distributor, 5, young, true, 0), 34);
        vm.assertEq(distributor.potOf(6, young), 600);
        vm.prank(address(controller));
        vm.assertEq(closeBudget(distributor, 6, young, true, 0), 600);
    }

    function test_contributionsNeedASubnetAndZeroIsIgnored() public {
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.RewardDistributor_UnknownSubnet.selector, Netuid.wrap(0))
        );
        distributor.contribute(Netuid.wrap(0), 1);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.RewardDistributor_UnknownSubnet.selector, Netuid.wrap(2))
        );
        distributor.contribute(Netuid.wrap(2), 1);
        distributor.contribute(one, 0);
        vm.assertEq(distributor.potOf(0, one), 0);
    }

    /// @dev More than a pot holds waits for the next epochs; more than can ever be granted waits for ever. Closing never fails.
    function test_noAmountOfMoneyStopsClosings() public {
        uint256 most = type(uint48).max;
        _toEpoch(1);
        _contribute(one, 3 * most);
        _contributeFor(one, 0, most);
        vm.assertEq(_close(0, true, 0), most);
        for (uint64 e = 1; e < 4; ++e) {
            _toEpoch(e + 1);
            vm.assertEq(_close(e, true, 0), most);
        }
        _toEpoch(5);
        for (uint64 e = 5; e < 300; ++e) {
            _toEpoch(e);
            _contribute(one, most);
            _close(e - 1, true, 0);
        }
        (, uint256 granted) = distributor.grantsOf(one);
        vm.assertEq(granted, type(uint56).max);
        vm.assertGt(distributor.potOf(299, one), 0);
    }

    function test_thePotOfAPrunedSubnetGoesToTheAuction() public {
        _contribute(one, 100);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.RewardDistributor_NotPruned.selector, one));
        distributor.sweepPruned(one);
        registry.prune(one, 2);
        _toEpoch(3);
        _contribute(one, 20);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardDistributor.RewardDistributor_NotSettled.selector, uint64(2), uint64(0))
        );
        distributor.sweepPruned(one);
        staking.setEligibleFrom(one, 100);
        _settleAll();
        vm.expectEmit(address(distributor));
        emit IRewardDistributor.PotSwept(one, 120);
        vm.assertEq(distributor.sweepPruned(one), 120);
        vm.assertEq(distributor.sweepPruned(one), 0);
        vm.assertEq(auction.accruedOf(Netuid.wrap(0)), 120);
        _contribute(one, 3);
        _toEpoch(600);
        _contribute(one, 40);
        vm.assertEq(distributor.sweepPruned(one), 3, "256 epochs at a time");
        distributor.sweepPruned(one);
        vm.assertEq(distributor.sweepPruned(one), 40);
        vm.assertEq(usdc.balanceOf(address(distributor)), 0);
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

    function _contributeFor(
        Netuid netuid,
        uint64 epoch,
        uint256 amount
    ) private {
        usdc.mint(desk, amount);
        vm.startPrank(desk);
        usdc.approve(address(distributor), amount);
        distributor.contributeFor(netuid, epoch, amount);
        vm.stopPrank();
    }

    function _close(
        uint64 epoch,
        bool eligible,
        uint256 alpha
    ) private returns (uint256) {
        vm.prank(address(controller));
        return closeBudget(distributor, epoch, one, eligible, alpha);
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
