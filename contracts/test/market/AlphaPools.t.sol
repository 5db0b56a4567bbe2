// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { AlphaPools } from "../../src/market/AlphaPools.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { EpochClock } from "../../src/types/EpochClock.sol";
import { Netuid, WAD } from "../../src/types/Types.sol";
import { closePool, grantTo } from "../support/Closings.sol";
import { PoolsWorld } from "../support/PoolsWorld.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice Birth, neighbours, and an epoch's chores.
contract AlphaPoolsTest is PoolsWorld {
    uint256 private constant BAND = 1.25e18;

    function test_aPoolIsBornAtItsInitialPriceWithTheRestOfTheSupplyInTheVault() public view {
        IAlphaPools.Pool memory pool = pools.poolOf(one);
        vm.assertEq(pool.token, factory.tokenOf(one));
        vm.assertEq(pool.tndm, SEED);
        vm.assertEq(pool.alpha, SEED * WAD / PRICE);
        vm.assertEq(pool.issued, pool.alpha);
        vm.assertEq(pool.touchedAt, block.timestamp);
        vm.assertEq(pools.spotPrice(one), PRICE);
        vm.assertEq(pools.emaOf(one), PRICE);
        vm.assertEq(pools.lastTwapOf(one), 0);
        vm.assertEq(pools.circulatingAlpha(one), 0);
        vm.assertTrue(pools.exists(one));
    }

    /// @dev [EM-3]: at most 10 % of the supply, however low the price.
    function test_aSeedNeverTakesMoreThanATenthOfTheSupply() public {
        Netuid three = registry.add(0);
        _createPool(three, SEED, 1);
        vm.assertEq(pools.poolOf(three).alpha, 2_100_000e18);
    }

    function test_configurationsThatCannotBeKeptAreRefused() public {
        IAlphaPools.Config memory config = _poolsConfig(address(controller), address(tndm));
        // A pour that gives away more than a pushed price costs in fees would be worth a sandwich.
        config.pourCap = 4 * config.feeRate - 1;
        new AlphaPools(config);
        config.pourCap = 4 * config.feeRate;
        _refused(config);
        config.pourCap = 0;
        config.feeRate = WAD;
        _refused(config);
        config.feeRate = 1;
        config.emaRate = WAD + 1;
        _refused(config);
        config.emaRate = WAD;
        config.epochLength = 1 << 20;
        _refused(config);
        config.epochLength = 0;
        vm.expectRevert(EpochClock.EpochClock_ZeroLength.selector);
        new AlphaPools(config);
    }

    function test_onlyRegistryAndGateCreateAndOnlyOnce() public {
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyRegistryOrGate.selector, trader));
        vm.prank(trader);
        pools.create(NOWHERE, SEED, PRICE);
        vm.startPrank(address(gate));
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_PoolExists.selector, one));
        pools.create(one, SEED, PRICE);
        vm.expectRevert(IAlphaPools.AlphaPools_EmptySeed.selector);
        pools.create(NOWHERE, 0, PRICE);
        vm.expectRevert(IAlphaPools.AlphaPools_EmptySeed.selector);
        pools.create(NOWHERE, SEED, 0);
        vm.expectRevert(IAlphaPools.AlphaPools_EmptySeed.selector);
        pools.create(NOWHERE, 1, 2e18);
        uint256 tooMuch = 1 << 85;
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OutOfRange.selector, tooMuch));
        pools.create(NOWHERE, tooMuch, PRICE);
        vm.stopPrank();
    }

    function test_neighboursFunctionsRefuseEveryoneElse() public {
        vm.startPrank(trader);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyController.selector, trader));
        grantTo(pools, one, 1, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyController.selector, trader));
        closePool(pools, one, 0);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyRegistry.selector, trader));
        pools.buyAndBurn(one, 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyRegistry.selector, trader));
        pools.stop(one, 1);
        vm.stopPrank();
    }

    function test_halfOfTheFeeIsBurnedOncePerEpoch() public {
        uint256 supply = tndm.totalSupply();
        _buy(one, 1000e18);
        uint256 toBurn = 1.5e18; // half of 0.3 %
        vm.assertEq(pools.poolOf(one).burnable, toBurn);
        vm.assertEq(pools.flushFees(one), 0, "what an epoch accrues is burned in a later one");
        _toEpoch(1);
        vm.assertEq(pools.flushFees(one), toBurn);
        vm.assertEq(tndm.totalSupply(), supply - toBurn);
        _buy(one, 1000e18);
        vm.assertEq(pools.flushFees(one), 0, "once per epoch");
        _toEpoch(2);
        _buy(one, 1e18);
        vm.assertEq(tndm.totalSupply(), supply - 2 * toBurn, "an epoch's first swap flushes");
    }

    function test_pouringDeepensThePoolWithoutMovingItsPrice() public {
        Netuid three = registry.add(0);
        _createPool(three, SEED, 1e18);
        _givePending(three, 80e18);
        vm.assertEq(_poured(three), 0, "not in the epoch of creation");
        _toEpoch(1);
        vm.assertEq(_poured(three), SEED / 100, "1 % of the pool");
        vm.assertEq(pools.spotPrice(three), 1e18);
        vm.assertEq(_poured(three), 0, "once per epoch");
        _toEpoch(5);
        vm.assertEq(_poured(three), 30e18, "the rest, no catch-up");
        IAlphaPools.Pool memory pool = pools.poolOf(three);
        vm.assertEq(pool.pending, 0);
        vm.assertEq(pool.issued, pool.alpha);
    }

    function test_anEpochsFirstTouchPoursAndWhatIsGrantedLaterWaitsForAPour() public {
        _givePending(one, 1e18);
        _toEpoch(1);
        _buy(one, 1e18);
        vm.assertEq(pools.poolOf(one).pending, 0, "the first swap pours");
        _toEpoch(2);
        pools.flushFees(one);
        _givePending(one, 1e18);
        _buy(one, 1e18);
        vm.assertEq(pools.poolOf(one).pending, 1e18, "later swaps do not look");
        vm.assertEq(_poured(one), 1e18, "but anybody may");
        _givePending(one, 1e18);
        _toEpoch(3);
        pools.flushFees(one);
        vm.assertEq(pools.poolOf(one).pending, 0, "flushing is a touch");
    }

    /// @dev [AM-2]: buy, let the pour come, sell, in one block: the pour waits when the price was pushed far, and where it
    /// does not wait it brings less than the fees cost.
    function testFuzz_pushingThePriceAroundAPourLosesMoney(
        uint256 push,
        uint256 drift,
        bool down
    ) public {
        one = registry.add(0);
        _createPool(one, SEED, 1e18);
        AlphaToken alpha = AlphaToken(pools.alphaOf(one));
        uint256 held = _buy(one, 2000e18);
        vm.warp(pools.endOf(0));
        // Others have moved the fair price since, as far as the band goes.
        vm.startPrank(treasury);
        tndm.approve(address(pools), type(uint256).max);
        pools.buy(one, bound(drift, 1, 1500e18), 0, block.timestamp);
        vm.stopPrank();
        uint256 before = tndm.balanceOf(trader);
        if (down) {
            uint256 got = _sell(one, bound(push, 1e15, held));
            _givePending(one, 1000e18);
            pools.pour(one);
            _buy(one, got);
            vm.assertLe(alpha.balanceOf(trader), held, "profit");
        } else {
            uint256 bought = _buy(one, bound(push, 1e15, 100_000e18));
            _givePending(one, 1000e18);
            pools.pour(one);
            _sell(one, bought);
            vm.assertLe(tndm.balanceOf(trader), before, "profit");
        }
    }

    /// @dev [AM-2]: one fee pushes two prices when alpha is swapped for alpha. Both prices are honestly anywhere in the band, at its ends at
    /// worst, both are pushed towards the other end, both pools are poured into, and all is swapped back.
    function testFuzz_pushingTwoPricesAroundTheirPoursLosesMoney(
        uint256 push,
        uint256 driftOne,
        uint256 driftTwo
    ) public {
        one = registry.add(0);
        two = registry.add(0);
        alphaOne = AlphaToken(_createPool(one, SEED, 1e18));
        alphaTwo = AlphaToken(_createPool(two, SEED, 1e18));
        uint256 held = _buy(one, 3000e18);
        uint256 other = _buy(two, 3000e18);
        vm.startPrank(trader);
        alphaOne.approve(address(pools), type(uint256).max);
        alphaTwo.approve(address(pools), type(uint256).max);
        alphaTwo.transfer(treasury, other);
        vm.stopPrank();
        _toEpoch(1);
        uint256 anchor = pools.lastTwapOf(one);
        vm.startPrank(treasury);
        tndm.approve(address(pools), type(uint256).max);
        alphaTwo.approve(address(pools), type(uint256).max);
        uint256 top = bound(driftOne, anchor + anchor / 100, anchor * BAND / WAD);
        uint256 bottom = bound(driftTwo, anchor * WAD / BAND, anchor - anchor / 100);
        pools.buyUntil(one, type(uint80).max, top, 0, treasury, block.timestamp);
        pools.sellUntil(two, type(uint80).max, bottom, 0, treasury, block.timestamp);
        vm.stopPrank();
        _givePending(one, 1000e18);
        _givePending(two, 1000e18);

        (uint256 most,) = pools.quoteSellUntil(one, held, anchor * WAD / BAND);
        uint256 got = _swap(one, two, most * bound(push, 1, 1000) / 1000);
        pools.pour(one);
        pools.pour(two);
        _swap(two, one, got);
        vm.assertLe(alphaOne.balanceOf(trader), held, "profit");
    }

    function test_aPushedPriceMakesThePourWait() public {
        _toEpoch(1);
        _buy(one, 3000e18);
        _givePending(one, 100e18);
        vm.assertEq(_poured(one), 0, "pushed up");
        _toEpoch(2);
        vm.assertGt(_poured(one), 0, "a price that stood for an epoch is the new reference");
    }

    /// @dev However long it is held: what was granted at a price is poured at up to 1.25 times that, and again once the price has come back, or most
    /// of what waits was granted at the new one.
    function test_aHeldPriceMakesWhatWasGrantedBelowItWait() public {
        _toEpoch(1);
        _givePending(one, 100e18);
        uint256 granted = pools.spotPrice(one);
        _buy(one, 3000e18);
        _toEpoch(9);
        vm.assertEq(_poured(one), 0, "held for eight epochs");
        uint256 snapshot = vm.snapshotState();
        _sellDownTo(granted * 5 / 4);
        _toEpoch(11);
        vm.assertGt(_poured(one), 0, "the end of the band");
        vm.assertTrue(vm.revertToState(snapshot));
        uint256 beyond = vm.snapshotState();
        _sellDownTo(granted * 5 / 4 + granted / 1e6);
        _toEpoch(11);
        vm.assertEq(_poured(one), 0, "beyond it");
        vm.assertTrue(vm.revertToState(beyond));
        _sellDownTo(granted * 3 / 2);
        _toEpoch(11);
        _givePending(one, 1e18);
        vm.assertEq(_poured(one), 0, "little was granted since");
        _givePending(one, 100e18);
        vm.assertGt(_poured(one), 0, "as much as before");
        for (uint64 epoch = 12; pools.poolOf(one).pending != 0; ++epoch) {
            _toEpoch(epoch);
            pools.pour(one);
        }
    }

    /// @dev The band is 1.25 either way, its ends included.
    function test_theBandReachesAFactorOfFiveQuartersEitherWay() public {
        _buy(one, 1000e18);
        _toEpoch(1);
        pools.flushFees(one);
        uint256 anchor = pools.lastTwapOf(one);
        _givePending(one, 100e18);
        uint256 snapshot = vm.snapshotState();
        _sellDownTo(Math.ceilDiv(anchor * 4, 5));
        vm.assertGt(_poured(one), 0, "at the lower end");
        vm.assertTrue(vm.revertToState(snapshot));
        _sellDownTo(anchor * 4 / 5 - anchor / 1e6);
        vm.assertEq(_poured(one), 0, "below it");
        vm.assertTrue(vm.revertToState(snapshot));
        _buyUpTo(anchor * 5 / 4);
        vm.assertGt(_poured(one), 0, "at the upper end");
        vm.assertTrue(vm.revertToState(snapshot));
        _buyUpTo(anchor * 5 / 4 + anchor / 1e6);
        vm.assertEq(_poured(one), 0, "above it");
    }

    /// @dev The alpha schedule caps the alpha side, and TNDM is cut in the same ratio.
    function test_theScheduleCutsBothSidesOfAPour() public {
        Netuid three = registry.add(0);
        _createPool(three, SEED, 0.01e18); // 500,000 alpha: 1 % of it is beyond 150 alpha an hour
        _givePending(three, 50e18);
        _toEpoch(1);
        (uint256 poured, uint256 alpha) = pools.pour(three);
        vm.assertEq(alpha, 150e18);
        vm.assertEq(poured, 1.5e18);
        vm.assertEq(pools.spotPrice(three), 0.01e18);
    }

    /// @dev [EM-3]: nothing is issued beyond 21,000,000, and the injection leaves room for budgets of open epochs.
    function test_alphaIsNeverIssuedBeyondItsSupply() public {
        vm.startPrank(address(settler));
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        grantTo(pools, NOWHERE, 1, 1, 1);
        for (uint256 left = type(uint256).max; left > 100e18;) {
            left = 21_000_000e18 - pools.poolOf(one).issued;
            grantTo(pools, one, 0, left > 1_000_100e18 ? 1_000_000e18 : left - 100e18, 0);
        }
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_SupplyExceeded.selector, one, 21_000_000e18 + 1));
        grantTo(pools, one, 0, 100e18 + 1, 0);
        vm.stopPrank();
        _givePending(one, 1000e18);
        _toEpoch(1);
        (uint256 poured, uint256 alpha) = pools.pour(one);
        vm.assertEq(poured, 0, "room is kept for two open epochs of 150 alpha");
        vm.assertEq(alpha, 0);
    }

    function test_registrationsBuyAlphaAndBurnIt() public {
        _give(address(registry), 100e18);
        vm.startPrank(address(registry));
        tndm.approve(address(pools), 100e18);
        uint256 quoted = pools.quoteBuy(one, 100e18);
        vm.assertEq(pools.buyAndBurn(one, 0), 0);
        uint256 burned = pools.buyAndBurn(one, 100e18);
        vm.stopPrank();
        vm.assertEq(burned, quoted);
        vm.assertEq(alphaOne.totalSupply(), 21_000_000e18 - burned);
        vm.assertEq(pools.circulatingAlpha(one), 0, "burned alpha is outside of nothing");
    }

    function test_theDistributorPaysOutOfTheVault() public {
        vm.prank(address(distributor));
        vm.assertTrue(alphaOne.release(trader, 5e18));
        vm.assertEq(alphaOne.balanceOf(trader), 5e18);
        vm.assertEq(pools.circulatingAlpha(one), 5e18);
    }

    function test_theMedianIsOverAllPools() public {
        vm.assertEq(pools.medianEma(), PRICE);
        Netuid three = registry.add(0);
        _createPool(three, SEED, 0.2e18);
        vm.assertEq(pools.medianEma(), PRICE);
        Netuid four = registry.add(0);
        _createPool(four, SEED, 0.1e18);
        vm.assertEq(pools.medianEma(), (0.1e18 + PRICE) / 2);
    }

    function test_unknownPoolsReadAsNothing() public {
        vm.assertFalse(pools.exists(NOWHERE));
        vm.assertEq(pools.alphaOf(NOWHERE), address(0));
        vm.assertEq(pools.poolOf(NOWHERE).token, address(0));
        vm.assertEq(pools.emaOf(NOWHERE), 0);
        vm.assertEq(pools.circulatingAlpha(NOWHERE), 0);
        vm.assertEq(pools.redemptionOf(NOWHERE).supply, 0);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        pools.spotPrice(NOWHERE);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        pools.pour(NOWHERE);
    }

    function _sellDownTo(
        uint256 price
    ) private {
        vm.prank(trader);
        pools.sellUntil(one, type(uint80).max, price, 0, trader, block.timestamp);
    }

    function _buyUpTo(
        uint256 price
    ) private {
        vm.prank(trader);
        pools.buyUntil(one, type(uint80).max, price, 0, trader, block.timestamp);
    }

    function _refused(
        IAlphaPools.Config memory config
    ) private {
        vm.expectRevert(IAlphaPools.AlphaPools_BadConfig.selector);
        new AlphaPools(config);
    }
}
