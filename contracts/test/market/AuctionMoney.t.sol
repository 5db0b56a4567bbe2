// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { fadedDown } from "../../src/market/HalfLife.sol";
import { IBurnAuction } from "../../src/market/IBurnAuction.sol";
import { Netuid } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";

/// @notice Whose money a lot is made of, from one unit to a billion USDC, and what is remembered of sales.
contract AuctionMoneyTest is EconomyWorld {
    uint256 private constant BILLION = 1e15;
    uint256 private constant CHEAP = 0.005e18;
    Netuid internal constant NOBODY = Netuid.wrap(0);

    Netuid internal one;
    Netuid internal two;

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        two = _addSubnet();
        usdc.mint(trader, 1e30);
        vm.startPrank(trader);
        usdc.approve(address(auction), type(uint256).max);
        tndm.approve(address(auction), type(uint256).max);
        vm.stopPrank();
        gate.open();
    }

    /// @dev A lot may hold a billion USDC, which 5,000,000 TNDM pay for at the first price.
    function _auctionConfig(
        address tndm_
    ) internal view override returns (IBurnAuction.Config memory config) {
        config = super._auctionConfig(tndm_);
        config.maxLot = uint128(BILLION);
        config.genesisPrice = CHEAP;
        config.genesisFloor = CHEAP / 1000;
    }

    /// @dev [EM-1] What others give is sold beside subnets' money; its part of the burn is credited to nobody.
    function test_giftsWaitInLineAndEarnNobodyAnAllowance() public {
        _fund(one, 300e6);
        vm.expectEmit(address(auction));
        emit IBurnAuction.Funded(NOBODY, trader, 100e6);
        _give(100e6);
        _toOpening();
        uint256 id = auction.startLot();
        IBurnAuction.Lot memory lot = auction.lotOf(id);
        vm.assertTrue(lot.attributed);
        vm.assertEq(lot.netuids.length, 2);
        vm.assertTrue(lot.netuids[1] == NOBODY);
        vm.assertEq(lot.parts[1], 100e6);
        uint256 paid = _take(id);
        vm.assertEq(controller.ledgerOf(one).burned, paid * 3 / 4);
        vm.assertEq(controller.totalBurned(), paid * 3 / 4);
        vm.assertEq(auction.totalBurned(), paid);
        (uint256 burned, uint256 attributed) = auction.soldInYear();
        vm.assertEq(burned, paid);
        vm.assertEq(attributed, 300e6);
    }

    /// @dev Money that is sold before everybody else's would let a unit a day keep all subnets waiting.
    function test_aUnitADayHoldsNobodyUp() public {
        _toOpening();
        for (uint256 i = 0; i < 5; ++i) {
            _give(1);
            _fund(one, 300e6);
            uint256 id = auction.startLot();
            vm.assertEq(auction.lotOf(id).usdc, 300e6 + 1);
            _take(id);
            vm.warp(block.timestamp + 1 days);
        }
        vm.assertEq(auction.accruedOf(one), 0);
    }

    /// @dev Margin of the mesh phase that a desk forwards late is no subnet's, like all of its time.
    function test_whatDesksFundForNoSubnetGoesFirstAndAlone() public {
        _fund(one, 300e6);
        _fund(NOBODY, 50e6);
        vm.assertEq(auction.accruedOf(NOBODY), 50e6);
        vm.assertEq(auction.revenueOf(NOBODY), 0);
        _toOpening();
        IBurnAuction.Lot memory lot = auction.lotOf(auction.startLot());
        vm.assertFalse(lot.attributed);
        vm.assertEq(lot.usdc, 50e6);
        _take(1);
        vm.assertEq(controller.totalBurned(), 0);
        (uint256 burned, uint256 attributed) = auction.soldInYear();
        vm.assertGt(burned, 0);
        vm.assertEq(attributed, 0);
        vm.warp(block.timestamp + 1 days);
        vm.assertTrue(auction.lotOf(auction.startLot()).attributed);
    }

    function test_aLotOfOneUnitSells() public {
        _fund(one, 1);
        _toOpening();
        uint256 id = auction.startLot();
        vm.assertEq(auction.costOf(id), CHEAP / 1e6);
        uint256 before = usdc.balanceOf(treasury);
        vm.assertEq(_take(id), CHEAP / 1e6);
        vm.assertEq(usdc.balanceOf(treasury) - before, 1);
        vm.assertEq(controller.ledgerOf(one).burned, CHEAP / 1e6);
    }

    function test_aLotOfABillionSells() public {
        _fund(one, BILLION * 3 / 4);
        _fund(two, BILLION / 4);
        _toOpening();
        uint256 paid = _take(auction.startLot());
        vm.assertEq(paid, 5_000_000e18);
        vm.assertEq(controller.ledgerOf(one).burned, paid * 3 / 4);
        vm.assertEq(controller.ledgerOf(two).burned, paid / 4);
        vm.assertEq(auction.accruedOf(one), 0);
    }

    /// @dev Each gives the same fraction, rounded down; each is credited its part of the burn, rounded down; nothing is lost.
    function testFuzz_compositionIsProRataToTheUnit(
        uint256[5] memory amounts,
        uint256 maxExponent,
        uint256 wait
    ) public {
        uint256 total;
        uint256 most = 10 ** bound(maxExponent, 0, 15);
        for (uint16 n = 1; n <= amounts.length; ++n) {
            amounts[n - 1] = bound(amounts[n - 1], 1, most);
            _fund(Netuid.wrap(n), amounts[n - 1]);
            total += amounts[n - 1];
        }
        _toOpening();
        uint256 id = auction.startLot();
        IBurnAuction.Lot memory lot = auction.lotOf(id);
        uint256 sum;
        for (uint256 i = 0; i < lot.parts.length; ++i) {
            uint256 amount = amounts[Netuid.unwrap(lot.netuids[i]) - 1];
            vm.assertEq(lot.parts[i], total <= BILLION ? amount : amount * BILLION / total);
            vm.assertEq(auction.accruedOf(lot.netuids[i]), amount - lot.parts[i]);
            sum += lot.parts[i];
        }
        vm.assertEq(lot.usdc, sum);
        vm.assertLe(lot.usdc, BILLION);
        vm.warp(block.timestamp + bound(wait, 0, 12 hours));
        uint256 paid = _take(id);
        for (uint256 i = 0; i < lot.parts.length; ++i) {
            vm.assertEq(controller.ledgerOf(lot.netuids[i]).burned, paid * lot.parts[i] / lot.usdc);
        }
    }

    /// @dev Sales of next to nothing cost nothing, so they move no price, up or down.
    function test_smallSalesTeachNoPrice() public {
        _toOpening();
        for (uint256 i = 0; i < 10; ++i) {
            _fund(one, 1e6 - 1);
            uint256 id = auction.startLot();
            vm.assertEq(auction.lotOf(id).startPrice, CHEAP);
            _take(id);
            vm.warp(block.timestamp + 1 days);
        }
        vm.assertEq(auction.lastPrice(), 0);
        vm.assertEq(auction.medianPrice(), 0);
        _fund(one, 1e6);
        _take(auction.startLot());
        vm.assertEq(auction.lastPrice(), CHEAP);
        vm.assertEq(auction.medianPrice(), CHEAP);
    }

    function test_theMedianIsThatOfTheLastSevenSales() public {
        _toOpening();
        uint256[9] memory prices;
        for (uint256 i = 0; i < prices.length; ++i) {
            _fund(one, 1e6);
            uint256 id = auction.startLot();
            vm.warp(block.timestamp + (i * i) % 5 * 1 hours);
            prices[i] = auction.priceOf(id);
            _take(id);
            vm.assertEq(auction.lastPrice(), prices[i]);
            if (i == 1) vm.assertEq(auction.medianPrice(), (prices[0] + prices[1]) / 2, "mean of two");
            vm.warp(block.timestamp + 1 days);
        }
        uint256 below;
        uint256 above;
        for (uint256 i = 2; i < prices.length; ++i) {
            if (prices[i] <= auction.medianPrice()) ++below;
            if (prices[i] >= auction.medianPrice()) ++above;
        }
        vm.assertGe(below, 4);
        vm.assertGe(above, 4);
    }

    /// @dev A taker whom USDC refuses hurts itself alone; a paused USDC delays a sale and loses nothing.
    function test_receiversThatFailHurtThemselvesAlone() public {
        _fund(one, 100e6);
        _toOpening();
        uint256 id = auction.startLot();
        usdc.blacklist(trader);
        vm.expectRevert();
        vm.prank(trader);
        auction.take(id, type(uint256).max, block.timestamp);
        vm.assertEq(auction.totalBurned(), 0);
        usdc.pause();
        vm.expectRevert();
        vm.prank(treasury);
        auction.take(id, type(uint256).max, block.timestamp);
        usdc.unpause();
        vm.warp(block.timestamp + 2 days);
        auction.restart(id);
        vm.assertGt(_take(id), 0);
        vm.assertEq(usdc.balanceOf(treasury), 100e6);
    }

    function test_salesOfAYearRoll() public {
        _fund(one, 100e6);
        _toOpening();
        uint256 first = _take(auction.startLot());
        vm.warp(block.timestamp + 30 days);
        _fund(one, 50e6);
        uint256 second = _take(auction.startLot());
        (uint256 burned, uint256 attributed) = auction.soldInYear();
        vm.assertEq(burned, first + second);
        vm.assertEq(attributed, 150e6);
        vm.warp(block.timestamp + 53 weeks - 20 days);
        (burned, attributed) = auction.soldInYear();
        vm.assertEq(burned, second);
        vm.assertEq(attributed, 50e6);
        vm.warp(block.timestamp + 30 days);
        (burned,) = auction.soldInYear();
        vm.assertEq(burned, 0);
        vm.assertEq(auction.totalBurned(), first + second);
    }

    function test_revenueHalvesInAHalfLifeAndCountsOnlyWhatIsFundedForTheSubnet() public {
        _fund(one, 100e6);
        vm.assertEq(auction.revenueOf(one), 100e6);
        vm.assertEq(auction.revenueOf(two), 0);
        vm.warp(block.timestamp + 30 days);
        vm.assertEq(auction.revenueOf(one), 50e6);
        _fund(one, 10e6);
        vm.assertEq(auction.revenueOf(one), 60e6);
        _toOpening();
        vm.warp(block.timestamp + 60 days);
        _take(auction.startLot());
        uint256 left = auction.revenueOf(one);
        vm.assertGt(left, 0, "selling is not forgetting");
        vm.warp(block.timestamp + 300 * 30 days);
        vm.assertEq(auction.revenueOf(one), 0);
    }

    /// @dev Whoever is looked at more often fades no slower.
    function testFuzz_fadingInStepsIsFadingAtOnce(
        uint256 amount,
        uint256 start,
        uint256[6] memory steps,
        uint256 halfLife
    ) public pure {
        amount = bound(amount, 0, type(uint112).max);
        halfLife = bound(halfLife, 1, 365 days);
        start = bound(start, 0, 1e10);
        uint256 time = start;
        uint256 stepped = amount;
        for (uint256 i = 0; i < steps.length; ++i) {
            uint256 next = time + bound(steps[i], 0, halfLife);
            uint256 after_ = fadedDown(stepped, time, next, halfLife);
            vm.assertLe(after_, stepped, "never rises");
            stepped = after_;
            time = next;
        }
        uint256 atOnce = fadedDown(amount, start, time, halfLife);
        vm.assertLe(stepped, atOnce);
        vm.assertApproxEqAbs(stepped, atOnce, steps.length);
        vm.assertEq(fadedDown(amount, start, start + halfLife, halfLife), amount / 2);
    }

    /// @dev Amounts beyond any USDC there could be fail in the hands of who brings them.
    function test_absurdAmountsAreTheirSendersTrouble() public {
        _fund(one, 100e6);
        vm.expectRevert();
        _give(uint256(type(uint96).max) + 1);
        _toOpening();
        vm.assertGt(_take(auction.startLot()), 0);
    }

    function _give(
        uint256 amount
    ) private {
        vm.prank(trader);
        auction.fund(NOBODY, amount);
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
}
