// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { CreditDesk } from "../../src/compute/CreditDesk.sol";
import { ICreditDesk } from "../../src/compute/ICreditDesk.sol";
import { Netuid } from "../../src/types/Types.sol";
import { SeriesTest } from "../support/SeriesTest.sol";

/// @notice Recognised margin: booked by settlement, forwarded once an epoch, never in settlement's way.
contract MarginForwardingTest is SeriesTest {
    Netuid private constant UNATTRIBUTED = Netuid.wrap(0);

    function setUp() public override {
        super.setUp();
        buyCredits(payer, 100e18);
        usdc.mint(address(desk), 100e6); // a donation is no margin
    }

    function test_recognisedMarginIsBookedAndStaysWithinItsEpoch() public {
        vm.expectEmit(address(desk));
        emit ICreditDesk.MarginRecognised(SUBNET, 1_000_001);
        _recognise(1_000_001);
        _recognise(2);
        (uint256 toBuyback, uint256 toPot, uint64 epoch) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback, 500_002);
        vm.assertEq(toPot, 500_001);
        vm.assertEq(epoch, 0);
        vm.assertEq(usdc.balanceOf(address(auction)) + usdc.balanceOf(address(distributor)), 0);
    }

    function test_onlySettlementRecognisesMargin() public {
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_OnlySettlement.selector, address(this)));
        desk.recogniseMargin(SUBNET, 1);
    }

    /// The first settlement of a later epoch forwards what the earlier one brought, for the earlier epoch.
    function test_theNextEpochsFirstMarginForwardsTheLastOnes() public {
        gate.openMarkets();
        vm.warp(GENESIS + LENGTH);
        _recognise(1_000_001);
        vm.warp(GENESIS + 3 * LENGTH);
        vm.expectEmit(address(desk));
        emit ICreditDesk.MarginForwarded(SUBNET, 1, true, 500_001, 500_000);
        _recognise(7);
        vm.assertEq(auction.received(SUBNET), 500_001);
        vm.assertEq(distributor.receivedFor(SUBNET, 1), 500_000);
        vm.assertEq(usdc.allowance(address(desk), address(auction)), 0);
        vm.assertEq(usdc.allowance(address(desk), address(distributor)), 0);
        (uint256 toBuyback, uint256 toPot, uint64 epoch) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback + toPot, 7);
        vm.assertEq(epoch, 3);
    }

    function test_anybodyForwardsAtAnyTimeAndTwiceForwardsNothing() public {
        gate.openMarkets();
        vm.warp(GENESIS + LENGTH);
        _recognise(1_000_000);
        vm.startPrank(stranger);
        desk.forwardMargin(SUBNET);
        desk.forwardMargin(SUBNET);
        desk.forwardMargin(Netuid.wrap(2));
        vm.stopPrank();
        vm.assertEq(auction.received(SUBNET), 500_000);
        vm.assertEq(distributor.receivedFor(SUBNET, 1), 500_000);
        _recognise(10);
        desk.forwardMargin(SUBNET);
        vm.assertEq(distributor.receivedFor(SUBNET, 1), 500_005);
    }

    /// Margin of an epoch that began before markets opened is nobody's allowance, however late it is forwarded.
    function test_meshMarginStaysUnattributedAfterMarketsOpened() public {
        _recognise(1_000_000);
        desk.forwardMargin(SUBNET);
        vm.assertEq(auction.received(UNATTRIBUTED), 500_000);
        _recognise(1_000_000);
        gate.openMarkets(); // within epoch 0
        _recognise(1_000_000);
        vm.warp(GENESIS + 5 * LENGTH);
        _recognise(1_000_000);
        vm.assertEq(auction.received(UNATTRIBUTED), 1_500_000, "of the epoch in which markets opened too");
        vm.assertEq(auction.received(SUBNET), 0);
        vm.assertEq(distributor.receivedFor(SUBNET, 0), 1_500_000);
        desk.forwardMargin(SUBNET);
        vm.assertEq(auction.received(SUBNET), 500_000, "of a later epoch");
    }

    /// A mesh epoch's margin that could not leave before markets opened is not attributed by waiting together with later margin.
    function test_heldMeshMarginTaintsWhatItWaitsWithAndNothingAfter() public {
        _recognise(1_000_000);
        distributor.setRefuses(true);
        gate.openMarkets();
        vm.warp(GENESIS + 2 * LENGTH);
        vm.expectEmit(address(desk));
        emit ICreditDesk.MarginHeld(SUBNET, 2, 1_000_000);
        _recognise(500_000);
        (uint256 toBuyback, uint256 toPot, uint64 epoch) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback + toPot, 1_500_000);
        vm.assertEq(epoch, 2);
        vm.warp(GENESIS + 3 * LENGTH);
        _recognise(500_000);
        distributor.setRefuses(false);
        vm.warp(GENESIS + 4 * LENGTH);
        _recognise(100_000);
        vm.assertEq(auction.received(UNATTRIBUTED), 1_000_000);
        vm.assertEq(distributor.receivedFor(SUBNET, 3), 1_000_000, "counts when it could leave at last");
        desk.forwardMargin(SUBNET);
        vm.assertEq(auction.received(SUBNET), 50_000);
    }

    /// `[GV-2]` A receiver that burns all gas it is given costs a settlement that gas once an epoch, and stops nothing.
    function test_aReceiverThatBurnsGasStopsNoSettlement() public {
        uint256 id = openChannel(40e18);
        settleUpTo(id, 10e18);
        auction.setBurnsGas(true);
        vm.warp(GENESIS + LENGTH);
        uint256 before = gasleft();
        settleUpTo(id, 20e18);
        vm.assertLt(before - gasleft(), desk.FORWARD_GAS() + 200_000);
        before = gasleft();
        settleUpTo(id, 30e18);
        vm.assertLt(before - gasleft(), 150_000);
        vm.assertEq(credit.balanceOf(contributor), 30e18);
        (uint256 toBuyback, uint256 toPot,) = desk.heldMargin(SUBNET);
        vm.assertEq(toBuyback + toPot, 4_500_000);
    }

    /// Whoever settles cannot make forwarding fail by being stingy with gas: it reverts instead, for any amount of gas.
    function testFuzz_aCallerCannotStarveForwarding(
        uint256 gas
    ) public {
        gate.openMarkets();
        vm.warp(GENESIS + LENGTH);
        _recognise(1_000_000);
        vm.warp(GENESIS + 2 * LENGTH);
        gas = bound(gas, 30_000, 1_500_000);
        vm.prank(address(settlement));
        (bool ok,) = address(desk).call{ gas: gas }(abi.encodeCall(ICreditDesk.recogniseMargin, (SUBNET, 10)));
        vm.assertEq(auction.received(SUBNET), ok ? 500_000 : 0, "forwarded or reverted");
        if (gas > desk.FORWARD_GAS_FLOOR() + 50_000) vm.assertTrue(ok, "enough");
    }

    function test_tooLittleGasToForwardIsSaidSo() public {
        _recognise(1_000_000);
        vm.warp(GENESIS + LENGTH);
        vm.prank(address(settlement));
        vm.expectPartialRevert(ICreditDesk.CreditDesk_TooLittleGas.selector);
        desk.recogniseMargin{ gas: 400_000 }(SUBNET, 10);
    }

    /// The buyback never gets less than its share, and both parts are the whole.
    function testFuzz_thePartsOfMarginAreTheWholeAndTheBuybackHasItsShare(
        uint256 margin,
        uint256 share
    ) public {
        ICreditDesk.Config memory config = deskConfig();
        config.settlement = address(this);
        config.buybackShare = bound(share, 0.4e18, 1e18);
        CreditDesk other = new CreditDesk(config);
        margin = bound(margin, 0, type(uint56).max);
        other.recogniseMargin(SUBNET, margin);
        (uint256 toBuyback, uint256 toPot,) = other.heldMargin(SUBNET);
        vm.assertEq(toBuyback + toPot, margin);
        vm.assertGe(toBuyback * 1e18, margin * config.buybackShare);
        vm.assertLt(toBuyback * 1e18, margin * config.buybackShare + 1e18);
        usdc.mint(address(other), margin);
        other.forwardMargin(SUBNET);
        vm.assertEq(usdc.balanceOf(address(other)), 0);
    }

    function _recognise(
        uint256 margin
    ) private {
        vm.prank(address(settlement));
        desk.recogniseMargin(SUBNET, margin);
    }
}
