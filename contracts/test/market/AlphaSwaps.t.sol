// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ConstantProduct } from "../../src/market/ConstantProduct.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { PartialFill } from "../../src/market/PartialFill.sol";
import { Netuid, WAD } from "../../src/types/Types.sol";
import { PoolsWorld } from "../support/PoolsWorld.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice Trading: prices, limits, quotes, and what no sequence of trades can do.
contract AlphaSwapsTest is PoolsWorld {
    uint256 private constant FEE = 0.003e18;
    uint256 private constant NO_LIMIT = type(uint256).max;

    function test_swapsRefuseWhatTheirCallerDidNotAgreeTo() public {
        vm.startPrank(trader);
        uint256 past = block.timestamp - 1;
        bytes memory expired = abi.encodeWithSelector(IAlphaPools.AlphaPools_Expired.selector, past);
        vm.expectRevert(expired);
        pools.buy(one, 1e18, 0, past);
        vm.expectRevert(expired);
        pools.sell(one, 1e18, 0, past);
        vm.expectRevert(expired);
        pools.buyUntil(one, 1e18, NO_LIMIT, 0, trader, past);
        vm.expectRevert(expired);
        pools.sellUntil(one, 1e18, 0, 0, trader, past);
        vm.expectRevert(expired);
        pools.swap(one, two, 1e18, 0, past);
        uint256 out = pools.quoteBuy(one, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_TooLittleOut.selector, out, out + 1));
        pools.buy(one, 1e18, out + 1, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_TooLittleOut.selector, out, out + 1));
        pools.buyUntil(one, 1e18, NO_LIMIT, out + 1, trader, block.timestamp);
        out = pools.quoteSell(one, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_TooLittleOut.selector, out, out + 1));
        pools.sell(one, 1e18, out + 1, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_TooLittleOut.selector, out, out + 1));
        pools.sellUntil(one, 1e18, 0, out + 1, trader, block.timestamp);
        out = pools.quoteSwap(one, two, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_TooLittleOut.selector, out, out + 1));
        pools.swap(one, two, 1e18, out + 1, block.timestamp);
        vm.stopPrank();
    }

    /// @dev [AM-1]: a quote fails where the swap would.
    function test_swapsAndQuotesRefuseWhatNoPoolCanDo() public {
        vm.startPrank(trader);
        uint256 limit = block.timestamp;
        uint256 tooMuch = 1 << 85;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 amount = i == 0 ? 0 : tooMuch;
            bytes memory reason = i == 0
                ? abi.encodeWithSelector(IAlphaPools.AlphaPools_ZeroAmount.selector)
                : abi.encodeWithSelector(IAlphaPools.AlphaPools_OutOfRange.selector, tooMuch);
            vm.expectRevert(reason);
            pools.buy(one, amount, 0, limit);
            vm.expectRevert(reason);
            pools.quoteBuy(one, amount);
            vm.expectRevert(reason);
            pools.sell(one, amount, 0, limit);
            vm.expectRevert(reason);
            pools.quoteSell(one, amount);
            vm.expectRevert(reason);
            pools.buyUntil(one, amount, NO_LIMIT, 0, trader, limit);
            vm.expectRevert(reason);
            pools.quoteBuyUntil(one, amount, NO_LIMIT);
            vm.expectRevert(reason);
            pools.sellUntil(one, amount, 0, 0, trader, limit);
            vm.expectRevert(reason);
            pools.quoteSellUntil(one, amount, 0);
            vm.expectRevert(reason);
            pools.swap(one, two, amount, 0, limit);
            vm.expectRevert(reason);
            pools.quoteSwap(one, two, amount);
        }
        bytes memory unknown = abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE);
        vm.expectRevert(unknown);
        pools.buy(NOWHERE, 1, 0, limit);
        vm.expectRevert(unknown);
        pools.quoteBuy(NOWHERE, 1);
        vm.expectRevert(unknown);
        pools.swap(one, NOWHERE, 1, 0, limit);
        vm.expectRevert(unknown);
        pools.quoteSwap(NOWHERE, one, 1);
        bytes memory same = abi.encodeWithSelector(IAlphaPools.AlphaPools_SamePool.selector, one);
        vm.expectRevert(same);
        pools.swap(one, one, 1, 0, limit);
        vm.expectRevert(same);
        pools.quoteSwap(one, one, 1);
        bytes memory beyond = abi.encodeWithSelector(IAlphaPools.AlphaPools_PriceBeyondLimit.selector, PRICE, PRICE - 1);
        vm.expectRevert(beyond);
        pools.buyUntil(one, 1, PRICE - 1, 0, trader, limit);
        vm.expectRevert(beyond);
        pools.quoteBuyUntil(one, 1, PRICE - 1);
        beyond = abi.encodeWithSelector(IAlphaPools.AlphaPools_PriceBeyondLimit.selector, PRICE, PRICE + 1);
        vm.expectRevert(beyond);
        pools.sellUntil(one, 1, PRICE + 1, 0, trader, limit);
        vm.expectRevert(beyond);
        pools.quoteSellUntil(one, 1, PRICE + 1);
        vm.stopPrank();
    }

    /// @dev [AM-1], to the wei, with fees to flush and a pour pending that the swap itself triggers, in both pools.
    function testFuzz_quotesEqualExecution(
        uint256 tndmIn,
        uint256 part,
        uint256 limit,
        uint256 pending
    ) public {
        tndmIn = bound(tndmIn, 1, 500_000e18);
        _buy(two, 100e18);
        _givePending(one, bound(pending, 0, 10_000e18));
        _givePending(two, bound(pending, 0, 100e18));
        _toEpoch(1);
        uint256 snapshot = vm.snapshotState();
        uint256 quoted = pools.quoteBuy(one, tndmIn);
        vm.assertEq(_buy(one, tndmIn), quoted, "buy");
        vm.assertTrue(vm.revertToState(snapshot));

        limit = bound(limit, PRICE + PRICE / 1e9, 1000 * PRICE);
        (uint256 usedQuoted, uint256 outQuoted) = pools.quoteBuyUntil(one, tndmIn, limit);
        vm.prank(trader);
        (uint256 used, uint256 alpha) = pools.buyUntil(one, tndmIn, limit, outQuoted, trader, block.timestamp);
        vm.assertEq(used, usedQuoted, "buyUntil in");
        vm.assertEq(alpha, outQuoted, "buyUntil out");
        if (alpha == 0) return;

        _toEpoch(2);
        uint256 alphaIn = bound(part, 1, alpha);
        snapshot = vm.snapshotState();
        quoted = pools.quoteSell(one, alphaIn);
        vm.assertEq(_sell(one, alphaIn), quoted, "sell");
        vm.assertTrue(vm.revertToState(snapshot));
        quoted = pools.quoteSwap(one, two, alphaIn);
        vm.assertEq(_swap(one, two, alphaIn), quoted, "swap");
        vm.assertTrue(vm.revertToState(snapshot));
        limit = pools.spotPrice(one) * 999 / 1000;
        (usedQuoted, outQuoted) = pools.quoteSellUntil(one, alphaIn, limit);
        vm.prank(trader);
        (used, alpha) = pools.sellUntil(one, alphaIn, limit, outQuoted, trader, block.timestamp);
        vm.assertEq(used, usedQuoted, "sellUntil in");
        vm.assertEq(alpha, outQuoted, "sellUntil out");
    }

    /// @dev [AM-2]: k never falls, and the pools' books are always covered by what they hold.
    function testFuzz_productsNeverFallAndNobodyProfitsFromACircle(
        uint256[16] memory moves
    ) public {
        _givePending(one, SEED / 100);
        _givePending(two, SEED / 100);
        uint256 before = tndm.balanceOf(trader);
        for (uint256 i = 0; i < moves.length; ++i) {
            (uint256 first, uint256 second) = (_product(one), _product(two));
            _move(moves[i] % 7, moves[i] >> 8);
            vm.assertGe(_product(one), first, "k of one fell");
            vm.assertGe(_product(two), second, "k of two fell");
            vm.assertGe(tndm.balanceOf(address(pools)), _booked(one) + _booked(two), "uncovered");
            vm.assertEq(21_000_000e18 - alphaOne.balanceOf(trader), alphaOne.balanceOf(address(pools)), "alpha lost");
        }
        if (alphaOne.balanceOf(trader) > 0) _sell(one, alphaOne.balanceOf(trader));
        if (alphaTwo.balanceOf(trader) > 0) _sell(two, alphaTwo.balanceOf(trader));
        vm.assertLe(tndm.balanceOf(trader), before, "profit");
    }

    /// @dev The fee is taken once, in TNDM, from the first pool: the second gives what it gives for TNDM without a fee.
    function test_alphaForAlphaCostsOneFeeOnTheTndmBetween() public {
        uint256 held = _buy(one, 100e18);
        IAlphaPools.Pool memory from = pools.poolOf(one);
        IAlphaPools.Pool memory into = pools.poolOf(two);
        uint256 supply = tndm.balanceOf(address(pools));
        uint256 gross = uint256(from.tndm) * held / (from.alpha + held);
        uint256 fee = Math.ceilDiv(gross * FEE, WAD);
        uint256 out = uint256(into.alpha) * (gross - fee) / (into.tndm + gross - fee);
        vm.expectEmit(address(pools));
        emit IAlphaPools.AlphaSwapped(one, two, trader, held, gross - fee, out, fee);
        vm.assertEq(_swap(one, two, held), out);
        IAlphaPools.Pool memory pool = pools.poolOf(one);
        vm.assertEq(pool.tndm, from.tndm - gross + fee - fee / 2);
        vm.assertEq(pool.alpha, from.alpha + held);
        vm.assertEq(pool.burnable, from.burnable + fee / 2);
        pool = pools.poolOf(two);
        vm.assertEq(pool.tndm, into.tndm + gross - fee);
        vm.assertEq(pool.alpha, into.alpha - out);
        vm.assertEq(pool.burnable, 0);
        vm.assertEq(tndm.balanceOf(address(pools)), supply, "no TNDM moves");
        vm.assertEq(alphaTwo.balanceOf(trader), out);
        vm.assertEq(alphaOne.balanceOf(trader), 0);
    }

    /// @dev The limit holds, what is used is the most that it admits, and the rest stays with the trader.
    function testFuzz_aLimitFillsAsFarAsItAdmits(
        uint256 offered,
        uint256 limit,
        bool buying
    ) public {
        _buy(one, 10_000e18);
        uint256 price = pools.spotPrice(one);
        (uint256 tndmBefore, uint256 alphaBefore) = pools.reservesAhead(one);
        uint256 used;
        uint256 out;
        address to = makeActor("somebody");
        if (buying) {
            offered = bound(offered, 1, 500_000e18);
            limit = bound(limit, price + price / 1e15 + 1, 100 * price);
            uint256 had = tndm.balanceOf(trader);
            vm.prank(trader);
            (used, out) = pools.buyUntil(one, offered, limit, 0, to, block.timestamp);
            vm.assertLe(pools.spotPrice(one), limit, "the limit holds");
            vm.assertEq(had - tndm.balanceOf(trader), used);
            vm.assertEq(alphaOne.balanceOf(to), out);
        } else {
            offered = bound(offered, 1, alphaOne.balanceOf(trader));
            limit = bound(limit, price / 100, price - price / 1e15 - 1);
            uint256 had = alphaOne.balanceOf(trader);
            vm.prank(trader);
            (used, out) = pools.sellUntil(one, offered, limit, 0, to, block.timestamp);
            vm.assertGe(pools.spotPrice(one), limit, "the limit holds");
            vm.assertEq(had - alphaOne.balanceOf(trader), used);
            vm.assertEq(tndm.balanceOf(to), out);
        }
        vm.assertLe(used, offered);
        if (used == offered) return;
        uint256 after_ = _priceAfter(tndmBefore, alphaBefore, FEE, used + 1, buying);
        vm.assertTrue(buying ? after_ > limit : after_ < limit, "a wei more would pass it");
    }

    /// @dev The same for pools of any shape, down to a wei on either side, and any fee.
    function testFuzz_aFillIsTheLargestInPoolsOfAnyShape(
        uint256 tndmBits,
        uint256 alphaBits,
        uint256 feeRate,
        uint256 factor,
        uint256 offered,
        bool buying
    ) public pure {
        uint256 tndm_ = bound(tndmBits >> 8, 1, 1 << bound(tndmBits & 0xff, 0, 84));
        uint256 alpha = bound(alphaBits >> 8, 1, 1 << bound(alphaBits & 0xff, 0, 84));
        feeRate = bound(feeRate, 1, 0.5e18);
        offered = bound(offered >> 8, 1, 1 << bound(offered & 0xff, 0, 84));
        uint256 price = ConstantProduct.price(tndm_, alpha);
        factor = bound(factor, 1, 1e6);
        uint256 limit = buying ? price + price * factor / 1000 : price - price * (factor % 1000) / 1000;
        uint256 used = PartialFill.fillDown(
            PartialFill.Bound({ tndm: tndm_, alpha: alpha, feeRate: feeRate, limit: limit, buying: buying }), offered
        );
        vm.assertLe(used, offered);
        if (used > 0) {
            uint256 reached = _priceAfter(tndm_, alpha, feeRate, used, buying);
            vm.assertTrue(buying ? reached <= limit : reached >= limit, "beyond the limit");
        }
        if (used < offered) {
            uint256 next = _priceAfter(tndm_, alpha, feeRate, used + 1, buying);
            vm.assertTrue(buying ? next > limit : next < limit, "not the largest");
        }
    }

    /// @dev [AM-2]: the price is clamped, the pool is not.
    function test_allTndmThereIsBuysLessThanThePool() public {
        uint256 all = tndm.balanceOf(treasury);
        vm.prank(treasury);
        vm.assertTrue(tndm.transfer(trader, all));
        uint256 got = _buy(one, tndm.balanceOf(trader));
        vm.assertLt(got, SEED * WAD / PRICE);
        vm.assertGt(pools.poolOf(one).alpha, 0);
        vm.assertLt(pools.spotPrice(one), 1 << 85);
        _sell(one, got);
        vm.assertLt(tndm.balanceOf(trader), all + 1_000_000e18);
    }

    function _move(
        uint256 kind,
        uint256 size
    ) private {
        uint256 held = alphaOne.balanceOf(trader);
        uint256 other = alphaTwo.balanceOf(trader);
        if (kind == 0) _buy(one, bound(size, 1, 20_000e18));
        else if (kind == 1) _buy(two, bound(size, 1, 20_000e18));
        else if (kind == 2 && held > 0) _sell(one, bound(size, 1, held));
        else if (kind == 3 && held > 0) _swap(one, two, bound(size, 1, held));
        else if (kind == 4 && other > 0) _swap(two, one, bound(size, 1, other));
        else if (kind == 5) pools.pour(one);
        else vm.warp(block.timestamp + bound(size, 1, 3 * L));
    }

    function _booked(
        Netuid netuid
    ) private view returns (uint256) {
        IAlphaPools.Pool memory pool = pools.poolOf(netuid);
        return uint256(pool.tndm) + pool.burnable + pool.pending;
    }

    /// @dev Price after a swap of `amount`, by its definition.
    function _priceAfter(
        uint256 tndm_,
        uint256 alpha,
        uint256 feeRate,
        uint256 amount,
        bool buying
    ) private pure returns (uint256) {
        uint256 fee;
        if (buying) {
            uint256 out;
            (out, fee) = ConstantProduct.buyDown(tndm_, alpha, amount, feeRate);
            return ConstantProduct.price(tndm_ + amount - fee / 2, alpha - out);
        }
        uint256 paid;
        (paid, fee) = ConstantProduct.sellDown(tndm_, alpha, amount, feeRate);
        return ConstantProduct.price(tndm_ - paid - fee / 2, alpha + amount);
    }
}
