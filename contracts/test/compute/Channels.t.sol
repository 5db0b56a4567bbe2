// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISettlement } from "../../src/compute/ISettlement.sol";
import { IComputeCredit } from "../../src/token/IComputeCredit.sol";
import { SeriesTest } from "../support/SeriesTest.sol";
import { Nonces } from "@openzeppelin/contracts/utils/Nonces.sol";

/// @notice A smart account: one key owns it, its own code says what it approves.
contract SmartAccount {
    address private immutable OWNER;

    constructor(
        address owner
    ) {
        OWNER = owner;
    }

    function isValidSignature(
        bytes32 digest,
        bytes calldata signature
    ) external view returns (bytes4) {
        (bytes32 r, bytes32 s, uint8 v) = abi.decode(signature, (bytes32, bytes32, uint8));
        return ecrecover(digest, v, r, s) == OWNER ? this.isValidSignature.selector : bytes4(0);
    }

    function run(
        address target,
        bytes calldata call
    ) external returns (bytes memory) {
        (bool ok, bytes memory result) = target.call(call);
        require(ok);
        return result;
    }
}

/// @notice A smart account that approves everything, and opens a channel of its own while it is asked.
contract ReenteringAccount {
    ISettlement private immutable SETTLEMENT;
    bytes private _call;

    constructor(
        ISettlement settlement,
        bytes memory call
    ) {
        SETTLEMENT = settlement;
        _call = call;
    }

    function isValidSignature(
        bytes32,
        bytes calldata
    ) external returns (bytes4) {
        (bool ok,) = address(SETTLEMENT).call(_call);
        require(!ok, "it got in");
        return this.isValidSignature.selector;
    }
}

/// @notice Says that the deadlines it is told of are extended.
contract OutageStand {
    mapping(uint256 deadline => uint256) public extensions;

    function set(
        uint256 deadline,
        uint256 by
    ) external {
        extensions[deadline] = by;
    }

    function extended(
        uint256 deadline
    ) external view returns (uint256) {
        return deadline + extensions[deadline];
    }
}

contract ChannelsTest is SeriesTest {
    uint256 private _payerSecret;

    function setUp() public override {
        super.setUp();
        (payer, _payerSecret) = makeActorAndKey("payer");
        buyCredits(payer, 100e18);
    }

    // ------------------------------------------------------------------------------------- opening by signature

    function test_aPayerOpensBySignatureAndSomebodyElseHandsItIn() public {
        ISettlement.Opening memory opening = _opening(payer);
        bytes memory signature = _sign(opening, _payerSecret);
        vm.expectEmit(address(settlement));
        emit ISettlement.ChannelOpened(1, payer, contributor, SUBNET, UID, session, 10e18, opening.expiry);
        vm.expectEmit(address(settlement));
        emit ISettlement.ChannelFunded(1, 10e18, 0, 1_500_000);
        vm.prank(stranger);
        vm.assertEq(settlement.openFor(opening, signature), 1);
        vm.assertEq(settlement.nonces(payer), 1);
        vm.assertEq(settlement.channelOf(1).payer, payer);
        settleUpTo(1, 10e18);
        vm.assertEq(credit.balanceOf(contributor), 10e18);
    }

    /// `[CR-5]` A wish opens once.
    function test_anOpeningIsNeverUsedTwice() public {
        ISettlement.Opening memory opening = _opening(payer);
        bytes memory signature = _sign(opening, _payerSecret);
        settlement.openFor(opening, signature);
        vm.expectRevert(abi.encodeWithSelector(Nonces.InvalidAccountNonce.selector, payer, 1));
        settlement.openFor(opening, signature);
    }

    function test_anOpeningHoldsUntilItsDeadline() public {
        ISettlement.Opening memory opening = _opening(payer);
        bytes memory signature = _sign(opening, _payerSecret);
        vm.warp(opening.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_OpeningExpired.selector, opening.deadline));
        settlement.openFor(opening, signature);
        vm.warp(opening.deadline);
        settlement.openFor(opening, signature);
    }

    /// A wish that waited while the uid changed hands pays nobody.
    function test_anOpeningNamesItsContributor() public {
        ISettlement.Opening memory opening = _opening(payer);
        bytes memory signature = _sign(opening, _payerSecret);
        registry.set(SUBNET, UID, stranger);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_OtherContributor.selector, stranger, contributor));
        settlement.openFor(opening, signature);
    }

    /// `[CR-1]` Every field is signed, by the payer.
    function testFuzz_aChangedOpeningIsRefused(
        uint8 field
    ) public {
        ISettlement.Opening memory opening = _opening(payer);
        bytes memory signature = _sign(opening, _payerSecret);
        field = uint8(bound(field, 0, 5));
        if (field == 0) opening.payer = stranger;
        if (field == 1) opening.uid = UID + 1;
        if (field == 2) opening.amount += 1;
        if (field == 3) opening.expiry += 1;
        if (field == 4) opening.sessionKey = stranger;
        if (field == 5) opening.deadline += 1;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_InvalidOpening.selector, opening.payer));
        settlement.openFor(opening, signature);
    }

    function test_nobodyOpensForTheZeroAddressWithGarbage() public {
        ISettlement.Opening memory opening = _opening(address(0));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_InvalidOpening.selector, address(0)));
        settlement.openFor(opening, new bytes(65));
    }

    /// A contract pays: it opens by ERC-1271, or by an ordinary call; the session key stays an ECDSA key.
    function test_aSmartAccountOpensBySignatureAndByCall() public {
        (address owner, uint256 secret) = makeActorAndKey("owner");
        SmartAccount account = new SmartAccount(owner);
        buyCredits(address(account), 30e18);
        ISettlement.Opening memory opening = _opening(address(account));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, settlement.hashOpening(opening));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_InvalidOpening.selector, address(account)));
        settlement.openFor(opening, abi.encodePacked(r, s, v));
        settlement.openFor(opening, abi.encode(r, s, v));
        account.run(
            address(settlement),
            abi.encodeCall(ISettlement.open, (SUBNET, UID, 20e18, uint64(block.timestamp) + 1 days, session))
        );
        account.run(address(settlement), abi.encodeCall(ISettlement.extend, (2, uint64(block.timestamp) + 2 days)));
        settleUpTo(1, 10e18);
        settleUpTo(2, 20e18);
        vm.assertEq(credit.balanceOf(contributor), 30e18);
    }

    /// The one place where a stranger's code is asked lets it change nothing: it is asked by a static call.
    function test_anAccountThatIsAskedForItsSignatureChangesNothing() public {
        bytes memory call =
            abi.encodeCall(ISettlement.open, (SUBNET, UID, 10e18, uint64(block.timestamp) + 1 days, session));
        ReenteringAccount account = new ReenteringAccount(settlement, call);
        buyCredits(address(account), 30e18);
        settlement.openFor(_opening(address(account)), "");
        vm.assertEq(settlement.channelCount(), 1);
    }

    /// An account that is a key and has code too (EIP-7702) signs as a key, whatever its code says.
    function test_aKeyWithCodeSignsAsAKey() public {
        vm.etch(payer, address(new SmartAccount(stranger)).code);
        ISettlement.Opening memory opening = _opening(payer);
        settlement.openFor(opening, _sign(opening, _payerSecret));
        vm.assertEq(settlement.channelOf(1).payer, payer);
    }

    /// The digest is the one of the published EIP-712 type, and ERC-5267 publishes the domain.
    function test_theOpeningsDigestFollowsThePublishedType() public view {
        ISettlement.Opening memory opening = _opening(payer);
        (, string memory name, string memory version, uint256 chain, address verifier,,) = settlement.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chain,
                verifier
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "Opening(address payer,uint16 netuid,uint16 uid,address contributor,uint128 amount,uint64 expiry,address sessionKey,uint256 nonce,uint256 deadline)"
                ),
                opening
            )
        );
        vm.assertEq(settlement.hashOpening(opening), keccak256(abi.encodePacked("\x19\x01", domain, structHash)));
        vm.assertEq(name, "Tandem Settlement");
        vm.assertEq(version, "1");
    }

    // ------------------------------------------------------------------------------------ topping up, extending

    function test_aTopUpKeepsVouchersValidAndAddsItsThreeParts() public {
        uint256 id = openChannel(10e18);
        ISettlement.Voucher memory voucher = voucherFor(id, 30e18);
        bytes memory signature = signVoucher(voucher, sessionSecret);
        vm.expectPartialRevert(ISettlement.Settlement_AboveChannel.selector);
        settlement.settle(voucher, signature);
        settleUpTo(id, 4e18);
        vm.expectEmit(address(settlement));
        emit ISettlement.ChannelFunded(id, 20e18, 0, 3_000_000);
        vm.prank(payer);
        settlement.topUp(id, 20e18);
        assertHolding(settlement.channelOf(id).rest, 26e18, 0, 3_900_000);
        vm.assertEq(settlement.channelOf(id).settled, 4e18);
        vm.assertEq(settlement.settle(voucher, signature), 26e18);
        assertHolding(settlement.channelOf(id).rest, 0, 0, 0);
        vm.assertEq(credit.lifetimeOf(contributor).marginRecognised, 4_500_000);
    }

    /// Purchased credits that join a channel which spends earned ones are spent before those.
    function test_aTopUpOfPurchasedCreditsGoesBeforeEarnedOnes() public {
        earnFor(stranger, 10e18);
        payer = stranger;
        uint256 id = openChannel(10e18);
        settleUpTo(id, 4e18);
        assertHolding(settlement.channelOf(id).rest, 0, 6e18, 0);
        buyCredits(stranger, 5e18);
        vm.prank(stranger);
        settlement.topUp(id, 5e18);
        assertHolding(settlement.channelOf(id).rest, 5e18, 6e18, 750_000);
        settleUpTo(id, 12e18);
        assertHolding(settlement.channelOf(id).rest, 0, 3e18, 0);
        vm.warp(block.timestamp + 3 days);
        settlement.reclaim(id);
        assertHolding(credit.holdingOf(stranger), 0, 3e18, 0);
        assertHolding(settlement.channelOf(id).rest, 0, 0, 0);
    }

    /// `[CR-1]` `[CR-3]` Whatever a channel goes through, what comes out of it is what went in, part by part.
    function testFuzz_aChannelConservesItsThreeParts(
        uint256 purchased,
        uint256 earned,
        uint256[8] memory steps
    ) public {
        purchased = bound(purchased, 0, 500e18);
        earned = bound(earned, 1, 500e18);
        earnFor(stranger, earned);
        payer = stranger;
        if (purchased != 0) buyCredits(payer, purchased);
        IComputeCredit.Holding memory start = credit.holdingOf(payer);
        uint256 recognised = credit.lifetimeTotal().marginRecognised;
        uint256 fromPurchased = credit.lifetimeTotal().earnedFromPurchased;

        uint256 whole = purchased + earned;
        uint256 id = openChannel(bound(steps[0], 1, whole));
        for (uint256 i = 1; i < steps.length; ++i) {
            ISettlement.Channel memory channel = settlement.channelOf(id);
            uint256 rest = uint256(channel.rest.purchased) + channel.rest.earned;
            uint256 free = credit.balanceOf(payer);
            if (steps[i] % 3 == 0 && free != 0) {
                vm.prank(payer);
                settlement.topUp(id, uint128(bound(steps[i], 1, free)));
            } else if (rest != 0) {
                settleUpTo(id, channel.settled + bound(steps[i], 1, rest));
            }
        }
        uint256 settled = settlement.channelOf(id).settled;
        vm.warp(block.timestamp + 3 days);
        if (settled != whole - credit.balanceOf(payer)) settlement.reclaim(id);

        IComputeCredit.Holding memory end = credit.holdingOf(payer);
        IComputeCredit.Lifetime memory total = credit.lifetimeTotal();
        fromPurchased = total.earnedFromPurchased - fromPurchased;
        vm.assertEq(uint256(end.purchased) + fromPurchased, start.purchased, "purchased");
        vm.assertEq(uint256(end.earned) + settled - fromPurchased, start.earned, "earned");
        vm.assertEq(uint256(end.margin) + total.marginRecognised - recognised, start.margin, "margin");
        assertHolding(credit.holdingOf(address(settlement)), 0, 0, 0);
    }

    function test_onlyThePayerChangesAChannelAndOnlyUntilItExpires() public {
        uint256 id = openChannel(10e18);
        uint64 expiry = settlement.channelOf(id).expiry;
        vm.startPrank(stranger);
        bytes memory reason = abi.encodeWithSelector(ISettlement.Settlement_OnlyPayer.selector, id, stranger);
        vm.expectRevert(reason);
        settlement.topUp(id, 1);
        vm.expectRevert(reason);
        settlement.extend(id, expiry + 1);
        vm.stopPrank();
        vm.startPrank(payer);
        vm.expectRevert(ISettlement.Settlement_ZeroAmount.selector);
        settlement.topUp(id, 0);
        vm.warp(expiry + 1);
        reason = abi.encodeWithSelector(ISettlement.Settlement_Expired.selector, id, expiry);
        vm.expectRevert(reason);
        settlement.topUp(id, 1);
        vm.expectRevert(reason);
        settlement.extend(id, expiry + 100);
        reason = abi.encodeWithSelector(ISettlement.Settlement_UnknownChannel.selector, 7);
        vm.expectRevert(reason);
        settlement.topUp(7, 1);
        vm.expectRevert(reason);
        settlement.extend(7, expiry);
        vm.stopPrank();
    }

    /// An expiry only moves away: a contributor can rely on the one it saw.
    function test_anExtensionKeepsVouchersAndPutsReclaimingOff() public {
        uint256 id = openChannel(10e18);
        uint64 expiry = settlement.channelOf(id).expiry;
        vm.startPrank(payer);
        bytes memory reason = abi.encodeWithSelector(
            ISettlement.Settlement_InvalidExpiry.selector, expiry - 1, expiry, block.timestamp + 365 days
        );
        vm.expectRevert(reason);
        settlement.extend(id, expiry - 1);
        vm.expectPartialRevert(ISettlement.Settlement_InvalidExpiry.selector);
        settlement.extend(id, uint64(block.timestamp) + 365 days + 1);
        vm.expectEmit(address(settlement));
        emit ISettlement.ChannelExtended(id, expiry + 7 days);
        settlement.extend(id, expiry + 7 days);
        vm.stopPrank();
        vm.assertEq(settlement.channelOf(id).expiry, expiry + 7 days);
        assertHolding(settlement.channelOf(id).rest, 10e18, 0, 1_500_000);
        vm.warp(expiry + 7 days + GRACE);
        vm.expectPartialRevert(ISettlement.Settlement_TooEarly.selector);
        settlement.reclaim(id);
        settleUpTo(id, 10e18);
    }

    function test_aChannelTakesInSoManyCreditsOverItsLife() public {
        uint256 most = type(uint80).max;
        buyCredits(payer, 2 * most);
        vm.startPrank(payer);
        uint64 expiry = uint64(block.timestamp) + 1 days;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_ChannelTooLarge.selector, most + 1, most));
        settlement.open(SUBNET, UID, uint128(most + 1), expiry, session);
        uint256 id = settlement.open(SUBNET, UID, uint128(most), expiry, session);
        vm.stopPrank();
        settleUpTo(id, most);
        vm.assertEq(settlement.channelOf(id).settled, most);
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_ChannelTooLarge.selector, most + 1, most));
        settlement.topUp(id, 1);
    }

    // ------------------------------------------------------------------------------------------------- outages

    /// A deadline that falls into a gap of blocks waits for the gap's length, for both sides.
    function test_anOutageExtendsTheDeadlineOfVouchersAndOfReclaiming() public {
        uint256 id = openChannel(10e18);
        uint256 deadline = uint256(settlement.channelOf(id).expiry) + GRACE;
        vm.etch(address(outages), type(OutageStand).runtimeCode);
        OutageStand(address(outages)).set(deadline, 1 hours);
        vm.warp(deadline + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_TooEarly.selector, id, deadline));
        settlement.reclaim(id);
        settleUpTo(id, 4e18);
        vm.warp(deadline + 1 hours + 1);
        ISettlement.Voucher memory voucher = voucherFor(id, 5e18);
        bytes memory signature = signVoucher(voucher, sessionSecret);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_TooLate.selector, id, deadline));
        settlement.settle(voucher, signature);
        settlement.reclaim(id);
        vm.assertEq(credit.balanceOf(payer), 96e18);
    }

    function _opening(
        address account
    ) private view returns (ISettlement.Opening memory) {
        return ISettlement.Opening({
            payer: account,
            netuid: SUBNET,
            uid: UID,
            contributor: contributor,
            amount: 10e18,
            expiry: uint64(block.timestamp) + 1 days,
            sessionKey: session,
            nonce: 0,
            deadline: block.timestamp + 1 hours
        });
    }

    function _sign(
        ISettlement.Opening memory opening,
        uint256 secret
    ) private view returns (bytes memory) {
        return signed(secret, settlement.hashOpening(opening));
    }
}
