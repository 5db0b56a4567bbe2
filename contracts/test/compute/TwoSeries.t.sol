// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { CreditDesk } from "../../src/compute/CreditDesk.sol";
import { ICreditDesk } from "../../src/compute/ICreditDesk.sol";
import { ISettlement } from "../../src/compute/ISettlement.sol";
import { Settlement } from "../../src/compute/Settlement.sol";
import { IBurnAuction } from "../../src/market/IBurnAuction.sol";
import { ComputeCredit } from "../../src/token/ComputeCredit.sol";
import { IComputeCredit } from "../../src/token/IComputeCredit.sol";
import { Netuid } from "../../src/types/Types.sol";
import { SuiteTest } from "../support/Suite.sol";

/// @notice `[CR-2]` A second series, at other rates, beside the first: one auction, distributor, registry and rate card for both,
/// and neither touches the other's credits, reserve or channels.
contract TwoSeriesTest is SuiteTest {
    uint256 private constant NEW_PRICE = 2_000_000;
    uint256 private constant NEW_PAYOUT = 1_500_000;
    uint256 private constant AMOUNT = 100e18;

    ComputeCredit private _credit;
    CreditDesk private _desk;
    Settlement private _settlement;

    function setUp() public override {
        super.setUp();
        _credit = ComputeCredit(factory.addressOf(address(this), "credit 2"));
        _desk = CreditDesk(factory.addressOf(address(this), "desk 2"));
        _settlement = Settlement(factory.addressOf(address(this), "settlement 2"));
        factory.deploy(
            "credit 2",
            bytes.concat(
                type(ComputeCredit).creationCode, abi.encode(address(_desk), address(_settlement), address(gate))
            )
        );
        ICreditDesk.Config memory config = ICreditDesk.Config({
            authority: address(manager),
            usdc: address(usdc),
            credit: address(_credit),
            settlement: address(_settlement),
            auction: address(auction),
            distributor: address(distributor),
            gate: address(gate),
            price: NEW_PRICE,
            payoutRate: NEW_PAYOUT,
            buybackShare: 0.6e18,
            genesis: GENESIS,
            epochLength: LENGTH
        });
        factory.deploy("desk 2", bytes.concat(type(CreditDesk).creationCode, abi.encode(config)));
        factory.deploy(
            "settlement 2",
            bytes.concat(
                type(Settlement).creationCode,
                abi.encode(
                    address(_credit),
                    address(_desk),
                    address(card),
                    address(registry),
                    address(settlement.OUTAGES()),
                    uint64(40)
                )
            )
        );
    }

    /// `[CR-2]` Each series sells, backs and pays out at its own rates, out of its own reserve.
    function test_twoSeriesShareNeitherRatesNorReserveNorCredits() public {
        buyCredits(user, AMOUNT);
        buyCreditsAt(_desk, user, AMOUNT);
        vm.assertEq(desk.reserve(), AMOUNT * PAYOUT / 1e18);
        vm.assertEq(_desk.reserve(), AMOUNT * NEW_PAYOUT / 1e18);
        vm.assertEq(credit.balanceOf(user), AMOUNT);
        vm.assertEq(_credit.balanceOf(user), AMOUNT);

        settleUpTo(openChannel(user, TEXT, firstUid(), AMOUNT), AMOUNT);
        vm.assertEq(credit.balanceOf(first), AMOUNT);
        vm.assertEq(_credit.balanceOf(first), 0);
        vm.startPrank(first);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeCredit.ComputeCredit_InsufficientEarned.selector, first, 0, AMOUNT)
        );
        _desk.cashOut(AMOUNT, first);
        desk.cashOut(AMOUNT, first);
        vm.stopPrank();
        vm.assertEq(usdc.balanceOf(first), AMOUNT * PAYOUT / 1e18);
        vm.assertEq(desk.reserve(), 0);
        vm.assertEq(_desk.reserve(), AMOUNT * NEW_PAYOUT / 1e18);

        vm.prank(address(desk));
        vm.expectRevert(abi.encodeWithSelector(IComputeCredit.ComputeCredit_OnlyDesk.selector, address(desk)));
        _credit.mintPurchased(user, 1, 0);
        vm.prank(address(settlement));
        vm.expectRevert(
            abi.encodeWithSelector(IComputeCredit.ComputeCredit_OnlySettlement.selector, address(settlement))
        );
        _credit.earn(first, 1, 0, 0);
        vm.prank(address(settlement));
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_OnlySettlement.selector, address(settlement)));
        _desk.recogniseMargin(TEXT, 1);
    }

    /// `[CR-5]` Channels of the two series have the same ids, parties and session keys; a voucher settles in its own alone.
    function test_aVoucherOfOneSeriesSettlesNothingInTheOther() public {
        buyCredits(user, AMOUNT);
        buyCreditsAt(_desk, user, AMOUNT);
        uint256 id = openChannel(user, TEXT, firstUid(), AMOUNT);
        vm.assertEq(_openSecond(AMOUNT), id);
        ISettlement.Voucher memory voucher = voucherFor(id, AMOUNT);
        bytes memory signature = signed(sessionSecret, settlement.hashVoucher(voucher));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_InvalidSignature.selector, id));
        _settlement.settle(voucher, signature);
        settlement.settle(voucher, signature);
        vm.assertEq(credit.balanceOf(first), AMOUNT);
        vm.assertEq(_credit.balanceOf(first), 0);
        _settlement.settle(voucher, signed(sessionSecret, _settlement.hashVoucher(voucher)));
        vm.assertEq(_credit.balanceOf(first), AMOUNT);
    }

    /// Both series' margin meets in the subnet's pot, and in the auction as the council has allowed it.
    function test_bothSeriesFeedOnePotAndOneAuction() public {
        runEpoch(500e18);
        runEpoch(500e18);
        runEpoch(0);
        openMarkets();
        endEpoch();
        uint64 epoch = oracle.currentEpoch();
        uint256 pot = distributor.potOf(epoch, TEXT);
        spend(TEXT, firstUid(), AMOUNT);
        buyCreditsAt(_desk, user, AMOUNT);
        uint256 id = _openSecond(AMOUNT);
        _settlement.settle(
            voucherFor(id, AMOUNT), signed(sessionSecret, _settlement.hashVoucher(voucherFor(id, AMOUNT)))
        );

        // Before it is allowed, the second desk holds its margin, and its users notice nothing.
        vm.expectRevert(abi.encodeWithSelector(IBurnAuction.BurnAuction_OnlyFunders.selector, address(_desk)));
        _desk.forwardMargin(TEXT);
        vm.prank(address(timelock));
        auction.allowSeries(address(_desk));
        _desk.forwardMargin(TEXT);

        uint256 margin = AMOUNT * (PRICE - PAYOUT) / 1e18;
        uint256 newMargin = AMOUNT * (NEW_PRICE - NEW_PAYOUT) / 1e18;
        vm.assertEq(auction.accruedOf(TEXT), margin / 2 + newMargin * 6 / 10);
        vm.assertEq(distributor.potOf(epoch, TEXT) - pot, margin / 2 + newMargin * 4 / 10);
        vm.assertGe(desk.reserve() * 1e18, PAYOUT * credit.totalSupply());
        vm.assertGe(_desk.reserve() * 1e18, NEW_PAYOUT * _credit.totalSupply());
    }

    function _openSecond(
        uint256 amount
    ) private returns (uint256) {
        uint16 uid = firstUid();
        vm.prank(user);
        return _settlement.open(TEXT, uid, uint128(amount), uint64(block.timestamp) + 60, session);
    }
}
