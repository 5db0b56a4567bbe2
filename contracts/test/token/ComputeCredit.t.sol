// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ComputeCredit } from "../../src/token/ComputeCredit.sol";
import { creditsIn, splitMarginDown } from "../../src/token/Holdings.sol";
import { IComputeCredit } from "../../src/token/IComputeCredit.sol";
import { Test, Vm } from "../support/Test.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

contract ComputeCreditTest is Test {
    ComputeCredit private credit;
    address private desk;
    address private settlement;
    address private alice;
    address private bob;

    function setUp() public {
        desk = makeActor("desk");
        settlement = makeActor("settlement");
        alice = makeActor("alice");
        bob = makeActor("bob");
        credit = new ComputeCredit(desk, settlement, address(this));
    }

    /// `[CR-1]`
    function test_everyWayToMoveACreditByHandReverts() public {
        _mint(alice, 10e18, 1_500_000);
        vm.startPrank(alice);
        bytes4 soulbound = IComputeCredit.ComputeCredit_Soulbound.selector;
        vm.expectRevert(soulbound);
        credit.transfer(bob, 1);
        vm.expectRevert(soulbound);
        credit.transfer(alice, 0);
        vm.expectRevert(soulbound);
        credit.approve(bob, 1);
        vm.expectRevert(soulbound);
        credit.transferFrom(alice, bob, 0);
        vm.expectRevert(soulbound);
        credit.permit(alice, bob, 1, block.timestamp, 27, 0, 0);
        vm.stopPrank();
        vm.assertEq(credit.allowance(alice, bob), 0);
        vm.assertFalse(credit.transferable());
    }

    /// `[CR-1]`
    function test_onlyTheDeskMintsAndBurnsAndOnlySettlementMoves() public {
        _mint(alice, 10e18, 0);
        IComputeCredit.Holding memory some = IComputeCredit.Holding({ purchased: 1, earned: 0, margin: 0 });
        address[3] memory callers = [alice, desk, settlement];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory notDesk = abi.encodeWithSelector(IComputeCredit.ComputeCredit_OnlyDesk.selector, callers[i]);
            bytes memory notSettlement =
                abi.encodeWithSelector(IComputeCredit.ComputeCredit_OnlySettlement.selector, callers[i]);
            vm.startPrank(callers[i]);
            if (callers[i] != desk) {
                vm.expectRevert(notDesk);
                credit.mintPurchased(bob, 1, 0);
                vm.expectRevert(notDesk);
                credit.burnEarned(alice, 1);
            }
            if (callers[i] != settlement) {
                vm.expectRevert(notSettlement);
                credit.escrow(alice, 1);
                vm.expectRevert(notSettlement);
                credit.unescrow(bob, some);
                vm.expectRevert(notSettlement);
                credit.earn(alice, bob, some);
            }
            vm.stopPrank();
        }
    }

    function test_spendingUsesPurchasedCreditsFirst() public {
        _mint(alice, 10e18, 1_500_000);
        _give(alice, 5e18);
        vm.prank(settlement);
        IComputeCredit.Holding memory taken = credit.escrow(alice, 12e18);
        _assertHolding(taken, 10e18, 2e18, 1_500_000);
        _assertHolding(credit.holdingOf(alice), 0, 3e18, 0);
        _assertHolding(credit.holdingOf(settlement), 10e18, 2e18, 1_500_000);
        vm.assertEq(credit.totalSupply(), credit.balanceOf(alice) + credit.balanceOf(bob) + 12e18);
    }

    function test_aReturnGivesTheSameThreePartsBack() public {
        _mint(alice, 10e18, 1_500_001);
        _give(alice, 5e18);
        vm.startPrank(settlement);
        IComputeCredit.Holding memory taken = credit.escrow(alice, 7e18);
        credit.unescrow(alice, taken);
        vm.stopPrank();
        _assertHolding(credit.holdingOf(alice), 10e18, 5e18, 1_500_001);
        _assertHolding(credit.holdingOf(settlement), 0, 0, 0);
    }

    /// Settlement itself cannot hand out a part that it never took.
    function test_settlementNeverHandsOutMoreThanItHolds() public {
        _mint(alice, 10e18, 1_500_000);
        vm.startPrank(settlement);
        credit.escrow(alice, 4e18);
        vm.expectRevert();
        credit.earn(alice, bob, IComputeCredit.Holding({ purchased: 4e18 + 1, earned: 0, margin: 0 }));
        vm.expectRevert();
        credit.earn(alice, bob, IComputeCredit.Holding({ purchased: 0, earned: 1, margin: 0 }));
        vm.expectRevert();
        credit.unescrow(bob, IComputeCredit.Holding({ purchased: 0, earned: 0, margin: 600_001 }));
        vm.stopPrank();
    }

    function test_purchasedCreditsAreNeverCashedOut() public {
        _mint(alice, 10e18, 0);
        vm.prank(desk);
        vm.expectRevert(abi.encodeWithSelector(IComputeCredit.ComputeCredit_InsufficientEarned.selector, alice, 0, 1));
        credit.burnEarned(alice, 1);
    }

    function test_escrowAboveTheBalanceReverts() public {
        _mint(alice, 10, 0);
        vm.prank(settlement);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeCredit.ComputeCredit_InsufficientCredits.selector, alice, 10, 11)
        );
        credit.escrow(alice, 11);
    }

    function test_neitherZeroNorSettlementHoldsCreditsOfItsOwn() public {
        address[2] memory invalid = [address(0), settlement];
        for (uint256 i = 0; i < invalid.length; ++i) {
            bytes memory reason =
                abi.encodeWithSelector(IComputeCredit.ComputeCredit_InvalidAccount.selector, invalid[i]);
            vm.prank(desk);
            vm.expectRevert(reason);
            credit.mintPurchased(invalid[i], 1, 0);
            vm.prank(settlement);
            vm.expectRevert(reason);
            credit.escrow(invalid[i], 0);
        }
        vm.expectRevert(abi.encodeWithSelector(IComputeCredit.ComputeCredit_InvalidAccount.selector, address(0)));
        new ComputeCredit(address(0), settlement, address(this));
        vm.expectRevert(abi.encodeWithSelector(IComputeCredit.ComputeCredit_InvalidAccount.selector, address(0)));
        new ComputeCredit(desk, address(0), address(this));
    }

    function test_lifetimeCountersSayWhoBoughtSpentEarnedAndCashedOut() public {
        _mint(alice, 10e18, 1_500_000);
        _give(alice, 5e18); // bob pays
        vm.startPrank(settlement);
        credit.earn(alice, bob, credit.escrow(alice, 12e18));
        vm.stopPrank();
        vm.prank(desk);
        credit.burnEarned(bob, 3e18);

        IComputeCredit.Lifetime memory payer = credit.lifetimeOf(alice);
        vm.assertEq(payer.bought, 10e18);
        vm.assertEq(payer.spent, 12e18);
        vm.assertEq(payer.earned, 5e18);
        IComputeCredit.Lifetime memory earner = credit.lifetimeOf(bob);
        vm.assertEq(earner.earned, 12e18);
        vm.assertEq(earner.earnedFromPurchased, 10e18);
        vm.assertEq(earner.marginRecognised, 1_500_000);
        vm.assertEq(earner.cashedOut, 3e18);
        IComputeCredit.Lifetime memory total = credit.lifetimeTotal();
        vm.assertEq(total.bought, 15e18);
        vm.assertEq(total.spent, 17e18);
        vm.assertEq(total.earned, 17e18);
        vm.assertEq(total.earnedFromPurchased, 15e18);
        vm.assertEq(total.cashedOut, 3e18);
        vm.assertEq(total.marginRecognised, 1_500_000);
    }

    /// Explorers rebuild every balance from Transfer events alone.
    function test_transferEventsRebuildEveryBalance() public {
        vm.recordLogs();
        _mint(alice, 10e18, 1_500_000);
        vm.startPrank(settlement);
        IComputeCredit.Holding memory taken = credit.escrow(alice, 8e18);
        IComputeCredit.Holding memory spent;
        (spent, taken) = splitMarginDown(taken, 6e18);
        credit.earn(alice, bob, spent);
        credit.unescrow(alice, taken);
        vm.stopPrank();
        vm.prank(desk);
        credit.burnEarned(bob, 1e18);

        address[4] memory accounts = [alice, bob, settlement, address(0)];
        int256[4] memory balances;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IERC20.Transfer.selector) continue;
            int256 value = int256(abi.decode(logs[i].data, (uint256)));
            for (uint256 j = 0; j < accounts.length; ++j) {
                if (logs[i].topics[1] == bytes32(uint256(uint160(accounts[j])))) balances[j] -= value;
                if (logs[i].topics[2] == bytes32(uint256(uint160(accounts[j])))) balances[j] += value;
            }
        }
        for (uint256 j = 0; j < 3; ++j) {
            vm.assertTrue(balances[j] == int256(credit.balanceOf(accounts[j])));
        }
        vm.assertTrue(balances[3] == -int256(credit.totalSupply()));
        vm.assertEq(credit.totalSupply(), 9e18);
    }

    /// `[CR-3]` However a holding is split up, its margin comes out once and whole, and never ahead of its share.
    function testFuzz_marginComesOutOnceAndWholeByAverageCost(
        uint128 purchased,
        uint128 earned,
        uint128 margin,
        uint256 seed
    ) public pure {
        purchased = uint128(bound(purchased, 1, type(uint128).max / 2));
        earned = uint128(bound(earned, 0, type(uint128).max / 2));
        IComputeCredit.Holding memory left =
            IComputeCredit.Holding({ purchased: purchased, earned: earned, margin: margin });
        IComputeCredit.Holding memory taken;
        uint256 purchasedOut;
        uint256 earnedOut;
        uint256 marginOut;
        for (uint256 i = 0; i < 6 && creditsIn(left) != 0; ++i) {
            uint256 whole = creditsIn(left);
            uint256 amount = i == 5 ? whole : bound(uint256(keccak256(abi.encode(seed, i))), 0, whole);
            (taken, left) = splitMarginDown(left, amount);
            vm.assertEq(creditsIn(taken), amount);
            vm.assertTrue(taken.earned == 0 || left.purchased == 0, "purchased first");
            purchasedOut += taken.purchased;
            earnedOut += taken.earned;
            marginOut += taken.margin;
            if (left.purchased == 0) {
                vm.assertEq(marginOut, margin, "all of it with the last purchased unit");
            } else {
                vm.assertLe(marginOut * purchased, uint256(margin) * purchasedOut, "never ahead of its share");
            }
        }
        vm.assertEq(purchasedOut, purchased);
        vm.assertEq(earnedOut, earned);
        vm.assertEq(marginOut, margin);
    }

    function _mint(
        address to,
        uint256 amount,
        uint256 margin
    ) private {
        vm.prank(desk);
        credit.mintPurchased(to, amount, margin);
    }

    /// @dev Lets `to` earn `amount` from bob, who buys it without margin.
    function _give(
        address to,
        uint256 amount
    ) private {
        _mint(bob, amount, 0);
        vm.startPrank(settlement);
        credit.earn(bob, to, credit.escrow(bob, amount));
        vm.stopPrank();
    }

    function _assertHolding(
        IComputeCredit.Holding memory holding,
        uint256 purchased,
        uint256 earned,
        uint256 margin
    ) private pure {
        vm.assertEq(holding.purchased, purchased, "purchased");
        vm.assertEq(holding.earned, earned, "earned");
        vm.assertEq(holding.margin, margin, "margin");
    }
}
