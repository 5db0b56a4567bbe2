// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { INetworkHealth } from "../../src/emission/INetworkHealth.sol";
import { NetworkHealth } from "../../src/emission/NetworkHealth.sol";
import { SuiteTest } from "../support/Suite.sol";

/// @notice The figures against the flows that they are made of, in the whole suite.
contract NetworkHealthTest is SuiteTest {
    uint256 private constant WAD = 1e18;

    NetworkHealth private _view;

    function setUp() public override {
        super.setUp();
        _view = new NetworkHealth(address(controller), address(auction), address(desk), address(credit));
    }

    function test_aFigureWithoutDataIsUndefinedNotZero() public {
        INetworkHealth.Health memory h = _view.health();
        vm.assertFalse(
            h.creditRatio.defined || h.governanceRatio.defined || h.subsidyRatio.defined || h.respentShare.defined
                || h.reserveCoverage.defined
        );
        buyCredits(user, 100e18);
        h = _view.health();
        vm.assertTrue(h.reserveCoverage.defined);
        vm.assertEq(h.reserveCoverage.value, WAD);
        vm.assertFalse(h.creditRatio.defined || h.respentShare.defined);
        vm.assertEq(h.revenue, 0, "sold is not spent");
    }

    /// @dev [CR-3] Revenue counts what was bought and spent, once; the re-spent part of the work brings none.
    function test_creditsThatAreSpentAgainBringNoRevenue() public {
        spend(TEXT, firstUid(), 100e18);
        INetworkHealth.Health memory h = _view.health();
        vm.assertEq(h.revenue, 100e6, "the price of a hundred credits");
        vm.assertTrue(h.respentShare.defined);
        vm.assertEq(h.respentShare.value, 0);
        // The contributor spends a quarter of its earnings with the other one.
        settleUpTo(openChannel(first, TEXT, secondUid(), 25e18), 25e18);
        h = _view.health();
        vm.assertEq(h.revenue, 100e6);
        vm.assertEq(h.respentShare.value, WAD * 25 / 125);
        vm.assertFalse(h.creditRatio.defined, "nothing was redeemed");
        vm.prank(first);
        desk.cashOut(50e18, first);
        h = _view.health();
        vm.assertEq(h.redeemed, 50e18);
        vm.assertEq(h.creditRatio.value, 2e6, "100 USDC of revenue for 50 credits");
        _assertSingles();
    }

    function test_governanceAndSubsidyFollowFromLotsAndEmission() public {
        runEpoch(500e18);
        runEpoch(500e18);
        runEpoch(0);
        openMarkets();
        vm.warp(block.timestamp + AUCTION_DELAY);
        uint256 mesh = takeLot(auction.startLot());
        INetworkHealth.Health memory h = _view.health();
        vm.assertEq(h.burnedInYear, mesh);
        vm.assertFalse(h.governanceRatio.defined, "nothing was emitted");
        vm.assertFalse(h.subsidyRatio.defined, "money of the mesh phase is not the year's margin");

        endEpoch();
        spend(TEXT, firstUid(), 500e18);
        // Half of the margin of 75 USDC reaches the auction at the latest when it is asked for.
        desk.forwardMargin(TEXT);
        vm.warp(block.timestamp + LOT_INTERVAL);
        uint256 paid = takeLot(auction.startLot());
        endEpoch();
        endEpoch();
        h = _view.health();
        vm.assertEq(h.marginInYear, 75e6);
        vm.assertEq(h.burnedInYear, mesh + paid);
        vm.assertGt(h.emittedInYear, 0);
        vm.assertEq(h.emittedInYear, controller.totalEmitted());
        vm.assertEq(h.governanceRatio.value, (mesh + paid) * WAD / h.emittedInYear);
        vm.assertEq(h.emittedValue, h.emittedInYear * 1e6 / auction.medianPrice());
        vm.assertTrue(h.subsidyRatio.defined);
        vm.assertEq(h.subsidyRatio.value, h.emittedValue * WAD / h.marginInYear);
        _assertSingles();
        vm.warp(block.timestamp + 54 weeks);
        h = _view.health();
        vm.assertFalse(h.governanceRatio.defined || h.subsidyRatio.defined, "a year later it is history");
    }

    function _assertSingles() private view {
        INetworkHealth.Health memory h = _view.health();
        _assertSame(h.creditRatio, _view.creditRatio());
        _assertSame(h.governanceRatio, _view.governanceRatio());
        _assertSame(h.subsidyRatio, _view.subsidyRatio());
        _assertSame(h.respentShare, _view.respentShare());
        _assertSame(h.reserveCoverage, _view.reserveCoverage());
    }

    function _assertSame(
        INetworkHealth.Figure memory a,
        INetworkHealth.Figure memory b
    ) private pure {
        vm.assertEq(a.defined, b.defined);
        vm.assertEq(a.value, b.value);
    }
}
