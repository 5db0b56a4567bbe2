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
    address private gate;
    mapping(address account => IComputeCredit.Holding) private _indexed;
    address private alice;
    address private bob;

    function setUp() public {
        desk = makeActor("desk");
        settlement = makeActor("settlement");
        alice = makeActor("alice");
        bob = makeActor("bob");
        gate = makeActor("gate");
        credit = new ComputeCredit(desk, settlement, gate);
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
                credit.earn(bob, 1, 0, 0);
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
        _aboveEscrow(4e18 + 1, 0, 0);
        credit.earn(bob, 4e18 + 1, 0, 0);
        _aboveEscrow(0, 1, 0);
        credit.earn(bob, 0, 1, 0);
        _aboveEscrow(1, 0, 600_001);
        credit.earn(bob, 1, 0, 600_001);
        _aboveEscrow(0, 0, 1);
        credit.earn(bob, 0, 0, 1);
        _aboveEscrow(1, 0, 600_001);
        credit.unescrow(bob, IComputeCredit.Holding({ purchased: 1, earned: 0, margin: 600_001 }));
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
        new ComputeCredit(address(0), settlement, gate);
        vm.expectRevert(abi.encodeWithSelector(IComputeCredit.ComputeCredit_InvalidAccount.selector, address(0)));
        new ComputeCredit(desk, address(0), gate);
    }

    function test_lifetimeCountersSayWhoBoughtSpentEarnedAndCashedOut() public {
        _mint(alice, 10e18, 1_500_000);
        _give(alice, 5e18); // bob pays
        _spend(alice, bob, 12e18);
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
        credit.earn(bob, spent.purchased, spent.earned, spent.margin);
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

    /// Indexers rebuild the three parts of every account and of all channels together from the credit's own events.
    function testFuzz_eventsRebuildEverySubBalance(
        uint256[6] memory steps
    ) public {
        vm.recordLogs();
        _mint(alice, 10e18, 1_500_000);
        _give(alice, 7e18);
        for (uint256 i = 0; i < steps.length; ++i) {
            address from = steps[i] % 2 == 0 ? alice : bob;
            address to = steps[i] % 2 == 0 ? bob : alice;
            uint256 balance = credit.balanceOf(from);
            if (balance == 0) continue;
            vm.startPrank(settlement);
            IComputeCredit.Holding memory taken = credit.escrow(from, bound(steps[i], 1, balance));
            IComputeCredit.Holding memory spent;
            (spent, taken) = splitMarginDown(taken, creditsIn(taken) * (steps[i] % 4) / 3);
            credit.earn(to, spent.purchased, spent.earned, spent.margin);
            if (steps[i] % 5 != 0) credit.unescrow(from, taken);
            vm.stopPrank();
            uint256 burned = credit.holdingOf(to).earned / 3;
            vm.prank(desk);
            credit.burnEarned(to, burned);
        }
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            _index(logs[i]);
        }
        address[3] memory accounts = [alice, bob, settlement];
        for (uint256 i = 0; i < accounts.length; ++i) {
            IComputeCredit.Holding memory indexed_ = _indexed[accounts[i]];
            _assertHolding(credit.holdingOf(accounts[i]), indexed_.purchased, indexed_.earned, indexed_.margin);
        }
    }

    function test_aSeriesEndsBeforeItsWordsDo() public {
        uint256 most = type(uint96).max;
        _mint(alice, most - 1, 0);
        vm.prank(desk);
        vm.expectRevert(abi.encodeWithSelector(IComputeCredit.ComputeCredit_SeriesFull.selector, most + 1, 0));
        credit.mintPurchased(bob, 2, 0);
        vm.prank(desk);
        vm.expectRevert(
            abi.encodeWithSelector(
                IComputeCredit.ComputeCredit_SeriesFull.selector, most, uint256(type(uint56).max) + 1
            )
        );
        credit.mintPurchased(bob, 1, uint256(type(uint56).max) + 1);
        _mint(alice, 1, type(uint56).max);
        // All of it can be spent again and again by its earners; the words never overflow.
        _spend(alice, bob, most);
        for (uint256 i = 0; i < 4; ++i) {
            _spend(bob, alice, most);
            _spend(alice, bob, most);
        }
        _assertHolding(credit.holdingOf(bob), 0, most, 0);
        vm.assertEq(credit.lifetimeTotal().earned, 9 * most);
        vm.assertEq(credit.lifetimeOf(bob).marginRecognised, type(uint56).max);
        vm.assertEq(credit.lifetimeOf(bob).earnedFromPurchased, most);
    }

    // ------------------------------------------------------------------------------------------------ snapshot

    /// `[GV-1]` The airdrop's snapshot fixes what everybody had earned from purchased credits, whatever happens after it.
    function test_theSnapshotFixesWhatWasEarnedFromPurchasedCredits() public {
        _give(alice, 5e18);
        _mint(bob, 20e18, 0);
        vm.prank(gate);
        vm.expectEmit(address(credit));
        emit IComputeCredit.SnapshotTaken(5e18);
        credit.takeSnapshot();
        vm.assertTrue(credit.snapshotTaken());
        vm.assertEq(credit.snapshotOf(alice), 5e18);

        _spend(bob, alice, 3e18);
        _spend(bob, alice, 2e18);
        _spend(alice, bob, 10e18); // earned credits: they count nowhere
        _spend(bob, gate, 5e18);
        vm.prank(desk);
        credit.burnEarned(bob, 1e18);
        vm.assertEq(credit.lifetimeOf(alice).earnedFromPurchased, 10e18);
        vm.assertEq(credit.snapshotOf(alice), 5e18);
        vm.assertEq(credit.snapshotOf(bob), 0);
        vm.assertEq(credit.snapshotOf(gate), 0);
        vm.assertEq(credit.snapshotTotal(), 5e18);
    }

    function testFuzz_theSnapshotsTotalIsItsSum(
        uint256[8] memory amounts,
        uint8 takenAt
    ) public {
        address[3] memory accounts = [alice, bob, gate];
        takenAt = uint8(bound(takenAt, 0, 7));
        uint256[3] memory expected;
        for (uint256 i = 0; i < amounts.length; ++i) {
            if (i == takenAt) {
                for (uint256 j = 0; j < 3; ++j) {
                    expected[j] = credit.lifetimeOf(accounts[j]).earnedFromPurchased;
                }
                vm.prank(gate);
                credit.takeSnapshot();
            }
            uint256 amount = bound(amounts[i], 1, 1e24);
            _mint(_stranger(), amount, 0);
            _spend(_stranger(), accounts[amounts[i] % 3], amount);
        }
        uint256 sum;
        for (uint256 j = 0; j < 3; ++j) {
            vm.assertEq(credit.snapshotOf(accounts[j]), expected[j]);
            sum += expected[j];
        }
        vm.assertEq(credit.snapshotTotal(), sum);
    }

    function test_onlyTheGateTakesTheSnapshotAndOnce() public {
        vm.assertFalse(credit.snapshotTaken());
        vm.expectRevert(IComputeCredit.ComputeCredit_NoSnapshot.selector);
        credit.snapshotOf(alice);
        vm.expectRevert(IComputeCredit.ComputeCredit_NoSnapshot.selector);
        credit.snapshotTotal();
        vm.expectRevert(abi.encodeWithSelector(IComputeCredit.ComputeCredit_OnlyGate.selector, address(this)));
        credit.takeSnapshot();
        vm.startPrank(gate);
        credit.takeSnapshot();
        vm.expectRevert(IComputeCredit.ComputeCredit_SnapshotTaken.selector);
        credit.takeSnapshot();
        vm.stopPrank();
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

    function _stranger() private returns (address) {
        return makeActor("stranger");
    }

    /// @dev What an indexer does with one event of the credit.
    function _index(
        Vm.Log memory log
    ) private {
        bytes32 topic = log.topics[0];
        IComputeCredit.Holding storage escrowed = _indexed[settlement];
        if (topic == IERC20.Transfer.selector) {
            // Of all transfers, only a burn says what no other event says: it takes earned credits.
            if (log.topics[2] == 0) {
                _indexed[_account(log.topics[1])].earned -= uint128(abi.decode(log.data, (uint256)));
            }
            return;
        }
        IComputeCredit.Holding storage holding = _indexed[_account(log.topics[1])];
        if (topic == IComputeCredit.Purchased.selector) {
            (uint128 amount, uint128 margin) = abi.decode(log.data, (uint128, uint128));
            holding.purchased += amount;
            holding.margin += margin;
        } else if (topic == IComputeCredit.Escrowed.selector) {
            _move(holding, escrowed, abi.decode(log.data, (IComputeCredit.Holding)));
        } else if (topic == IComputeCredit.Returned.selector) {
            _move(escrowed, holding, abi.decode(log.data, (IComputeCredit.Holding)));
        } else if (topic == IComputeCredit.Earned.selector) {
            (uint128 amount, uint128 purchased, uint128 margin) = abi.decode(log.data, (uint128, uint128, uint128));
            holding.earned += amount;
            escrowed.purchased -= purchased;
            escrowed.earned -= amount - purchased;
            escrowed.margin -= margin;
        }
    }

    function _move(
        IComputeCredit.Holding storage from,
        IComputeCredit.Holding storage to,
        IComputeCredit.Holding memory parts
    ) private {
        (from.purchased, to.purchased) = (from.purchased - parts.purchased, to.purchased + parts.purchased);
        (from.earned, to.earned) = (from.earned - parts.earned, to.earned + parts.earned);
        (from.margin, to.margin) = (from.margin - parts.margin, to.margin + parts.margin);
    }

    function _account(
        bytes32 topic
    ) private pure returns (address) {
        return address(uint160(uint256(topic)));
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
        _spend(bob, to, amount);
    }

    /// @dev `from` spends `amount` on `to`.
    function _spend(
        address from,
        address to,
        uint256 amount
    ) private {
        vm.startPrank(settlement);
        IComputeCredit.Holding memory taken = credit.escrow(from, amount);
        credit.earn(to, taken.purchased, taken.earned, taken.margin);
        vm.stopPrank();
    }

    function _aboveEscrow(
        uint256 purchased,
        uint256 earned,
        uint256 margin
    ) private {
        vm.expectRevert(
            abi.encodeWithSelector(IComputeCredit.ComputeCredit_AboveEscrow.selector, purchased, earned, margin)
        );
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
