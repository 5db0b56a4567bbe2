// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISettlement } from "../../../src/compute/ISettlement.sol";
import { IComputeCredit } from "../../../src/token/IComputeCredit.sol";
import { Netuid, WAD } from "../../../src/types/Types.sol";
import { World } from "../World.sol";

/// @notice What users, contributors and gateways do with credits.
abstract contract CreditActs is World {
    uint64 private constant GRACE = 40;
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    function buySomeCredits(
        uint256 actor,
        uint256 credits
    ) external acts {
        if (_buyingPaused()) return;
        credits = bound(credits, 1, 10_000e18);
        uint256 before = credit.balanceOf(userOf(actor));
        uint256 cost = buyCredits(userOf(actor), credits);
        expect(cost * WAD >= credits * desk.price(), "credits below their price");
        expect(credit.balanceOf(userOf(actor)) == before + credits, "credits bought did not arrive");
        did();
    }

    function buyCreditsByPermit(
        uint256 actor,
        uint256 credits
    ) external acts {
        if (_buyingPaused()) return;
        credits = bound(credits, 1, 1000e18);
        address buyer = userOf(actor);
        uint256 cost = desk.quote(credits);
        usdc.mint(buyer, cost);
        bytes32 digest = keccak256(abi.encode(PERMIT, buyer, address(desk), cost, usdc.nonces(buyer), block.timestamp));
        digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), digest));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(userSecrets[actor % USERS], digest);
        vm.prank(buyer);
        expect(desk.buyWithPermit(credits, cost, block.timestamp, v, r, s) == cost, "a quote that was not kept");
        did();
    }

    function buyCreditsThroughTheGateway(
        uint256 actor,
        uint256 credits
    ) external acts {
        if (_buyingPaused()) return;
        credits = bound(credits, 1, 1000e18);
        uint256 cost = desk.quote(credits);
        giveUsdc(gateway, cost, address(desk));
        vm.prank(gateway);
        desk.buyFor(userOf(actor), credits, cost);
        did();
    }

    function openAChannel(
        uint256 actor,
        uint256 subnet,
        uint256 uid,
        uint256 amount,
        uint256 duration
    ) external acts {
        ISettlement.Opening memory opening = _openingOf(actor, subnet, uid, amount);
        if (opening.amount == 0) return;
        uint64 expiry = uint64(block.timestamp + bound(duration, 60, 300));
        vm.prank(opening.payer);
        settlement.open(opening.netuid, opening.uid, opening.amount, expiry, session);
        did();
    }

    function openAChannelBySignature(
        uint256 actor,
        uint256 subnet,
        uint256 uid,
        uint256 amount
    ) external acts {
        ISettlement.Opening memory opening = _openingOf(actor, subnet, uid, amount);
        if (opening.amount == 0) return;
        bytes memory signature = signed(userSecrets[actor % USERS], settlement.hashOpening(opening));
        settlement.openFor(opening, signature);
        try settlement.openFor(opening, signature) {
            wrong("an opening opened two channels");
        } catch { }
        did();
    }

    function topUpOrExtend(
        uint256 channel,
        uint256 amount,
        uint256 duration
    ) external acts {
        (uint256 id, ISettlement.Channel memory state) = _channel(channel);
        if (id == 0 || block.timestamp > state.expiry) return;
        vm.prank(state.payer);
        settlement.extend(id, uint64(state.expiry + bound(duration, 0, 200)));
        uint256 most = _channelRoom(state.payer, state.settled + creditsIn(state.rest));
        if (most == 0) return;
        vm.prank(state.payer);
        settlement.topUp(id, uint128(bound(amount, 1, most)));
        did();
    }

    function settleAVoucher(
        uint256 channel,
        uint256 increase
    ) external acts {
        (uint256 id, ISettlement.Channel memory state) = _channel(channel);
        uint256 rest = creditsIn(state.rest);
        if (rest == 0 || block.timestamp > uint256(state.expiry) + GRACE) return;
        increase = bound(increase, 1, rest);
        ISettlement.Voucher memory voucher = voucherOf(id, state.settled + increase);
        bytes memory signature = signed(sessionSecret, settlement.hashVoucher(voucher));
        uint256 before = credit.holdingOf(state.contributor).earned;
        expect(settlement.settle(voucher, signature) == increase, "a voucher settled for another amount");
        expect(credit.holdingOf(state.contributor).earned == before + increase, "earned is not what was settled");
        try settlement.settle(voucher, signature) {
            wrong("a voucher settled twice");
        } catch { }
        did();
    }

    /// @dev All vouchers that one contributor has on one subnet, settled, over, empty or above their channel.
    function settleManyVouchers(
        uint256 channel,
        uint256 share
    ) external acts {
        (uint256 chosen, ISettlement.Channel memory one) = _channel(channel);
        if (chosen == 0) return;
        uint256 count = settlement.channelCount();
        ISettlement.CompactVoucher[] memory vouchers = new ISettlement.CompactVoucher[](count);
        uint256 found = 0;
        for (uint256 id = 1; id <= count; ++id) {
            ISettlement.Channel memory state = settlement.channelOf(id);
            if (state.contributor != one.contributor || state.netuid != one.netuid) continue;
            vouchers[found++] = _compact(voucherOf(id, state.settled + creditsIn(state.rest) * (share % 12) / 10));
        }
        assembly ("memory-safe") {
            mstore(vouchers, found)
        }
        uint256 before = credit.holdingOf(one.contributor).earned;
        uint256 paid = settlement.settleBatch(one.contributor, one.netuid, MODEL, 1, vouchers);
        expect(credit.holdingOf(one.contributor).earned == before + paid, "earned is not what the batch settled");
        if (paid != 0) did();
    }

    function reclaimAChannel(
        uint256 channel,
        uint256 wait
    ) external acts {
        (uint256 id, ISettlement.Channel memory state) = _channel(channel);
        if (id == 0 || creditsIn(state.rest) == 0) return;
        uint256 deadline = uint256(state.expiry) + GRACE;
        if (block.timestamp <= deadline) {
            try settlement.reclaim(id) {
                wrong("a channel was reclaimed before its vouchers were too late");
            } catch { }
            if (wait % 2 == 0) return;
            vm.warp(deadline + 1);
        }
        uint256 before = credit.balanceOf(state.payer);
        settlement.reclaim(id);
        expect(credit.balanceOf(state.payer) == before + creditsIn(state.rest), "a channel returned another sum");
        did();
    }

    function cashOutSome(
        uint256 actor,
        uint256 credits,
        uint256 to
    ) external acts {
        address earner = earnerOf(actor);
        uint256 earned = credit.holdingOf(earner).earned;
        if (earned < WAD / PAYOUT + 1) return;
        credits = bound(credits, WAD / PAYOUT + 1, earned);
        uint256 before = usdc.balanceOf(userOf(to));
        vm.prank(earner);
        uint256 paid = desk.cashOut(credits, userOf(to));
        expect(usdc.balanceOf(userOf(to)) - before == paid && paid * WAD <= credits * PAYOUT, "cashed out too much");
        did();
    }

    function forwardMargin(
        uint256 subnet
    ) external acts {
        Netuid netuid = anyNetuid(subnet);
        (uint256 toBuyback, uint256 toPot,) = desk.heldMargin(netuid);
        desk.forwardMargin(netuid);
        if (toBuyback + toPot != 0) did();
    }

    function reprice(
        uint256 price
    ) external acts {
        vm.prank(address(timelock));
        desk.setPrice(bound(price, 892_500, 3 * PRICE));
        did();
    }

    function pauseBuying(
        uint256 duration
    ) external acts {
        vm.prank(guardian);
        desk.pauseBuying(uint64(block.timestamp + bound(duration, 0, 30)));
        did();
    }

    /// @dev Who may have earned something.
    function earnerOf(
        uint256 seed
    ) internal view returns (address) {
        seed %= USERS + 2;
        if (seed < USERS) return users[seed];
        return seed == USERS ? first : second;
    }

    function creditsIn(
        IComputeCredit.Holding memory holding
    ) internal pure returns (uint256) {
        return uint256(holding.purchased) + holding.earned;
    }

    /// @dev At the card's price, with a token to spare.
    function voucherOf(
        uint256 id,
        uint256 amount
    ) internal pure returns (ISettlement.Voucher memory voucher) {
        voucher = voucherFor(id, amount);
        ++voucher.completionTokens;
    }

    function _compact(
        ISettlement.Voucher memory voucher
    ) private view returns (ISettlement.CompactVoucher memory) {
        return compactVoucher(voucher, settlement.hashVoucher(voucher), sessionSecret);
    }

    /// @dev What a payer with credits may open; of no amount if there is none or no neuron.
    function _openingOf(
        uint256 actor,
        uint256 subnet,
        uint256 uid,
        uint256 amount
    ) private view returns (ISettlement.Opening memory opening) {
        address payer = userOf(actor);
        Netuid netuid = anyNetuid(subnet);
        uint256 most = _channelRoom(payer, 0);
        uint256 neurons = registry.neuronCount(netuid);
        if (most == 0 || neurons == 0) return opening;
        (address owner,,) = registry.keysOf(netuid, uint16(uid % neurons));
        return ISettlement.Opening({
            payer: payer,
            netuid: netuid,
            uid: uint16(uid % neurons),
            contributor: owner,
            amount: uint128(bound(amount, 1, most)),
            expiry: uint64(block.timestamp) + 100,
            sessionKey: session,
            nonce: settlement.nonces(payer),
            deadline: block.timestamp
        });
    }

    function _channel(
        uint256 seed
    ) private view returns (uint256 id, ISettlement.Channel memory state) {
        uint256 count = settlement.channelCount();
        if (count == 0) return (0, state);
        // One of the youngest three, mostly: others are over.
        uint256 among = seed % 4 == 0 || count < 3 ? count : 3;
        id = count - (seed >> 2) % among;
        state = settlement.channelOf(id);
    }

    /// @dev What `payer` can put into a channel that has taken in `before`.
    function _channelRoom(
        address payer,
        uint256 before
    ) private view returns (uint256 most) {
        most = credit.balanceOf(payer);
        if (most > type(uint80).max - before) most = type(uint80).max - before;
    }

    function _buyingPaused() private view returns (bool) {
        return block.timestamp < desk.buyingPausedUntil();
    }

    function creditActs() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](13);
        list[0] = this.buySomeCredits.selector;
        list[1] = this.buyCreditsByPermit.selector;
        list[2] = this.buyCreditsThroughTheGateway.selector;
        list[3] = this.openAChannel.selector;
        list[4] = this.openAChannelBySignature.selector;
        list[5] = this.topUpOrExtend.selector;
        list[6] = this.settleAVoucher.selector;
        list[7] = this.settleManyVouchers.selector;
        list[8] = this.reclaimAChannel.selector;
        list[9] = this.cashOutSome.selector;
        list[10] = this.forwardMargin.selector;
        list[11] = this.reprice.selector;
        list[12] = this.pauseBuying.selector;
    }
}
