// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { Netuid, RewardKind } from "../../src/types/Types.sol";
import { closeBudget } from "../support/Closings.sol";
import { DistributorTest } from "../support/DistributorTest.sol";

/// @notice How money comes to a subnet's pot, and what closing an epoch grants of it.
contract RewardPotsTest is DistributorTest {
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

    function _assertGranted(
        RewardKind kind,
        uint256 amount
    ) private view {
        vm.assertEq(distributor.budgetOf(one, kind).granted, amount);
    }
}
