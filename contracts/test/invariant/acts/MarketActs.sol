// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../../../src/market/IAlphaPools.sol";
import { IBurnAuction } from "../../../src/market/IBurnAuction.sol";
import { Netuid } from "../../../src/types/Types.sol";
import { World } from "../World.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice What traders, buyers of revenue and sponsors do.
abstract contract MarketActs is World {
    /// @dev TNDM; more than any pool holds at first.
    uint256 private constant MOST_IN = 6000e18;
    uint256 private constant DEAREST_LOT = 300_000e18;

    /// @dev [AM-1] Quotes equal execution.
    function buyAlphaOf(
        uint256 actor,
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        amount = bound(amount, 1, MOST_IN);
        if (!give(userOf(actor), amount)) return;
        uint256 quoted = pools.quoteBuy(netuid, amount);
        expect(buyAlpha(userOf(actor), netuid, amount) == quoted, "a purchase unlike its quote");
        if (quoted != 0) did();
    }

    function sellAlphaOf(
        uint256 actor,
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        uint256 balance = alphaOf(netuid).balanceOf(userOf(actor));
        if (balance == 0) return;
        amount = bound(amount, 1, balance);
        uint256 quoted = pools.quoteSell(netuid, amount);
        expect(sellAlpha(userOf(actor), netuid, amount) == quoted, "a sale unlike its quote");
        if (quoted != 0) did();
    }

    function buyUpToAPrice(
        uint256 actor,
        uint256 subnet,
        uint256 amount,
        uint256 percent
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        address buyer = userOf(actor);
        amount = bound(amount, 1, MOST_IN);
        uint256 limit = pools.spotPrice(netuid) * bound(percent, 90, 150) / 100;
        try pools.quoteBuyUntil(netuid, amount, limit) returns (uint256 used, uint256 out) {
            if (!give(buyer, amount)) return;
            approve(buyer, tndm, address(pools), amount);
            vm.prank(buyer);
            (uint256 spent, uint256 got) = pools.buyUntil(netuid, amount, limit, out, buyer, block.timestamp);
            expect(spent == used && got == out, "a limited purchase unlike its quote");
            expect(pools.spotPrice(netuid) <= limit, "a purchase beyond its limit");
            did();
        } catch { }
    }

    function sellDownToAPrice(
        uint256 actor,
        uint256 subnet,
        uint256 percent
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        address seller = userOf(actor);
        uint256 amount = alphaOf(netuid).balanceOf(seller);
        uint256 limit = pools.spotPrice(netuid) * bound(percent, 60, 110) / 100;
        try pools.quoteSellUntil(netuid, amount, limit) returns (uint256 used, uint256 out) {
            approve(seller, alphaOf(netuid), address(pools), amount);
            vm.prank(seller);
            (uint256 spent, uint256 got) = pools.sellUntil(netuid, amount, limit, out, seller, block.timestamp);
            expect(spent == used && got == out, "a limited sale unlike its quote");
            expect(pools.spotPrice(netuid) >= limit, "a sale beyond its limit");
            did();
        } catch { }
    }

    function swapAlphaForAlpha(
        uint256 actor,
        uint256 from,
        uint256 to,
        uint256 amount
    ) external acts trading {
        (Netuid a, Netuid b) = (liveNetuid(from), liveNetuid(to));
        address trader = userOf(actor);
        uint256 balance = alphaOf(a).balanceOf(trader);
        if (a == b || balance == 0) return;
        amount = bound(amount, 1, balance);
        uint256 quoted = pools.quoteSwap(a, b, amount);
        approve(trader, alphaOf(a), address(pools), amount);
        vm.prank(trader);
        expect(pools.swap(a, b, amount, quoted, block.timestamp) == quoted, "a swap unlike its quote");
        if (quoted != 0) did();
    }

    /// @dev [AM-1] Through the router: an exact output for a purchase, and a sale of half of it for an exact output.
    function tradeExactly(
        uint256 actor,
        uint256 subnet,
        uint256 wanted
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        address trader = userOf(actor);
        wanted = bound(wanted, 1, pools.poolOf(netuid).alpha / 2);
        try router.quoteBuyExact(netuid, wanted) returns (uint256 cost) {
            if (cost > MOST_IN || !give(trader, cost)) return;
            approve(trader, tndm, address(router), cost);
            uint256 before = alphaOf(netuid).balanceOf(trader);
            vm.prank(trader);
            expect(router.buyExact(netuid, wanted, cost, trader, block.timestamp) == cost, "dearer than quoted");
            expect(alphaOf(netuid).balanceOf(trader) - before >= wanted, "less than exactly what was wanted");
            did();
        } catch { }
    }

    function swapExactly(
        uint256 actor,
        uint256 from,
        uint256 to,
        uint256 wanted
    ) external acts trading {
        (Netuid a, Netuid b) = (liveNetuid(from), liveNetuid(to));
        address trader = userOf(actor);
        if (a == b) return;
        wanted = bound(wanted, 1, pools.poolOf(b).alpha / 10);
        try router.quoteSwapExact(a, b, wanted) returns (uint256 cost) {
            if (cost > alphaOf(a).balanceOf(trader)) return;
            approve(trader, alphaOf(a), address(router), cost);
            vm.prank(trader);
            expect(router.swapExact(a, b, wanted, cost, trader, block.timestamp) == cost, "dearer than quoted");
            did();
        } catch { }
    }

    function pour(
        uint256 subnet
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        uint256 price = pools.spotPrice(netuid);
        uint256 most = pools.poolOf(netuid).tndm / 100;
        (uint256 poured,) = pools.pour(netuid);
        expect(poured <= most, "poured more than the cap");
        uint256 after_ = pools.spotPrice(netuid);
        expect(after_ + after_ / 1e9 + 1 >= price && after_ <= price + price / 1e9 + 1, "a pour moved the price");
        if (poured != 0) did();
    }

    function flushFees(
        uint256 subnet
    ) external acts trading {
        uint256 supply = tndm.totalSupply();
        uint256 burned = pools.flushFees(liveNetuid(subnet));
        expect(supply - tndm.totalSupply() == burned, "fees were not burned");
        if (burned != 0) did();
    }

    /// @dev [SN-1] Ends a pruned pool.
    function windUp(
        uint256 subnet
    ) external acts trading {
        for (uint16 i = 0; i < netuids(); ++i) {
            Netuid netuid = nthNetuid(subnet % netuids() + i);
            uint64 stop = pools.poolOf(netuid).stopEpoch;
            if (stop == 0 || controller.settledThrough() < stop || pools.redemptionOf(netuid).supply != 0) continue;
            uint256 spot = pools.spotPrice(netuid);
            uint256 supply = tndm.totalSupply();
            uint256 burned = pools.windUp(netuid);
            expect(supply - burned == tndm.totalSupply(), "not burned by winding up");
            IAlphaPools.Redemption memory r = pools.redemptionOf(netuid);
            expect(uint256(r.tndm) * 1e18 / r.supply <= spot, "redemption beats the market");
            did();
            return;
        }
    }

    function redeem(
        uint256 actor,
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        for (uint16 i = 0; i < netuids(); ++i) {
            Netuid netuid = nthNetuid(subnet % netuids() + i);
            IERC20 alpha = alphaOf(netuid);
            IAlphaPools.Redemption memory r = pools.redemptionOf(netuid);
            uint256 balance = alpha.balanceOf(userOf(actor));
            if (r.supply == 0 || balance == 0) continue;
            amount = bound(amount, 1, balance);
            approve(userOf(actor), alpha, address(pools), amount);
            vm.prank(userOf(actor));
            uint256 got = pools.redeem(netuid, amount, userOf(actor));
            expect(got * r.supply <= amount * r.tndm, "redeemed too much");
            did();
            return;
        }
    }

    function sponsor(
        uint256 subnet,
        uint256 amount
    ) external acts {
        Netuid netuid = anyNetuid(subnet);
        amount = bound(amount, 0, 2000e18);
        if (registry.prunedFromOf(netuid) != 0 || !give(users[0], amount)) return;
        approve(users[0], tndm, address(controller), amount);
        vm.prank(users[0]);
        controller.sponsor(netuid, amount);
        if (amount != 0) did();
    }

    /// @dev USDC for no subnet.
    function fundTheAuction(
        uint256 amount
    ) external acts {
        amount = bound(amount, 1, 100e6);
        giveUsdc(users[1], amount, address(auction));
        vm.prank(users[1]);
        auction.fund(Netuid.wrap(0), amount);
        otherToAuction += amount;
        did();
    }

    function startALot() external acts {
        if (block.timestamp < auction.nextStartAt() || block.timestamp < auction.stoppedUntil()) return;
        uint256 waiting = 0;
        for (uint16 n = 0; n <= netuids(); ++n) {
            waiting += auction.accruedOf(Netuid.wrap(n));
        }
        if (waiting == 0) return;
        IBurnAuction.Lot memory lot = auction.lotOf(auction.startLot());
        uint256 parts = 0;
        for (uint256 i = 0; i < lot.parts.length; ++i) {
            parts += lot.parts[i];
        }
        expect(lot.attributed ? parts == lot.usdc : parts == 0, "a lot is not the sum of its parts");
        did();
    }

    /// @dev [EM-1] All that is paid is burned; a lot is sold once.
    function takeALot(
        uint256 actor,
        uint256 lot
    ) external acts {
        uint256 count = auction.lotCount();
        if (count == 0 || block.timestamp < auction.stoppedUntil()) return;
        lot = 1 + lot % count;
        IBurnAuction.Lot memory l = auction.lotOf(lot);
        if (l.sold || l.startedAt < auction.stoppedUntil()) return;
        address taker = userOf(actor);
        uint256 cost = auction.costOf(lot);
        if (cost > DEAREST_LOT || !give(taker, cost)) return;
        (uint256 supply, uint256 held) = (tndm.totalSupply(), usdc.balanceOf(taker));
        approve(taker, tndm, address(auction), 2 * cost);
        vm.prank(taker);
        expect(auction.take(lot, cost, block.timestamp) == cost, "a lot at another price");
        expect(supply - tndm.totalSupply() == cost, "what a lot brought was not burned");
        expect(usdc.balanceOf(taker) - held == l.usdc, "a lot of another size");
        vm.prank(taker);
        try auction.take(lot, type(uint256).max, block.timestamp) {
            wrong("a lot was sold twice");
        } catch { }
        did();
    }

    function restartALot(
        uint256 lot
    ) external acts {
        uint256 count = auction.lotCount();
        if (count == 0 || block.timestamp < auction.stoppedUntil()) return;
        lot = 1 + lot % count;
        IBurnAuction.Lot memory l = auction.lotOf(lot);
        if (l.sold || (l.startedAt >= auction.stoppedUntil() && block.timestamp < l.startedAt + 60)) return;
        auction.restart(lot);
        did();
    }

    function stopTheAuction(
        uint256 duration
    ) external acts {
        vm.prank(guardian);
        auction.stop(uint64(block.timestamp + bound(duration, 0, 30)));
        did();
    }

    function marketActs() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](17);
        list[0] = this.buyAlphaOf.selector;
        list[1] = this.sellAlphaOf.selector;
        list[2] = this.buyUpToAPrice.selector;
        list[3] = this.sellDownToAPrice.selector;
        list[4] = this.swapAlphaForAlpha.selector;
        list[5] = this.tradeExactly.selector;
        list[6] = this.swapExactly.selector;
        list[7] = this.pour.selector;
        list[8] = this.flushFees.selector;
        list[9] = this.windUp.selector;
        list[10] = this.redeem.selector;
        list[11] = this.sponsor.selector;
        list[12] = this.fundTheAuction.selector;
        list[13] = this.startALot.selector;
        list[14] = this.takeALot.selector;
        list[15] = this.restartALot.selector;
        list[16] = this.stopTheAuction.selector;
    }
}
