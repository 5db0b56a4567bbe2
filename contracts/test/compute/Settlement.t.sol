// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRateCard } from "../../src/compute/IRateCard.sol";
import { ISettlement } from "../../src/compute/ISettlement.sol";
import { Netuid } from "../../src/types/Types.sol";
import { SeriesTest } from "../support/SeriesTest.sol";

contract SettlementTest is SeriesTest {
    function setUp() public override {
        super.setUp();
        buyCredits(payer, 100e18);
    }

    function test_openingTakesCreditsIntoAChannelToTheNeuronsOwner() public {
        vm.expectEmit(address(settlement));
        emit ISettlement.ChannelOpened(
            1, payer, contributor, SUBNET, UID, session, 40e18, uint64(block.timestamp) + 1 days
        );
        uint256 id = openChannel(40e18);
        ISettlement.Channel memory channel = settlement.channelOf(id);
        vm.assertEq(channel.payer, payer);
        vm.assertEq(channel.contributor, contributor);
        vm.assertEq(channel.sessionKey, session);
        vm.assertEq(channel.uid, UID);
        assertHolding(channel.rest, 40e18, 0, 6_000_000);
        vm.assertEq(credit.balanceOf(address(settlement)), 40e18);
        vm.assertEq(credit.balanceOf(payer), 60e18);
        vm.assertEq(settlement.channelCount(), 1);
        vm.assertEq(openChannel(1), 2);
    }

    function test_openingRefusesWhatCouldNeverSettle() public {
        uint64 time = uint64(block.timestamp);
        vm.startPrank(payer);
        vm.expectRevert(ISettlement.Settlement_ZeroAmount.selector);
        settlement.open(SUBNET, UID, 0, time + 1 days, session);
        vm.expectRevert(ISettlement.Settlement_InvalidSessionKey.selector);
        settlement.open(SUBNET, UID, 1, time + 1 days, address(0));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_UnknownNeuron.selector, SUBNET, UID + 1));
        settlement.open(SUBNET, UID + 1, 1, time + 1 days, session);
        vm.expectPartialRevert(bytes4(keccak256("ComputeCredit_InsufficientCredits(address,uint256,uint256)")));
        settlement.open(SUBNET, UID, 100e18 + 1, time + 1 days, session);
        uint64[2] memory expiries = [time + 59 seconds, time + 365 days + 1];
        for (uint256 i = 0; i < expiries.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    ISettlement.Settlement_InvalidExpiry.selector, expiries[i], time + 1 minutes, time + 365 days
                )
            );
            settlement.open(SUBNET, UID, 1, expiries[i], session);
        }
        settlement.open(SUBNET, UID, 1, time + 1 minutes, session);
        settlement.open(SUBNET, UID, 1, time + 365 days, session);
        vm.stopPrank();
    }

    /// `[CR-3]`
    function test_settlingPaysTheContributorAndRecognisesTheMarginForTheSubnet() public {
        uint256 id = openChannel(40e18);
        ISettlement.Voucher memory voucher = voucherFor(id, 10e18);
        bytes memory signature = signVoucher(voucher, sessionSecret);
        vm.expectEmit(address(settlement));
        emit ISettlement.Settled(id, 10e18, 1_500_000, MODEL, 0, 5_000_000);
        vm.prank(stranger);
        vm.assertEq(settlement.settle(voucher, signature), 10e18);
        assertHolding(credit.holdingOf(contributor), 0, 10e18, 0);
        assertHolding(settlement.channelOf(id).rest, 30e18, 0, 4_500_000);
        (uint256 toBuyback, uint256 toPot, uint64 epoch) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback, 750_000);
        vm.assertEq(toPot, 750_000);
        vm.assertEq(epoch, 0);
        vm.assertEq(desk.deferredMargin(), 13_500_000);
        vm.assertEq(credit.lifetimeOf(contributor).marginRecognised, 1_500_000);
    }

    function test_vouchersAreCumulative() public {
        uint256 id = openChannel(40e18);
        vm.assertEq(settleUpTo(id, 10e18), 10e18);
        vm.assertEq(settleUpTo(id, 25e18), 15e18);
        vm.assertEq(settleUpTo(id, 40e18), 15e18);
        ISettlement.Channel memory channel = settlement.channelOf(id);
        vm.assertEq(channel.settled, 40e18);
        assertHolding(channel.rest, 0, 0, 0);
    }

    /// `[CR-3]` One dollar never counts twice: credits that were earned carry no margin when they are spent again.
    function test_spendingEarnedCreditsRecognisesNoMargin() public {
        settleUpTo(openChannel(100e18), 100e18);
        uint256 recognised = credit.lifetimeTotal().marginRecognised;
        vm.assertEq(recognised, 15_000_000);
        registry.set(SUBNET, UID, stranger);
        vm.prank(contributor);
        uint256 id = settlement.open(SUBNET, UID, 50e18, uint64(block.timestamp) + 1 days, session);
        settleUpTo(id, 50e18);
        vm.assertEq(credit.balanceOf(stranger), 50e18);
        vm.assertEq(credit.lifetimeTotal().marginRecognised, recognised);
        vm.assertEq(credit.lifetimeOf(stranger).earnedFromPurchased, 0);
        (uint256 toBuyback, uint256 toPot,) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback + toPot, recognised);
    }

    /// `[CR-5]`
    function test_aVoucherNeverSettlesTwiceNorAnOlderOneAfterIt() public {
        uint256 id = openChannel(40e18);
        settleUpTo(id, 10e18);
        ISettlement.Voucher memory voucher = voucherFor(id, 10e18);
        _refused(
            voucher, sessionSecret, abi.encodeWithSelector(ISettlement.Settlement_NothingNew.selector, id, 10e18, 10e18)
        );
        voucher = voucherFor(id, 9e18);
        _refused(
            voucher, sessionSecret, abi.encodeWithSelector(ISettlement.Settlement_NothingNew.selector, id, 9e18, 10e18)
        );
    }

    /// `[CR-5]`
    function test_theMalleableTwinOfASignatureIsRefusedAndSoIsEveryOtherLength() public {
        ISettlement.Voucher memory voucher = voucherFor(openChannel(40e18), 10e18);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(sessionSecret, settlement.hashVoucher(voucher));
        bytes memory twin = abi.encodePacked(r, bytes32(CURVE_ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        bytes memory compact = abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
        bytes memory longer = abi.encodePacked(r, s, v, uint8(0));
        bytes[4] memory bad = [twin, compact, longer, bytes("")];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_InvalidSignature.selector, 1));
            settlement.settle(voucher, bad[i]);
        }
        settlement.settle(voucher, abi.encodePacked(r, s, v));
        vm.expectPartialRevert(ISettlement.Settlement_InvalidSignature.selector);
        settlement.settle(voucher, twin);
    }

    /// `[CR-5]`
    function test_onlyTheSessionKeySignsNotEvenThePayer() public {
        (, uint256 payerSecret) = makeActorAndKey("payer");
        ISettlement.Voucher memory voucher = voucherFor(openChannel(40e18), 10e18);
        _refused(voucher, payerSecret, abi.encodeWithSelector(ISettlement.Settlement_InvalidSignature.selector, 1));
    }

    /// `[CR-5]` An ERC-1271 contract may pay, but a session key is an ECDSA key: its code is never asked.
    function test_aContractAsSessionKeySignsNothing() public {
        address signer = address(new YesSigner());
        vm.prank(payer);
        uint256 id = settlement.open(SUBNET, UID, 10e18, uint64(block.timestamp) + 1 days, signer);
        _refused(
            voucherFor(id, 1e18),
            sessionSecret,
            abi.encodeWithSelector(ISettlement.Settlement_InvalidSignature.selector, id)
        );
    }

    /// `[CR-5]` Every field is signed.
    function testFuzz_aChangedVoucherIsRefused(
        uint8 field,
        uint64 change
    ) public {
        openChannel(40e18);
        openChannel(40e18);
        ISettlement.Voucher memory voucher = voucherFor(1, 10e18);
        bytes memory signature = signVoucher(voucher, sessionSecret);
        uint64 delta = uint64(bound(change, 1, 1000));
        field = uint8(bound(field, 0, 5));
        if (field == 0) voucher.channelId = 2;
        if (field == 1) voucher.amount -= delta;
        if (field == 2) voucher.model = bytes32(uint256(delta));
        if (field == 3) voucher.rateCardVersion += uint32(delta);
        if (field == 4) voucher.promptTokens += delta;
        if (field == 5) voucher.completionTokens += delta;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_InvalidSignature.selector, voucher.channelId));
        settlement.settle(voucher, signature);
    }

    /// `[CR-5]`
    function test_aVoucherOfAnotherChainIsRefused() public {
        ISettlement.Voucher memory voucher = voucherFor(openChannel(40e18), 10e18);
        bytes memory signature = signVoucher(voucher, sessionSecret);
        vm.chainId(10);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_InvalidSignature.selector, 1));
        settlement.settle(voucher, signature);
    }

    /// `[CR-5]`
    function test_aVoucherAboveTheChannelIsRefused() public {
        uint256 id = openChannel(40e18);
        settleUpTo(id, 10e18);
        _refused(
            voucherFor(id, 40e18 + 1),
            sessionSecret,
            abi.encodeWithSelector(ISettlement.Settlement_AboveChannel.selector, id, 40e18 + 1, 40e18)
        );
    }

    /// `[CR-5]`
    function test_aVoucherSettlesUntilExpiryAndGraceAndIsReclaimedOnlyAfter() public {
        uint256 id = openChannel(40e18);
        uint256 deadline = block.timestamp + 1 days + GRACE;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_TooEarly.selector, id, deadline));
        settlement.reclaim(id);
        settleUpTo(id, 10e18);
        vm.warp(deadline + 1);
        _refused(
            voucherFor(id, 20e18),
            sessionSecret,
            abi.encodeWithSelector(ISettlement.Settlement_TooLate.selector, id, deadline)
        );
        vm.expectEmit(address(settlement));
        emit ISettlement.Reclaimed(id, payer, 30e18, 0, 4_500_000);
        vm.prank(stranger);
        settlement.reclaim(id);
        assertHolding(credit.holdingOf(payer), 90e18, 0, 13_500_000);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_NothingToReclaim.selector, id));
        settlement.reclaim(id);
    }

    /// `[CR-5]` Whoever takes the uid later gets nothing of an old channel.
    function test_theContributorIsFixedWhenTheChannelOpens() public {
        uint256 id = openChannel(40e18);
        registry.set(SUBNET, UID, stranger);
        settleUpTo(id, 10e18);
        vm.assertEq(credit.balanceOf(contributor), 10e18);
        vm.assertEq(credit.balanceOf(stranger), 0);
    }

    /// `[CR-5]`
    function test_anAmountAboveTheRateCardsPriceOfItsTokensIsRefused() public {
        uint256 id = openChannel(40e18);
        ISettlement.Voucher memory voucher = voucherFor(id, 10e18);
        voucher.amount += 1;
        _refused(
            voucher,
            sessionSecret,
            abi.encodeWithSelector(ISettlement.Settlement_AboveRateCard.selector, id, 10e18 + 1, 10e18)
        );
        voucher.amount = 4e18;
        vm.assertEq(settlement.settle(voucher, signVoucher(voucher, sessionSecret)), 4e18);
        voucher.amount = 10e18 + 1;
        _refused(
            voucher,
            sessionSecret,
            abi.encodeWithSelector(ISettlement.Settlement_AboveRateCard.selector, id, 10e18 + 1, 10e18)
        );
        voucher.amount = 10e18;
        vm.assertEq(settlement.settle(voucher, signVoucher(voucher, sessionSecret)), 6e18);
    }

    /// `[CR-5]` A voucher's price depends on itself alone: one that the payer slips in before it takes nothing from it.
    function test_aTinyVoucherWithHugeTokenCountersSpoilsNoHonestOne() public {
        uint256 id = openChannel(40e18);
        ISettlement.Voucher memory honest = voucherFor(id, 10e18);
        ISettlement.Voucher memory conflicting = voucherFor(id, 1);
        conflicting.promptTokens = type(uint64).max;
        conflicting.completionTokens = type(uint64).max;
        vm.prank(payer);
        settlement.settle(conflicting, signVoucher(conflicting, sessionSecret));
        bytes memory signature = signVoucher(honest, sessionSecret);
        vm.expectEmit(address(settlement));
        emit ISettlement.Settled(id, 10e18 - 1, 1_499_999, MODEL, 0, 5_000_000);
        vm.assertEq(settlement.settle(honest, signature), 10e18 - 1);
        vm.assertEq(credit.balanceOf(contributor), 10e18);
    }

    /// `[CR-5]`
    function testFuzz_aConflictingVoucherOfThePayerSpoilsNoHonestOne(
        uint128 amount,
        uint64 promptTokens,
        uint64 completionTokens
    ) public {
        uint256 id = openChannel(40e18);
        ISettlement.Voucher memory honest = voucherFor(id, 10e18);
        ISettlement.Voucher memory conflicting = voucherFor(id, uint128(bound(amount, 1, 10e18 - 1)));
        conflicting.promptTokens = promptTokens;
        conflicting.completionTokens = uint64(bound(completionTokens, conflicting.completionTokens, type(uint64).max));
        vm.prank(payer);
        settlement.settle(conflicting, signVoucher(conflicting, sessionSecret));
        vm.assertEq(settlement.settle(honest, signVoucher(honest, sessionSecret)), 10e18 - conflicting.amount);
        vm.assertEq(credit.balanceOf(contributor), 10e18);
    }

    function test_aRateThatIsUnknownOrNotYetEffectiveIsRefused() public {
        uint256 id = openChannel(40e18);
        ISettlement.Voucher memory voucher = voucherFor(id, 10e18);
        voucher.rateCardVersion = 2;
        _refused(voucher, sessionSecret, abi.encodeWithSelector(IRateCard.RateCard_UnknownRate.selector, MODEL, 2));
        card.publish(MODEL_ID, PROMPT_RATE, 2 * COMPLETION_RATE);
        _refused(
            voucher,
            sessionSecret,
            abi.encodeWithSelector(IRateCard.RateCard_NotYetEffective.selector, MODEL, 2, GENESIS + LENGTH)
        );
        vm.warp(GENESIS + LENGTH);
        vm.assertEq(settlement.settle(voucher, signVoucher(voucher, sessionSecret)), 10e18);
    }

    function test_unknownChannelsRevertEverywhere() public {
        bytes memory reason = abi.encodeWithSelector(ISettlement.Settlement_UnknownChannel.selector, 9);
        _refused(voucherFor(9, 1), sessionSecret, reason);
        vm.expectRevert(reason);
        settlement.reclaim(9);
        vm.expectRevert(reason);
        settlement.channelOf(9);
    }

    /// `[GV-2]` USDC's issuer can stop its token, not a settlement: the margin waits at the desk, and whoever settles pays nothing
    /// for trying again within the epoch.
    function test_settlingGoesOnWhileUsdcIsPaused() public {
        uint256 id = openChannel(40e18);
        settleUpTo(id, 10e18);
        vm.warp(GENESIS + LENGTH);
        usdc.pause();
        settleUpTo(id, 20e18);
        settleUpTo(id, 30e18);
        vm.assertEq(credit.balanceOf(contributor), 30e18);
        (uint256 toBuyback, uint256 toPot,) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback + toPot, 4_500_000);
        usdc.unpause();
        vm.warp(GENESIS + 2 * LENGTH);
        settleUpTo(id, 40e18);
        vm.assertEq(auction.received(Netuid.wrap(0)) + distributor.received(SUBNET), 4_500_000);
    }

    /// `[CR-3]` However finely a channel is settled, its margin is recognised whole and once.
    function testFuzz_aChannelsMarginIsRecognisedWholeAndOnce(
        uint256[5] memory steps
    ) public {
        uint256 id = openChannel(33e18 + 7);
        uint256 margin = settlement.channelOf(id).rest.margin;
        uint256 settled;
        for (uint256 i = 0; i < steps.length; ++i) {
            uint256 left = 33e18 + 7 - settled;
            if (left == 0) break;
            settled += i == 4 ? left : bound(steps[i], 1, left);
            ISettlement.Voucher memory voucher = voucherFor(id, settled);
            // What rounding may lack in completion tokens, two more prompt tokens pay.
            voucher.promptTokens = uint64(2 * (i + 1));
            settlement.settle(voucher, signVoucher(voucher, sessionSecret));
        }
        vm.assertEq(credit.lifetimeTotal().marginRecognised, margin);
        (uint256 toBuyback, uint256 toPot,) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback + toPot, margin);
        vm.assertEq(desk.deferredMargin(), 15_000_000 - margin);
    }

    /// The digest is the one of the published EIP-712 type and domain.
    function test_theDigestFollowsThePublishedType() public view {
        ISettlement.Voucher memory voucher = voucherFor(1, 10e18);
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Tandem Settlement"),
                keccak256("1"),
                block.chainid,
                address(settlement)
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "Voucher(uint256 channelId,uint128 amount,bytes32 model,uint32 rateCardVersion,uint64 promptTokens,uint64 completionTokens)"
                ),
                voucher.channelId,
                voucher.amount,
                voucher.model,
                voucher.rateCardVersion,
                voucher.promptTokens,
                voucher.completionTokens
            )
        );
        vm.assertEq(settlement.hashVoucher(voucher), keccak256(abi.encodePacked("\x19\x01", domain, structHash)));
        vm.assertEq(settlement.settleGrace(), GRACE);
    }

    function _refused(
        ISettlement.Voucher memory voucher,
        uint256 secret,
        bytes memory reason
    ) private {
        bytes memory signature = signVoucher(voucher, secret);
        vm.expectRevert(reason);
        settlement.settle(voucher, signature);
    }
}

/// @notice Would approve of any signature if it were asked.
contract YesSigner {
    function isValidSignature(
        bytes32,
        bytes calldata
    ) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}
