// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { BurnAuction } from "../../src/market/BurnAuction.sol";
import { DutchDecay } from "../../src/market/DutchDecay.sol";
import { IBurnAuction } from "../../src/market/IBurnAuction.sol";
import { Netuid } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

contract BurnAuctionTest is EconomyWorld {
    Netuid internal constant MESH = Netuid.wrap(0);
    Netuid internal one;
    Netuid internal two;

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        two = _addSubnet();
    }

    function test_onlyDesksOfAllowedSeriesFundForASubnet() public {
        bytes memory refused = abi.encodeWithSelector(IBurnAuction.BurnAuction_OnlyFunders.selector, trader);
        vm.expectRevert(refused);
        vm.prank(trader);
        auction.fund(one, 0);
        vm.assertTrue(auction.isSeries(desk));
        vm.assertFalse(auction.isSeries(trader));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, trader));
        vm.prank(trader);
        auction.allowSeries(trader);
        vm.expectEmit(address(auction));
        emit IBurnAuction.SeriesAllowed(trader);
        vm.prank(guardian);
        auction.allowSeries(trader);
        vm.prank(trader);
        auction.fund(one, 0);
        vm.assertEq(auction.accruedOf(one), 0, "zero is ignored");
    }

    function test_moneyFromBeforeMarketsIsUnattributed() public {
        _fund(one, 100e6);
        vm.assertEq(auction.accruedOf(MESH), 100e6);
        vm.assertEq(auction.accruedOf(one), 0);
        _openMarkets();
        _fund(one, 30e6);
        vm.assertEq(auction.accruedOf(one), 30e6);
    }

    function test_lotsStartAWeekAfterMarketsAndOnceADay() public {
        _fund(one, 100e6);
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_TooEarly.selector, type(uint256).max));
        auction.startLot();
        _openMarkets();
        uint256 opensAt = block.timestamp + 7 days;
        vm.warp(opensAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_TooEarly.selector, opensAt));
        auction.startLot();
        vm.warp(opensAt);
        vm.expectEmit(address(auction));
        emit IBurnAuction.LotStarted(1, 100e6, false, 20e18, 5e18);
        vm.assertEq(auction.startLot(), 1);
        _fund(one, 100e6);
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_TooEarly.selector, opensAt + 1 days));
        auction.startLot();
        vm.warp(opensAt + 1 days);
        vm.assertEq(auction.startLot(), 2);
        vm.warp(opensAt + 2 days);
        vm.expectRevert(IBurnAuction.BurnAuction_NothingToSell.selector);
        auction.startLot();
    }

    /// @dev [EM-1]: mesh money earns nobody an allowance; then each subnet earns by the part it brought.
    function test_meshMoneyIsSoldFirstAndAlone() public {
        _fund(one, 25_000e6);
        _openMarkets();
        _fund(one, 300e6);
        _fund(two, 100e6);
        _fund(one, 300e6);
        _toOpening();
        uint256 supply = tndm.totalSupply();
        for (uint256 i = 0; i < 3; ++i) {
            IBurnAuction.Lot memory mesh = auction.lotOf(auction.startLot());
            vm.assertFalse(mesh.attributed);
            vm.assertEq(mesh.usdc, i < 2 ? 10_000e6 : 5000e6);
            vm.assertEq(mesh.netuids.length, 0);
            _takeAtFloor(i + 1);
        }
        vm.assertEq(controller.totalBurned(), 0);
        vm.assertEq(tndm.totalSupply(), supply - auction.totalBurned());

        uint256 id = auction.startLot();
        IBurnAuction.Lot memory lot = auction.lotOf(id);
        vm.assertTrue(lot.attributed);
        vm.assertEq(lot.usdc, 700e6);
        vm.assertEq(lot.netuids.length, 2);
        vm.assertEq(lot.parts[0], 600e6);
        uint256 paid = _takeAtFloor(id);
        vm.assertEq(controller.ledgerOf(one).burned, paid * 6 / 7);
        vm.assertEq(controller.ledgerOf(two).burned, paid / 7);
        vm.assertEq(usdc.balanceOf(treasury), 25_700e6);
    }

    function test_whatExceedsALotIsCutByTheSameFractionAndWaitsInLine() public {
        _openMarkets();
        _fund(one, 30_000e6);
        _fund(two, 10_000e6);
        _toOpening();
        IBurnAuction.Lot memory lot = auction.lotOf(auction.startLot());
        vm.assertEq(lot.usdc, 10_000e6);
        vm.assertEq(lot.parts[0], 7500e6);
        vm.assertEq(lot.parts[1], 2500e6);
        vm.assertEq(auction.accruedOf(one), 22_500e6);
        // The composition is frozen: what comes now belongs to later lots.
        _fund(two, 5000e6);
        vm.assertEq(auction.lotOf(1).parts[1], 2500e6);
        vm.warp(block.timestamp + 1 days);
        lot = auction.lotOf(auction.startLot());
        vm.assertEq(lot.parts[1], uint256(12_500e6) * 10_000 / 35_000);
    }

    function test_aLotHoldsAtMost64SubnetsInTheOrderOfTheirMoney() public {
        gate.open();
        for (uint16 n = 1; n <= 70; ++n) {
            _fund(Netuid.wrap(n), 10e6);
        }
        _toOpening();
        IBurnAuction.Lot memory lot = auction.lotOf(auction.startLot());
        vm.assertEq(lot.netuids.length, 64);
        vm.assertEq(Netuid.unwrap(lot.netuids[63]), 64);
        vm.warp(block.timestamp + 1 days);
        lot = auction.lotOf(auction.startLot());
        vm.assertEq(lot.netuids.length, 6);
        vm.assertEq(Netuid.unwrap(lot.netuids[0]), 65);
    }

    /// @dev Σ parts <= burned: rounding dust is credited to nobody.
    function testFuzz_creditsNeverExceedTheBurn(
        uint256[6] memory amounts,
        uint256 wait
    ) public {
        gate.open();
        uint256 total;
        for (uint16 n = 1; n <= amounts.length; ++n) {
            uint256 amount = bound(amounts[n - 1], 1, 4000e6);
            _fund(Netuid.wrap(n), amount);
            total += amount;
        }
        _toOpening();
        uint256 id = auction.startLot();
        vm.warp(block.timestamp + bound(wait, 0, 5 hours));
        uint256 cost = auction.costOf(id);
        uint256 paid = _take(id);
        vm.assertEq(paid, cost);
        uint256 credited = controller.totalBurned();
        vm.assertLe(credited, paid);
        vm.assertApproxEqAbs(credited, paid, amounts.length);
        uint256 waiting;
        for (uint16 n = 1; n <= amounts.length; ++n) {
            waiting += auction.accruedOf(Netuid.wrap(n));
        }
        vm.assertEq(usdc.balanceOf(treasury) + waiting, total, "no USDC is lost");
        vm.assertEq(usdc.balanceOf(address(auction)), waiting);
    }

    function test_takersAreProtectedByPriceAndDeadlineAndALotSellsOnce() public {
        _openMarkets();
        _fund(one, 1e6 + 1);
        _toOpening();
        auction.startLot();
        uint256 cost = auction.costOf(1);
        vm.assertEq(cost, 20e18 + 20e12, "rounded up");
        vm.startPrank(treasury);
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_TooExpensive.selector, cost, cost - 1));
        auction.take(1, cost - 1, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_Expired.selector, block.timestamp - 1));
        auction.take(1, cost, block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_UnknownLot.selector, 2));
        auction.take(2, cost, block.timestamp);
        vm.expectEmit(address(auction));
        emit IBurnAuction.LotTaken(1, treasury, 1e6 + 1, cost, 20e18);
        auction.take(1, cost, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_LotSold.selector, 1));
        auction.take(1, cost, block.timestamp);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_LotSold.selector, 1));
        auction.restart(1);
    }

    function test_aDecayStartsAtTwiceTheLastPriceAndItsFloorFollowsTheMedianOfSeven() public {
        _openMarkets();
        _toOpening();
        uint256[7] memory waits = [uint256(0), 1 hours, 2 hours, 30 minutes, 1 hours, 90 minutes, 2 hours];
        // 20; then from twice the last: 20, 10, 15, 15, 11.25, 5.625
        for (uint256 i = 0; i < 7; ++i) {
            _fund(one, 1e6);
            uint256 id = auction.startLot();
            vm.assertEq(auction.lotOf(id).floorPrice, 5e18, "the genesis floor until seven are sold");
            vm.warp(block.timestamp + waits[i]);
            _take(id);
            vm.warp(block.timestamp + 1 days);
        }
        _fund(one, 1e6);
        IBurnAuction.Lot memory lot = auction.lotOf(auction.startLot());
        vm.assertEq(lot.startPrice, 11.25e18);
        vm.assertEq(lot.floorPrice, 15e18 / 4);
    }

    function test_anUnsoldLotRestartsWithHalfItsFloor() public {
        _openMarkets();
        _fund(one, 1e6);
        _toOpening();
        auction.startLot();
        uint256 startedAt = block.timestamp;
        vm.warp(startedAt + 2 days - 1);
        vm.assertEq(auction.priceOf(1), 5e18, "at the floor");
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_StillRunning.selector, 1, startedAt + 2 days));
        auction.restart(1);
        vm.warp(startedAt + 2 days);
        auction.restart(1);
        vm.assertEq(auction.priceOf(1), 10e18, "twice what nobody paid");
        vm.assertEq(auction.lotOf(1).floorPrice, 2.5e18);
        vm.warp(block.timestamp + 2 days);
        vm.assertEq(auction.priceOf(1), 2.5e18);
    }

    /// @dev Each restart begins lower than the one before, so that together they find any price.
    function testFuzz_restartsBringThePriceDownHoweverShortALotLasts(
        uint256 wait
    ) public {
        _openMarkets();
        _fund(one, 1e6);
        _toOpening();
        auction.startLot();
        uint256 reached = auction.priceOf(1);
        for (uint256 i = 0; i < 10; ++i) {
            vm.warp(block.timestamp + bound(wait, 2 days, 30 days));
            uint256 last = auction.priceOf(1);
            vm.assertLe(last * 2, reached);
            auction.restart(1);
            vm.assertLe(auction.priceOf(1), last * 2);
            reached = last;
        }
    }

    function test_theGuardianStopsForAWeekAtMostAndDecaysStartAnew() public {
        _openMarkets();
        _fund(one, 1e6);
        _toOpening();
        auction.startLot();
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, trader));
        vm.prank(trader);
        auction.stop(uint64(block.timestamp + 1));
        vm.startPrank(guardian);
        uint256 latest = block.timestamp + 7 days;
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_StopTooLong.selector, latest + 1, latest));
        auction.stop(uint64(block.timestamp + 7 days + 1));
        uint64 until = uint64(block.timestamp + 1 hours);
        auction.stop(until);
        vm.stopPrank();
        bytes memory stopped = abi.encodeWithSelector(IBurnAuction.BurnAuction_IsStopped.selector, until);
        vm.expectRevert(stopped);
        auction.take(1, type(uint256).max, block.timestamp);
        vm.expectRevert(stopped);
        auction.startLot();
        vm.expectRevert(stopped);
        auction.restart(1);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_RestartFirst.selector, 1));
        auction.take(1, type(uint256).max, block.timestamp);
        auction.restart(1);
        vm.assertEq(auction.lotOf(1).floorPrice, 5e18, "nobody could take: the floor stays");
        vm.assertEq(_take(1), 20e18);
    }

    function testFuzz_thePriceNeverRisesAndStaysAboveItsFloor(
        uint256 start,
        uint256 floor,
        uint256 a,
        uint256 b,
        uint256 halfLife
    ) public pure {
        start = bound(start, 1, type(uint128).max);
        floor = bound(floor, 0, start);
        halfLife = bound(halfLife, 1, 30 days);
        a = bound(a, 0, 1000 days);
        b = bound(b, a, 2000 days);
        uint256 early = DutchDecay.decayed(start, floor, a, halfLife);
        uint256 late = DutchDecay.decayed(start, floor, b, halfLife);
        vm.assertLe(late, early);
        vm.assertGe(late, floor);
        vm.assertEq(DutchDecay.decayed(start, floor, 0, halfLife), start);
    }

    function test_configurationsThatCannotSellAreRefused() public {
        IBurnAuction.Config memory config = _auctionConfig(address(tndm));
        config.genesisFloor = 0;
        _assertRefused(config);
        config.genesisFloor = config.genesisPrice + 1;
        _assertRefused(config);
        config.genesisFloor = config.genesisPrice;
        config.halfLife = 0;
        _assertRefused(config);
        config.halfLife = config.lotDuration / 2 + 1;
        _assertRefused(config);
        config.halfLife = 1;
        config.maxLot = 1e6 - 1;
        _assertRefused(config);
        config.maxLot = 1e6;
        config.revenueHalfLife = 0;
        _assertRefused(config);
        config.revenueHalfLife = 1;
        config.genesisPrice = uint256(type(uint128).max) + 1;
        _assertRefused(config);
        config.genesisPrice = config.genesisFloor;
        new BurnAuction(config);
    }

    function _assertRefused(
        IBurnAuction.Config memory config
    ) private {
        vm.expectRevert(IBurnAuction.BurnAuction_BadConfig.selector);
        new BurnAuction(config);
    }

    function _toOpening() private {
        vm.warp(uint256(gate.marketsOpenedAt()) + 7 days);
    }

    function _take(
        uint256 id
    ) private returns (uint256) {
        vm.prank(treasury);
        return auction.take(id, type(uint256).max, block.timestamp);
    }

    function _takeAtFloor(
        uint256 id
    ) private returns (uint256) {
        vm.warp(block.timestamp + 1 days);
        return _take(id);
    }
}
