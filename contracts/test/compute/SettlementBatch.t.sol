// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRateCard } from "../../src/compute/IRateCard.sol";
import { ISettlement } from "../../src/compute/ISettlement.sol";
import { IComputeCredit } from "../../src/token/IComputeCredit.sol";
import { Netuid } from "../../src/types/Types.sol";
import { SeriesTest } from "../support/SeriesTest.sol";
import { Vm } from "../support/Test.sol";

/// @notice Batches: one contributor's vouchers of one subnet and model, bad ones skipped.
contract SettlementBatchTest is SeriesTest {
    function setUp() public override {
        super.setUp();
        buyCredits(payer, 100e18);
    }

    function test_aBatchPaysOnceAndTellsTheDeskOnce() public {
        ISettlement.CompactVoucher[] memory vouchers = _batch(3, 5e18);
        vm.recordLogs();
        vm.prank(stranger);
        vm.assertEq(settleBatch(vouchers), 15e18);
        assertHolding(credit.holdingOf(contributor), 0, 15e18, 0);
        vm.assertEq(credit.lifetimeOf(contributor).marginRecognised, 2_250_000);
        (uint256 toBuyback, uint256 toPot,) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback + toPot, 2_250_000);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(_count(logs, ISettlement.Settled.selector), 3);
        vm.assertEq(_count(logs, IComputeCredit.Earned.selector), 1);
        vm.assertEq(logs.length, 6);
    }

    /// `[CR-5]` Good and bad ones in one batch: each bad one is skipped for the reason that `settle` would give.
    function test_aBatchSkipsWhatFailsAndSettlesTheRest() public {
        ISettlement.CompactVoucher[] memory vouchers = new ISettlement.CompactVoucher[](9);
        for (uint256 i = 0; i < 3; ++i) {
            vouchers[i] = compactVoucher(voucherFor(openChannel(10e18), 5e18), sessionSecret);
        }
        vouchers[1].r = bytes32(uint256(1)); // garbage
        vouchers[3] = vouchers[0]; // a duplicate within the batch
        vouchers[4] = compactVoucher(voucherFor(2, 5e18), uint256(keccak256("payer"))); // another key
        vouchers[5] = compactVoucher(voucherFor(3, 10e18 + 1), sessionSecret);
        vouchers[6] = compactVoucher(voucherFor(99, 1e18), sessionSecret);
        ISettlement.Voucher memory dear = voucherFor(3, 6e18);
        dear.completionTokens -= 1;
        vouchers[7] = compactVoucher(dear, sessionSecret);
        registry.set(SUBNET, UID, stranger);
        vouchers[8] = compactVoucher(voucherFor(openChannel(1e18), 1e18), sessionSecret);

        vm.recordLogs();
        vm.assertEq(settleBatch(vouchers), 10e18);
        vm.assertEq(credit.balanceOf(contributor), 10e18);
        vm.assertEq(credit.balanceOf(stranger), 0);

        bytes[] memory reasons = _skipped(vm.getRecordedLogs());
        vm.assertEq(reasons.length, 7);
        vm.assertEq(reasons[0], abi.encodeWithSelector(ISettlement.Settlement_InvalidSignature.selector, 2));
        vm.assertEq(reasons[1], abi.encodeWithSelector(ISettlement.Settlement_NothingNew.selector, 1, 5e18, 5e18));
        vm.assertEq(reasons[2], abi.encodeWithSelector(ISettlement.Settlement_InvalidSignature.selector, 2));
        vm.assertEq(
            reasons[3], abi.encodeWithSelector(ISettlement.Settlement_AboveChannel.selector, 3, 10e18 + 1, 10e18)
        );
        vm.assertEq(reasons[4], abi.encodeWithSelector(ISettlement.Settlement_UnknownChannel.selector, 99));
        vm.assertEq(
            reasons[5],
            abi.encodeWithSelector(ISettlement.Settlement_AboveRateCard.selector, 3, 6e18, 6e18 - COMPLETION_RATE / 1e6)
        );
        vm.assertEq(
            reasons[6], abi.encodeWithSelector(ISettlement.Settlement_OtherNeuron.selector, 4, contributor, SUBNET)
        );
    }

    /// `[CR-5]` Nobody gets another contributor's or another subnet's vouchers paid by naming themselves.
    function test_aVoucherPaysOnlyTheContributorAndSubnetOfItsChannel() public {
        ISettlement.CompactVoucher[] memory vouchers = _batch(1, 5e18);
        vm.startPrank(stranger);
        vm.assertEq(settlement.settleBatch(stranger, SUBNET, MODEL, 1, vouchers), 0);
        vm.assertEq(settlement.settleBatch(contributor, Netuid.wrap(2), MODEL, 1, vouchers), 0);
        vm.assertEq(settlement.settleBatch(address(0), SUBNET, MODEL, 1, vouchers), 0);
        vm.stopPrank();
        vm.assertEq(credit.balanceOf(stranger), 0);
        vm.assertEq(settleBatch(vouchers), 5e18);
    }

    /// `[CR-5]` Model and version are signed, though the batch carries them once.
    function test_aBatchOfAnotherModelOrVersionSettlesNothing() public {
        ISettlement.CompactVoucher[] memory vouchers = _batch(1, 5e18);
        (bytes32 other,) = card.publish("other", 9e18, 9e18);
        card.publish(MODEL_ID, 9e18, 9e18);
        vm.warp(GENESIS + LENGTH);
        vm.assertEq(settlement.settleBatch(contributor, SUBNET, other, 1, vouchers), 0);
        vm.assertEq(settlement.settleBatch(contributor, SUBNET, MODEL, 2, vouchers), 0);
        vm.assertEq(settlement.settleBatch(contributor, SUBNET, MODEL, 1, vouchers), 5e18);
    }

    /// `[CR-5]` The high-s twin of a compact signature is refused; flipping the parity leads to another signer.
    function test_noOtherFormOfACompactSignatureSettles() public {
        ISettlement.CompactVoucher[] memory vouchers = _batch(1, 5e18);
        bytes32 vs = vouchers[0].vs;
        uint256 s = uint256(vs) & type(uint256).max >> 1;
        bytes32[3] memory twins = [
            bytes32(CURVE_ORDER - s),
            bytes32(CURVE_ORDER - s) ^ bytes32(uint256(1) << 255),
            vs ^ bytes32(uint256(1) << 255)
        ];
        for (uint256 i = 0; i < twins.length; ++i) {
            vouchers[0].vs = twins[i];
            vm.assertEq(settleBatch(vouchers), 0);
        }
        vouchers[0].vs = vs;
        vm.assertEq(settleBatch(vouchers), 5e18);
        vm.assertEq(settleBatch(vouchers), 0);
    }

    /// `[CR-5]` Every bit of a compact voucher is signed.
    function testFuzz_aBatchRefusesAVoucherWithAnyBitChanged(
        uint8 bit
    ) public {
        ISettlement.CompactVoucher[] memory vouchers = _batch(2, 5e18);
        vouchers[0].packed ^= uint256(1) << bit;
        vouchers[1].packed ^= uint256(1) << bit;
        vm.assertEq(settleBatch(vouchers), 0);
    }

    /// `[CR-5]` Not on another chain, and not at another contract.
    function test_aBatchOfAnotherDomainSettlesNothing() public {
        ISettlement.CompactVoucher[] memory vouchers = _batch(2, 5e18);
        uint256 here = block.chainid;
        vm.chainId(10);
        vm.assertEq(settleBatch(vouchers), 0);
        vm.chainId(here);
        vm.assertEq(settleBatch(vouchers), 10e18);
    }

    function test_aBatchWithAnUnknownOrFutureVersionRevertsWhole() public {
        ISettlement.CompactVoucher[] memory vouchers = _batch(1, 5e18);
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_UnknownRate.selector, MODEL, 2));
        settlement.settleBatch(contributor, SUBNET, MODEL, 2, vouchers);
        card.publish(MODEL_ID, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IRateCard.RateCard_NotYetEffective.selector, MODEL, 2, GENESIS + LENGTH));
        settlement.settleBatch(contributor, SUBNET, MODEL, 2, vouchers);
    }

    function test_anEmptyOrUselessBatchPaysNothingAndMovesNothing() public {
        vm.recordLogs();
        vm.assertEq(settleBatch(new ISettlement.CompactVoucher[](0)), 0);
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    /// Several contributors, subnets and models in one transaction.
    function test_multicallSettlesBatchesOfSeveralContributors() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(ISettlement.settleBatch, (contributor, SUBNET, MODEL, 1, _batch(2, 3e18)));
        registry.set(SUBNET, UID, stranger);
        calls[1] = abi.encodeCall(ISettlement.settleBatch, (stranger, SUBNET, MODEL, 1, _batch(2, 4e18)));
        settlement.multicall(calls);
        vm.assertEq(credit.balanceOf(contributor), 6e18);
        vm.assertEq(credit.balanceOf(stranger), 8e18);
    }

    /// A channel of both kinds: vouchers cross from purchased to earned credits within a batch, and single ones do the same.
    function testFuzz_aBatchSplitsAMixedChannelAsSingleVouchersDo(
        uint256 purchased,
        uint256 earned,
        uint256[3] memory steps
    ) public {
        purchased = bound(purchased, 1, 50e18);
        earned = bound(earned, 1, 50e18);
        earnFor(stranger, earned);
        payer = stranger;
        buyCredits(payer, purchased);
        uint256 margin = credit.holdingOf(payer).margin;
        uint256 id = openChannel(purchased + earned);
        assertHolding(settlement.channelOf(id).rest, purchased, earned, margin);

        uint256 before = credit.balanceOf(contributor);
        uint256 recognised = credit.lifetimeOf(contributor).marginRecognised;
        uint256 settled;
        for (uint256 i = 0; i < steps.length; ++i) {
            uint256 left = purchased + earned - settled;
            if (left == 0) break;
            settled += i == 2 ? left : bound(steps[i], 1, left);
            _settleOneWayOrTheOther(voucherFor(id, settled), i == 1);
            uint256 turned = credit.lifetimeOf(contributor).marginRecognised - recognised;
            _assertRest(settlement.channelOf(id), purchased, earned, margin, turned);
        }
        assertHolding(settlement.channelOf(id).rest, 0, 0, 0);
        vm.assertEq(credit.balanceOf(contributor), before + purchased + earned);
        vm.assertEq(settlement.channelOf(id).settled, purchased + earned);
    }

    function _settleOneWayOrTheOther(
        ISettlement.Voucher memory voucher,
        bool single
    ) private {
        if (single) {
            settlement.settle(voucher, signVoucher(voucher, sessionSecret));
        } else {
            ISettlement.CompactVoucher[] memory vouchers = new ISettlement.CompactVoucher[](1);
            vouchers[0] = compactVoucher(voucher, sessionSecret);
            settleBatch(vouchers);
        }
    }

    function _assertRest(
        ISettlement.Channel memory channel,
        uint256 purchased,
        uint256 earned,
        uint256 margin,
        uint256 turned
    ) private pure {
        uint256 spent = channel.settled < purchased ? channel.settled : purchased;
        vm.assertEq(channel.rest.purchased, purchased - spent, "purchased first");
        vm.assertEq(uint256(channel.rest.purchased) + channel.rest.earned, purchased + earned - channel.settled, "rest");
        vm.assertEq(channel.rest.margin + turned, margin, "margin");
        vm.assertGe(channel.rest.margin * purchased, margin * channel.rest.purchased, "margin ahead of its share");
    }

    /// @dev Vouchers for `amount` each of `count` new channels.
    function _batch(
        uint256 count,
        uint256 amount
    ) private returns (ISettlement.CompactVoucher[] memory vouchers) {
        vouchers = new ISettlement.CompactVoucher[](count);
        for (uint256 i = 0; i < count; ++i) {
            vouchers[i] = compactVoucher(voucherFor(openChannel(10e18), amount), sessionSecret);
        }
    }

    function _skipped(
        Vm.Log[] memory logs
    ) private pure returns (bytes[] memory reasons) {
        reasons = new bytes[](_count(logs, ISettlement.SettlementSkipped.selector));
        uint256 found = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != ISettlement.SettlementSkipped.selector) continue;
            reasons[found++] = abi.decode(logs[i].data, (bytes));
        }
    }

    function _count(
        Vm.Log[] memory logs,
        bytes32 topic
    ) private pure returns (uint256 count) {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == topic) ++count;
        }
    }
}
