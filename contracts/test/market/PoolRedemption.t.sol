// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { Netuid, WAD } from "../../src/types/Types.sol";
import { PoolsWorld } from "../support/PoolsWorld.sol";

/// @notice How a pruned subnet's pool ends.
contract PoolRedemptionTest is PoolsWorld {
    uint64 private constant STOP = 2;
    uint256 private constant BUDGET = 1000e18;

    address private claimer = makeActor("claimer");
    address private other = makeActor("other");

    function setUp() public override {
        super.setUp();
        vm.prank(claimer);
        alphaOne.approve(address(pools), type(uint256).max);
        vm.prank(other);
        alphaOne.approve(address(pools), type(uint256).max);
    }

    function test_onlyACloseThatLiesAheadIsTakenAndOnlyOnce() public {
        _toEpoch(1);
        vm.startPrank(address(registry));
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_WrongEpoch.selector, 1));
        pools.stop(one, 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        pools.stop(NOWHERE, STOP);
        vm.expectEmit(address(pools));
        emit IAlphaPools.PoolStopped(one, STOP);
        pools.stop(one, STOP);
        vm.assertEq(pools.poolOf(one).stopEpoch, STOP);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_Stopped.selector, one));
        pools.stop(one, STOP + 1);
        vm.stopPrank();
    }

    function test_aStoppedPoolTradesUntilTheEpochBeginsAndNotAfter() public {
        _stop();
        vm.warp(pools.endOf(STOP - 1) - 1);
        uint256 held = _buy(one, 100e18);
        _sell(one, held / 2);
        _toEpoch(STOP);
        bytes memory stopped = abi.encodeWithSelector(IAlphaPools.AlphaPools_Stopped.selector, one);
        vm.startPrank(trader);
        vm.expectRevert(stopped);
        pools.buy(one, 1e18, 0, block.timestamp);
        vm.expectRevert(stopped);
        pools.sell(one, 1e18, 0, block.timestamp);
        vm.expectRevert(stopped);
        pools.buyUntil(one, 1e18, type(uint256).max, 0, trader, block.timestamp);
        vm.expectRevert(stopped);
        pools.sellUntil(one, 1e18, 0, 0, trader, block.timestamp);
        vm.expectRevert(stopped);
        pools.swap(one, two, 1e18, 0, block.timestamp);
        vm.expectRevert(stopped);
        pools.swap(two, one, 1e18, 0, block.timestamp);
        vm.expectRevert(stopped);
        pools.pour(one);
        vm.expectRevert(stopped);
        pools.flushFees(one);
        vm.expectRevert(stopped);
        pools.quoteBuy(one, 1e18);
        vm.expectRevert(stopped);
        pools.quoteSwap(two, one, 1e18);
        vm.expectRevert(stopped);
        pools.reservesAhead(one);
        vm.stopPrank();
        vm.expectRevert(stopped);
        vm.prank(address(registry));
        pools.buyAndBurn(one, 1e18);
        _buy(two, 1e18);
    }

    function test_windingUpWaitsForTheStopAndForEveryGrantBeforeIt() public {
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        pools.windUp(NOWHERE);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_NotStopped.selector, one));
        pools.windUp(one);
        _stop();
        _toEpoch(STOP);
        settler.setSettledThrough(STOP - 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_NotSettled.selector, STOP - 1, STOP));
        pools.windUp(one);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_NotWoundUp.selector, one));
        vm.prank(trader);
        pools.redeem(one, 1, trader);
        settler.setSettledThrough(STOP);
        pools.windUp(one);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_AlreadyWoundUp.selector, one));
        pools.windUp(one);
        vm.expectRevert(IAlphaPools.AlphaPools_ZeroAmount.selector);
        vm.prank(trader);
        pools.redeem(one, 0, trader);
    }

    /// @dev [SN-1]: T/(A + C'), C' with budgets that are not claimed yet; everything else burns.
    function test_everyAlphaOutsideThePoolGetsTheSameAndTheRestBurns() public {
        uint256 held = _buy(one, 1000e18);
        _givePending(one, 50e18);
        _stop();
        _grant(one, 0, BUDGET);
        _toEpoch(STOP);
        settler.setSettledThrough(STOP);
        IAlphaPools.Pool memory pool = pools.poolOf(one);
        uint256 supply = held + BUDGET + pool.alpha;
        uint256 kept = uint256(pool.tndm) * (held + BUDGET) / supply;
        uint256 burned = pool.tndm - kept + pool.burnable + 50e18;
        uint256 total = tndm.totalSupply();
        vm.expectEmit(address(pools));
        emit IAlphaPools.PoolWoundUp(one, pool.tndm, supply, kept, burned);
        vm.assertEq(pools.windUp(one), burned);
        vm.assertEq(tndm.totalSupply(), total - burned);
        vm.assertEq(pools.redemptionOf(one).tndm, pool.tndm);
        vm.assertEq(pools.redemptionOf(one).supply, supply);

        _claim(BUDGET); // no claim is lost
        uint256 paid = BUDGET * pool.tndm / supply;
        vm.expectEmit(address(pools));
        emit IAlphaPools.Redeemed(one, claimer, other, BUDGET, paid);
        vm.prank(claimer);
        vm.assertEq(pools.redeem(one, BUDGET, other), paid);
        vm.assertEq(tndm.balanceOf(other), paid);
        vm.assertEq(alphaOne.balanceOf(claimer), 0);
        vm.prank(trader);
        vm.assertEq(pools.redeem(one, held, trader), held * pool.tndm / supply, "later is the same");
        vm.assertLe(pools.poolOf(one).tndm, 1, "nothing is left but rounding");
        vm.assertEq(pools.poolOf(one).burnable, 0);
        vm.assertEq(pools.poolOf(one).pending, 0);
    }

    /// @dev [SN-1]: redemptions and what was burned are what the pool held, whoever redeems how much in which order, and no more; what
    /// is lost to rounding stays below a unit for each redemption.
    function testFuzz_redemptionsAndBurnsSumToWhatThePoolHeld(
        uint256[8] memory seeds
    ) public {
        uint256 held = _buy(one, bound(seeds[0], 1e6, 500_000e18));
        if (seeds[1] % 2 == 0) _sell(one, bound(seeds[1], 1, held));
        uint256 budget = bound(seeds[2], 1, 1_000_000e18);
        uint256 pending = bound(seeds[3], 0, 10_000e18);
        _givePending(one, pending);
        _grant(one, 0, budget);
        _claim(bound(seeds[4], 0, budget));
        held = alphaOne.balanceOf(trader);
        if (held > 1) {
            vm.prank(trader);
            alphaOne.burn(bound(seeds[5], 1, held) / 2);
        }
        _stop();
        _toEpoch(STOP);
        settler.setSettledThrough(STOP);
        IAlphaPools.Pool memory pool = pools.poolOf(one);
        uint256 others = tndm.balanceOf(address(pools)) - pool.tndm - pool.burnable - pool.pending;
        uint256 burned = pools.windUp(one);
        _claim(budget - alphaOne.balanceOf(claimer));

        uint256 redeemed;
        uint256 count;
        for (uint256 i = 0; i < 6; ++i) {
            address who = i % 2 == 0 ? trader : claimer;
            uint256 has = alphaOne.balanceOf(who);
            if (has == 0) continue;
            uint256 amount = i < 4 ? bound(uint256(keccak256(abi.encode(seeds[6], i))), 1, has) : has;
            vm.prank(who);
            redeemed += pools.redeem(one, amount, who);
            ++count;
        }
        vm.assertEq(pools.circulatingAlpha(one), 0, "all came back");
        uint256 left = pools.poolOf(one).tndm;
        vm.assertEq(redeemed + burned + left, uint256(pool.tndm) + pool.burnable + pool.pending, "every unit");
        vm.assertLe(left, count, "rounding");
        vm.assertEq(tndm.balanceOf(address(pools)), others + left, "other pools are not touched");
    }

    /// @dev [SN-1]: what a holder redeems is never more than what the market paid for it just before, fees aside.
    function testFuzz_noRedemptionBeatsTheMarket(
        uint256 spent,
        uint256 budget,
        uint256 part
    ) public {
        uint256 held = _buy(one, bound(spent, 1e6, 1_000_000e18));
        _grant(one, 0, bound(budget, 0, 1_000_000e18));
        _stop();
        _toEpoch(STOP);
        settler.setSettledThrough(STOP);
        IAlphaPools.Pool memory pool = pools.poolOf(one);
        pools.windUp(one);
        uint256 amount = bound(part, 1, held);
        vm.prank(trader);
        uint256 paid = pools.redeem(one, amount, trader);
        vm.assertLe(paid, uint256(pool.tndm) * amount / (uint256(pool.alpha) + amount));
    }

    /// @dev [AM-2]: buying what is about to be pruned and redeeming it costs the fee at least.
    function testFuzz_buyingBeforeThePruningAndRedeemingLosesMoney(
        uint256 spent
    ) public {
        spent = bound(spent, 1e6, 1_000_000e18);
        _stop();
        uint256 before = tndm.balanceOf(trader);
        uint256 held = _buy(one, spent);
        _toEpoch(STOP);
        settler.setSettledThrough(STOP);
        pools.windUp(one);
        vm.prank(trader);
        pools.redeem(one, held, trader);
        vm.assertLt(tndm.balanceOf(trader), before);
    }

    function test_alphaThatWasSentToTheVaultIsNobodysAndHurtsNobody() public {
        uint256 held = _buy(one, 1000e18);
        vm.prank(trader);
        alphaOne.transfer(address(pools), held / 2);
        _stop();
        _toEpoch(STOP);
        settler.setSettledThrough(STOP);
        IAlphaPools.Pool memory pool = pools.poolOf(one);
        pools.windUp(one);
        vm.assertEq(pools.redemptionOf(one).supply, pool.alpha + held, "it counts as circulating");
        vm.prank(trader);
        vm.assertEq(pools.redeem(one, held / 2, trader), held / 2 * pool.tndm / (pool.alpha + held));
    }

    function test_theMedianLeavesOutPoolsThatAreWoundUp() public {
        Netuid three = registry.add(0);
        _createPool(three, SEED, 8 * PRICE);
        Netuid four = registry.add(0);
        _createPool(four, SEED, 4 * PRICE);
        vm.assertEq(pools.medianEma(), 5 * PRICE / 2);
        _stop();
        _toEpoch(STOP);
        vm.assertEq(pools.medianEma(), 5 * PRICE / 2);
        settler.setSettledThrough(STOP);
        pools.windUp(one);
        vm.assertEq(pools.medianEma(), 4 * PRICE);
        vm.prank(address(registry));
        pools.stop(four, STOP + 1);
        settler.setSettledThrough(STOP + 1);
        pools.windUp(four);
        vm.assertEq(pools.medianEma(), 9 * PRICE / 2);
    }

    /// @dev The settlement of epochs before the stop still reads the pool, however late.
    function test_aStoppedPoolIsStillClosedForItsLastEpochs() public {
        _stop();
        vm.warp(pools.endOf(0) + L / 2);
        _buy(one, 1000e18);
        uint256 price = pools.spotPrice(one);
        _toEpoch(STOP + 3);
        (, uint256 twap) = _closeOne(one, 0);
        vm.assertEq(twap, PRICE);
        (, twap) = _closeOne(one, 1);
        vm.assertEq(twap, (PRICE * (L / 2) + price * (L - L / 2)) / L);
        _grant(one, 0, WAD);
        settler.setSettledThrough(STOP);
        pools.windUp(one);
        _claim(WAD);
        vm.prank(claimer);
        vm.assertGt(pools.redeem(one, WAD, claimer), 0);
    }

    function _stop() private {
        vm.prank(address(registry));
        pools.stop(one, STOP);
    }

    function _claim(
        uint256 amount
    ) private {
        vm.prank(address(distributor));
        alphaOne.release(claimer, amount);
    }
}
