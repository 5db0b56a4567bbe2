// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { AlphaPools } from "../../src/market/AlphaPools.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { Netuid, WAD } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";

contract AlphaPoolsTest is EconomyWorld {
    Netuid internal one;
    Netuid internal constant NOWHERE = Netuid.wrap(99);

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        _openMarkets();
    }

    function test_aPoolIsBornAtItsInitialPriceWithTheRestOfTheSupplyInTheVault() public view {
        IAlphaPools.Pool memory pool = pools.poolOf(one);
        vm.assertEq(pool.tndm, SEED);
        vm.assertEq(pool.alpha, SEED * WAD / PRICE);
        vm.assertEq(pool.issued, pool.alpha);
        vm.assertEq(pools.spotPrice(one), PRICE);
        vm.assertEq(pools.emaOf(one), PRICE);
        vm.assertEq(pools.lastTwapOf(one), 0);
        vm.assertEq(pools.circulatingAlpha(one), 0);
        vm.assertTrue(pools.exists(one));
    }

    /// @dev [EM-3]: at most 10 % of the supply, however low the price.
    function test_aSeedNeverTakesMoreThanATenthOfTheSupply() public {
        Netuid two = registry.add(0);
        _createPool(two, SEED, 1);
        vm.assertEq(pools.poolOf(two).alpha, 2_100_000e18);
    }

    /// @dev A pour that gives away more than a pushed price costs in fees would be worth a sandwich.
    function test_aPourCapThatFeesDoNotCoverIsRefused() public {
        IAlphaPools.Config memory config = _poolsConfig(address(distributor), address(controller), address(tndm));
        config.pourCap = 4 * config.feeRate - 1;
        new AlphaPools(config);
        config.pourCap = 4 * config.feeRate;
        vm.expectRevert(IAlphaPools.AlphaPools_BadConfig.selector);
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
        vm.stopPrank();
    }

    function test_neighboursFunctionsRefuseEveryoneElse() public {
        vm.startPrank(trader);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyController.selector, trader));
        pools.grant(one, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyController.selector, trader));
        pools.closeEpoch(one, 0);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyDistributor.selector, trader));
        pools.release(one, trader, 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_OnlyRegistry.selector, trader));
        pools.buyAndBurn(one, 1);
        vm.stopPrank();
    }

    function test_swapsRefuseWhatTheirCallerDidNotAgreeTo() public {
        vm.startPrank(trader);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_Expired.selector, block.timestamp - 1));
        pools.buy(one, 1e18, 0, block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_Expired.selector, block.timestamp - 1));
        pools.sell(one, 1e18, 0, block.timestamp - 1);
        uint256 out = pools.quoteBuy(one, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_TooLittleOut.selector, out, out + 1));
        pools.buy(one, 1e18, out + 1, block.timestamp);
        out = pools.quoteSell(one, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_TooLittleOut.selector, out, out + 1));
        pools.sell(one, 1e18, out + 1, block.timestamp);
        vm.expectRevert(IAlphaPools.AlphaPools_ZeroAmount.selector);
        pools.buy(one, 0, 0, block.timestamp);
        vm.expectRevert(IAlphaPools.AlphaPools_ZeroAmount.selector);
        pools.sell(one, 0, 0, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        pools.buy(NOWHERE, 1, 0, block.timestamp);
        vm.stopPrank();
    }

    /// @dev [AM-1], with a pour pending that the swap itself triggers.
    function testFuzz_quotesEqualExecution(
        uint256 tndmIn,
        uint256 part,
        uint256 pending
    ) public {
        tndmIn = bound(tndmIn, 1, 500_000e18);
        _givePending(bound(pending, 0, 10_000e18));
        _toEpoch(1);
        uint256 quoted = pools.quoteBuy(one, tndmIn);
        uint256 alpha = _buy(one, tndmIn);
        vm.assertEq(alpha, quoted);
        if (alpha == 0) return;
        _toEpoch(2);
        uint256 alphaIn = bound(part, 1, alpha);
        quoted = pools.quoteSell(one, alphaIn);
        vm.assertEq(_sell(one, alphaIn), quoted);
    }

    /// @dev [AM-2]: k never falls, and the pool's books are always covered by what it holds.
    function testFuzz_productNeverFallsAndNobodyProfitsFromACircle(
        uint256[12] memory moves
    ) public {
        _givePending(SEED / 100);
        uint256 tndmBefore = tndm.balanceOf(trader);
        AlphaToken alpha = AlphaToken(pools.alphaOf(one));
        for (uint256 i = 0; i < moves.length; ++i) {
            IAlphaPools.Pool memory before = pools.poolOf(one);
            uint256 kind = moves[i] % 5;
            uint256 size = moves[i] >> 8;
            uint256 held = alpha.balanceOf(trader);
            if (kind < 2) _buy(one, bound(size, 1, 20_000e18));
            else if (kind == 2 && held > 0) _sell(one, bound(size, 1, held));
            else if (kind == 3) pools.pour(one);
            else vm.warp(block.timestamp + bound(size, 1, 3 * L));
            IAlphaPools.Pool memory pool = pools.poolOf(one);
            vm.assertGe(uint256(pool.tndm) * pool.alpha, uint256(before.tndm) * before.alpha, "k fell");
            vm.assertGe(tndm.balanceOf(address(pools)), uint256(pool.tndm) + pool.burnable + pool.pending, "uncovered");
            vm.assertEq(21_000_000e18 - alpha.balanceOf(trader), alpha.balanceOf(address(pools)), "alpha lost");
        }
        uint256 rest = alpha.balanceOf(trader);
        if (rest > 0) _sell(one, rest);
        vm.assertLe(tndm.balanceOf(trader), tndmBefore, "profit");
    }

    function test_halfOfTheFeeIsBurnedOncePerEpoch() public {
        uint256 supply = tndm.totalSupply();
        _buy(one, 1000e18);
        uint256 toBurn = 1.5e18; // half of 0.3 %
        vm.assertEq(pools.poolOf(one).burnable, toBurn);
        vm.assertEq(pools.flushFees(one), 0, "the epoch of creation has nothing to flush yet");
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
        one = registry.add(0);
        _createPool(one, SEED, 1e18);
        _givePending(80e18);
        vm.assertEq(_poured(), 0, "not in the epoch of creation");
        _toEpoch(1);
        vm.assertEq(_poured(), SEED / 100, "1 % of the pool");
        vm.assertEq(pools.spotPrice(one), 1e18);
        vm.assertEq(_poured(), 0, "once per epoch");
        _toEpoch(5);
        vm.assertEq(_poured(), 30e18, "the rest, no catch-up");
        IAlphaPools.Pool memory pool = pools.poolOf(one);
        vm.assertEq(pool.pending, 0);
        vm.assertEq(pool.issued, pool.alpha);
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
        vm.prank(address(controller));
        pools.closeEpoch(one, 0);
        // Others have moved the fair price since, as far as the band goes.
        vm.startPrank(treasury);
        tndm.approve(address(pools), type(uint256).max);
        pools.buy(one, bound(drift, 1, 1500e18), 0, block.timestamp);
        vm.stopPrank();
        uint256 before = tndm.balanceOf(trader);
        if (down) {
            uint256 got = _sell(one, bound(push, 1e15, held));
            _givePending(1000e18);
            pools.pour(one);
            _buy(one, got);
            vm.assertLe(alpha.balanceOf(trader), held, "profit");
        } else {
            uint256 bought = _buy(one, bound(push, 1e15, 100_000e18));
            _givePending(1000e18);
            pools.pour(one);
            _sell(one, bought);
            vm.assertLe(tndm.balanceOf(trader), before, "profit");
        }
    }

    function test_aPushedPriceMakesThePourWait() public {
        _buy(one, 3000e18);
        _givePending(10e18);
        _toEpoch(1);
        vm.assertEq(_poured(), 0);
        vm.startPrank(address(controller));
        pools.closeEpoch(one, 0);
        vm.stopPrank();
        vm.assertGt(_poured(), 0, "a price that stood for an epoch is the new reference");
    }

    /// @dev The alpha schedule caps the alpha side, and TNDM is cut in the same ratio.
    function test_theScheduleCutsBothSidesOfAPour() public {
        Netuid two = registry.add(0);
        _createPool(two, SEED, 0.01e18); // 500,000 alpha: 1 % of it is beyond 150 alpha an hour
        _give(address(pools), 50e18);
        vm.prank(address(controller));
        pools.grant(two, 50e18, 0);
        _toEpoch(1);
        (uint256 poured, uint256 alpha) = pools.pour(two);
        vm.assertEq(alpha, 150e18);
        vm.assertEq(poured, 1.5e18);
        vm.assertEq(pools.spotPrice(two), 0.01e18);
    }

    /// @dev [EM-3]: nothing is issued beyond 21,000,000, and the injection leaves room for budgets of open epochs.
    function test_alphaIsNeverIssuedBeyondItsSupply() public {
        uint256 left = 21_000_000e18 - pools.poolOf(one).issued;
        vm.startPrank(address(controller));
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_SupplyExceeded.selector, one, 21_000_000e18 + 1));
        pools.grant(one, 0, left + 1);
        pools.grant(one, 0, left - 100e18);
        vm.stopPrank();
        _givePending(1000e18);
        _toEpoch(1);
        (uint256 poured, uint256 alpha) = pools.pour(one);
        vm.assertEq(poured, 0, "room is kept for two open epochs of 150 alpha");
        vm.assertEq(alpha, 0);
    }

    function test_issuedAtABoundaryIgnoresWhatIsPouredLater() public {
        uint256 seeded = pools.poolOf(one).issued;
        _givePending(1000e18);
        _toEpoch(3);
        (, uint256 alpha) = pools.pour(one);
        vm.assertGt(alpha, 0);
        vm.assertEq(pools.issuedAt(one, 2), seeded);
        vm.assertEq(pools.issuedAt(one, 3), seeded + alpha);
        vm.prank(address(controller));
        pools.grant(one, 0, 7);
        vm.assertEq(pools.issuedAt(one, 2), seeded + 7);
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
        vm.assertEq(AlphaToken(pools.alphaOf(one)).totalSupply(), 21_000_000e18 - burned);
        vm.assertEq(pools.circulatingAlpha(one), 0, "burned alpha is outside of nothing");
    }

    function test_theDistributorPaysOutOfTheVault() public {
        vm.prank(address(distributor));
        pools.release(one, trader, 5e18);
        vm.assertEq(AlphaToken(pools.alphaOf(one)).balanceOf(trader), 5e18);
        vm.assertEq(pools.circulatingAlpha(one), 5e18);
    }

    function test_epochsCloseInOrderAndOnlyAfterTheyEnded() public {
        vm.startPrank(address(controller));
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_EpochNotEnded.selector, 0));
        pools.closeEpoch(one, 0);
        vm.warp(pools.endOf(0));
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_WrongEpoch.selector, 1, 0));
        pools.closeEpoch(one, 1);
        (uint256 emaBefore, uint256 twap) = pools.closeEpoch(one, 0);
        vm.stopPrank();
        vm.assertEq(emaBefore, 0, "created in this epoch");
        vm.assertEq(twap, PRICE);
        vm.assertEq(pools.emaOf(one), PRICE);
        vm.assertEq(pools.nextEpochOf(one), 1);
    }

    /// @dev [AM-3]: input capped at twice the old EMA; the factor is emaRate·t/(t + 28 days) at the pool's age.
    function test_theEmaMovesByItsAgeAndAtMostTowardsItsDouble() public {
        _buy(one, 500_000e18); // the price explodes at the start of the epoch
        vm.warp(pools.endOf(0));
        vm.prank(address(controller));
        (, uint256 twap) = pools.closeEpoch(one, 0);
        vm.assertGt(twap, 2 * PRICE);
        uint256 rate = uint256(0.086e18) * L / (L + 28 days);
        vm.assertEq(pools.emaOf(one), PRICE + PRICE * rate / WAD);
    }

    /// @dev [EM-2]: TWAPs equal the sums over every second, closed at once or many epochs later.
    function testFuzz_averagesDoNotDependOnWhenEpochsAreClosed(
        uint256[10] memory moves
    ) public {
        uint64 epochs = 12;
        uint256[] memory sums = new uint256[](epochs);
        uint256 snapshot = vm.snapshotState();
        uint256[] memory prompt = _trade(moves, sums, epochs, true);
        vm.assertTrue(vm.revertToState(snapshot));
        sums = new uint256[](epochs);
        uint256[] memory late = _trade(moves, sums, epochs, false);
        for (uint64 e = 0; e < epochs; ++e) {
            vm.assertEq(prompt[2 * e], late[2 * e], "twap");
            vm.assertEq(prompt[2 * e + 1], late[2 * e + 1], "ema");
            vm.assertEq(late[2 * e], sums[e] / L, "reference");
        }
    }

    function test_theMedianIsOverAllPools() public {
        vm.assertEq(pools.medianEma(), PRICE);
        Netuid two = registry.add(0);
        _createPool(two, SEED, 0.2e18);
        vm.assertEq(pools.medianEma(), (0.2e18 + PRICE) / 2);
        Netuid three = registry.add(0);
        _createPool(three, SEED, 0.1e18);
        vm.assertEq(pools.medianEma(), 0.1e18);
    }

    function test_unknownPoolsReadAsNothing() public view {
        vm.assertFalse(pools.exists(NOWHERE));
        vm.assertEq(pools.alphaOf(NOWHERE), address(0));
        vm.assertEq(pools.emaOf(NOWHERE), 0);
        vm.assertEq(pools.circulatingAlpha(NOWHERE), 0);
    }

    /// @dev Trades as `moves` say until `epochs` are over; returns (twap, ema) of each epoch, sums up prices by the second.
    function _trade(
        uint256[10] memory moves,
        uint256[] memory sums,
        uint64 epochs,
        bool prompt
    ) private returns (uint256[] memory averages) {
        averages = new uint256[](2 * epochs);
        for (uint256 i = 0; i < moves.length; ++i) {
            _wait(sums, bound(moves[i] & 0xffff, 0, 2 * L), averages, prompt);
            uint256 held = AlphaToken(pools.alphaOf(one)).balanceOf(trader);
            uint256 size = moves[i] >> 16;
            if (moves[i] % 2 == 0 || held == 0) _buy(one, bound(size, 1e18, 5000e18));
            else _sell(one, bound(size, 1, held));
        }
        uint256 end = pools.endOf(epochs - 1);
        if (block.timestamp < end) _wait(sums, end - block.timestamp, averages, prompt);
        _close(averages, epochs);
    }

    function _wait(
        uint256[] memory sums,
        uint256 time,
        uint256[] memory averages,
        bool prompt
    ) private {
        while (time > 0) {
            uint64 epoch = pools.currentEpoch();
            uint256 part = pools.endOf(epoch) - block.timestamp;
            if (part > time) part = time;
            if (epoch < sums.length) sums[epoch] += pools.spotPrice(one) * part;
            time -= part;
            vm.warp(block.timestamp + part);
            if (prompt) _close(averages, pools.currentEpoch());
        }
    }

    function _close(
        uint256[] memory averages,
        uint64 before
    ) private {
        for (uint64 e = pools.nextEpochOf(one); e < before && 2 * e < averages.length; ++e) {
            vm.prank(address(controller));
            (, averages[2 * e]) = pools.closeEpoch(one, e);
            averages[2 * e + 1] = pools.emaOf(one);
        }
    }

    function _givePending(
        uint256 amount
    ) private {
        _give(address(pools), amount);
        vm.prank(address(controller));
        pools.grant(one, amount, 0);
    }

    function _poured() private returns (uint256 amount) {
        (amount,) = pools.pour(one);
    }
}
