// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISettlement } from "../../src/compute/ISettlement.sol";
import { IComputeCredit } from "../../src/token/IComputeCredit.sol";
import { Netuid } from "../../src/types/Types.sol";
import { SeriesTest } from "../support/SeriesTest.sol";
import { Vm } from "../support/Test.sol";

/// @notice Credits, desk and settlement under any sequence of calls by users, contributors and meddlers.
contract SeriesInvariantTest is SeriesTest {
    uint256 private constant ACTORS = 4;
    Netuid private constant OTHER = Netuid.wrap(2);

    address[ACTORS] private _actors;

    function setUp() public override {
        super.setUp();
        for (uint16 i = 0; i < ACTORS; ++i) {
            _actors[i] = makeActor(string.concat("actor ", vm.toString(i)));
            registry.set(i % 2 == 0 ? SUBNET : OTHER, i, _actors[i]);
        }
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(this);
    }

    function targetSelectors() public view returns (Vm.FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](11);
        selectors[0] = this.buySome.selector;
        selectors[1] = this.openSome.selector;
        selectors[2] = this.settleSome.selector;
        selectors[3] = this.reclaimSome.selector;
        selectors[4] = this.cashOutSome.selector;
        selectors[5] = this.donate.selector;
        selectors[6] = this.toggleTrouble.selector;
        selectors[7] = this.changePrice.selector;
        selectors[8] = this.topUpSome.selector;
        selectors[9] = this.extendSome.selector;
        selectors[10] = this.settleAllOf.selector;
        targets = new Vm.FuzzSelector[](1);
        targets[0] = Vm.FuzzSelector({ addr: address(this), selectors: selectors });
    }

    function buySome(
        uint256 actor,
        uint256 credits
    ) external {
        buyCredits(_actor(actor), bound(credits, 1, 1e24));
    }

    function openSome(
        uint256 actor,
        uint256 uid,
        uint256 amount,
        uint256 duration
    ) external {
        address opener = _actor(actor);
        uint256 balance = credit.balanceOf(opener);
        if (balance == 0) return;
        if (balance > type(uint80).max) balance = type(uint80).max;
        uid %= ACTORS;
        uint64 expiry = uint64(block.timestamp + bound(duration, 1 minutes, 2 days));
        vm.prank(opener);
        settlement.open(uid % 2 == 0 ? SUBNET : OTHER, uint16(uid), uint128(bound(amount, 1, balance)), expiry, session);
    }

    function settleSome(
        uint256 channel,
        uint256 increase
    ) external {
        uint256 count = settlement.channelCount();
        if (count == 0) return;
        uint256 id = 1 + channel % count;
        ISettlement.Channel memory state = settlement.channelOf(id);
        uint256 rest = _creditsIn(state.rest);
        if (rest == 0 || block.timestamp > uint256(state.expiry) + GRACE) return;
        ISettlement.Voucher memory voucher = _voucher(id, state.settled + bound(increase, 1, rest));
        settlement.settle(voucher, signVoucher(voucher, sessionSecret));
    }

    /// @dev A batch of vouchers for all channels to one uid, whatever they hold and whether they are over.
    function settleAllOf(
        uint256 uid,
        uint256 share
    ) external {
        uid %= ACTORS;
        uint256 count = settlement.channelCount();
        ISettlement.CompactVoucher[] memory vouchers = new ISettlement.CompactVoucher[](count);
        for (uint256 id = 1; id <= count; ++id) {
            ISettlement.Channel memory state = settlement.channelOf(id);
            uint256 amount = state.settled + _creditsIn(state.rest) * bound(share, 0, 11) / 10;
            vouchers[id - 1] = compactVoucher(_voucher(id, amount), sessionSecret);
        }
        settlement.settleBatch(_actors[uid], uid % 2 == 0 ? SUBNET : OTHER, MODEL, 1, vouchers);
    }

    function topUpSome(
        uint256 channel,
        uint256 amount
    ) external {
        uint256 count = settlement.channelCount();
        if (count == 0) return;
        uint256 id = 1 + channel % count;
        ISettlement.Channel memory state = settlement.channelOf(id);
        uint256 most = credit.balanceOf(state.payer);
        uint256 room = type(uint80).max - state.settled - _creditsIn(state.rest);
        if (most > room) most = room;
        if (most == 0 || block.timestamp > state.expiry) return;
        vm.prank(state.payer);
        settlement.topUp(id, uint128(bound(amount, 1, most)));
    }

    function extendSome(
        uint256 channel,
        uint256 duration
    ) external {
        uint256 count = settlement.channelCount();
        if (count == 0) return;
        uint256 id = 1 + channel % count;
        ISettlement.Channel memory state = settlement.channelOf(id);
        if (block.timestamp > state.expiry) return;
        vm.prank(state.payer);
        settlement.extend(id, uint64(state.expiry + bound(duration, 0, 2 days)));
    }

    function reclaimSome(
        uint256 channel,
        uint256 wait
    ) external {
        vm.warp(block.timestamp + bound(wait, 1, 1 days));
        uint256 count = settlement.channelCount();
        if (count == 0) return;
        uint256 id = 1 + channel % count;
        ISettlement.Channel memory state = settlement.channelOf(id);
        if (_creditsIn(state.rest) == 0 || block.timestamp <= uint256(state.expiry) + GRACE) return;
        settlement.reclaim(id);
    }

    function cashOutSome(
        uint256 actor,
        uint256 credits
    ) external {
        address earner = _actor(actor);
        uint256 earned = credit.holdingOf(earner).earned;
        if (earned * PAYOUT < 1e18) return;
        credits = bound(credits, 1e18 / PAYOUT + 1, earned);
        vm.prank(earner);
        desk.cashOut(credits, earner);
    }

    function donate(
        uint256 amount
    ) external {
        usdc.mint(address(desk), bound(amount, 1, 1e12));
    }

    function toggleTrouble() external {
        bool refuses = !distributor.refuses();
        distributor.setRefuses(refuses);
        if (!refuses) desk.forwardMargin(SUBNET);
    }

    function changePrice(
        uint256 price
    ) external {
        desk.setPrice(bound(price, 892_500, 3 * PRICE));
    }

    /// `[CR-2]`
    function invariant_reserveCoversEveryCreditAndTheDeskHoldsAllItOwes() public view {
        vm.assertGe(desk.reserve() * 1e18, PAYOUT * credit.totalSupply());
        vm.assertGe(usdc.balanceOf(address(desk)), desk.reserve() + desk.deferredMargin() + _held());
    }

    /// `[CR-1]` What an account holds is what it bought and earned less what it spent, cashed out and locked; nothing else.
    function invariant_creditsMoveBetweenAccountsOnlyByWork() public view {
        uint256 sum = credit.balanceOf(address(settlement));
        uint256 settled;
        uint256 spent;
        uint256[ACTORS] memory gone;
        for (uint256 id = 1; id <= settlement.channelCount(); ++id) {
            ISettlement.Channel memory channel = settlement.channelOf(id);
            settled += channel.settled;
            for (uint256 i = 0; i < ACTORS; ++i) {
                if (channel.payer == _actors[i]) gone[i] += channel.settled + _creditsIn(channel.rest);
            }
        }
        for (uint256 i = 0; i < ACTORS; ++i) {
            IComputeCredit.Lifetime memory life = credit.lifetimeOf(_actors[i]);
            uint256 balance = credit.balanceOf(_actors[i]);
            vm.assertEq(life.spent, gone[i], "spent or locked");
            vm.assertEq(balance + gone[i] + life.cashedOut, uint256(life.bought) + life.earned, "of an account");
            sum += balance;
            spent += life.spent;
        }
        vm.assertEq(sum, credit.totalSupply(), "of all");
        vm.assertEq(credit.lifetimeTotal().earned, settled, "settled");
        vm.assertEq(credit.lifetimeTotal().spent, spent, "spent");
    }

    /// `[CR-1]` `[CR-3]` All open channels together hold the three parts that the credit says are in escrow.
    function invariant_channelsHoldWhatIsInEscrow() public view {
        IComputeCredit.Holding memory sum;
        for (uint256 id = 1; id <= settlement.channelCount(); ++id) {
            IComputeCredit.Holding memory rest = settlement.channelOf(id).rest;
            sum.purchased += rest.purchased;
            sum.earned += rest.earned;
            sum.margin += rest.margin;
            vm.assertTrue(rest.purchased != 0 || rest.margin == 0, "margin without credits");
        }
        assertHolding(credit.holdingOf(address(settlement)), sum.purchased, sum.earned, sum.margin);
    }

    /// `[CR-3]` Margin is deferred, held or received, each unit in one place.
    function invariant_marginIsRecognisedOnce() public view {
        uint256 deferred = credit.holdingOf(address(settlement)).margin;
        for (uint256 i = 0; i < ACTORS; ++i) {
            deferred += credit.holdingOf(_actors[i]).margin;
        }
        vm.assertEq(desk.deferredMargin(), deferred, "deferred");
        uint256 received = usdc.balanceOf(address(auction)) + usdc.balanceOf(address(distributor));
        vm.assertEq(credit.lifetimeTotal().marginRecognised, received + _held(), "recognised");
    }

    /// @dev Rounding up by one token an increase keeps every increase within the card.
    function _voucher(
        uint256 id,
        uint256 amount
    ) private pure returns (ISettlement.Voucher memory voucher) {
        voucher = voucherFor(id, amount);
        voucher.completionTokens = uint64(amount / (COMPLETION_RATE / MILLION)) + 1;
    }

    function _held() private view returns (uint256 held) {
        (uint256 toBuyback, uint256 toPot,) = desk.heldMargin(SUBNET);
        held = toBuyback + toPot;
        (toBuyback, toPot,) = desk.heldMargin(OTHER);
        held += toBuyback + toPot;
    }

    function _actor(
        uint256 seed
    ) private view returns (address) {
        return _actors[seed % ACTORS];
    }

    function _creditsIn(
        IComputeCredit.Holding memory holding
    ) private pure returns (uint256) {
        return uint256(holding.purchased) + holding.earned;
    }
}
