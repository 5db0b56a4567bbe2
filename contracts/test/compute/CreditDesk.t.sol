// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { CreditDesk } from "../../src/compute/CreditDesk.sol";
import { ICreditDesk } from "../../src/compute/ICreditDesk.sol";
import { ITestUSDC } from "../../src/local/ITestUSDC.sol";
import { SeriesTest } from "../support/SeriesTest.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import { IERC20Errors } from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

contract CreditDeskTest is SeriesTest {
    function test_aPurchaseSplitsIntoReserveAndDeferredMargin() public {
        usdc.mint(payer, 10e6);
        vm.startPrank(payer);
        usdc.approve(address(desk), 10e6);
        vm.expectEmit(address(desk));
        emit ICreditDesk.Bought(payer, payer, 10e18, 10e6, 8_500_000, 1_500_000);
        uint256 paid = desk.buy(10e18, 10e6);
        vm.stopPrank();
        vm.assertEq(paid, 10e6);
        vm.assertEq(desk.reserve(), 8_500_000);
        vm.assertEq(desk.deferredMargin(), 1_500_000);
        vm.assertEq(usdc.balanceOf(address(desk)), 10e6);
        assertHolding(credit.holdingOf(payer), 10e18, 0, 1_500_000);
    }

    function test_aGatewayPaysAndTheUserGetsTheCredits() public {
        usdc.mint(stranger, 10e6);
        vm.startPrank(stranger);
        usdc.approve(address(desk), 10e6);
        desk.buyFor(payer, 10e18, 10e6);
        vm.stopPrank();
        vm.assertEq(credit.balanceOf(payer), 10e18);
        vm.assertEq(credit.balanceOf(stranger), 0);
    }

    function test_aPermitBuysInOneTransactionEvenIfSomebodySubmittedItBefore() public {
        (address owner, uint256 secret) = makeActorAndKey("owner");
        usdc.mint(owner, 20e6);
        (uint8 v, bytes32 r, bytes32 s) = _permit(owner, secret, 10e6);
        vm.prank(owner);
        desk.buyWithPermit(10e18, 10e6, block.timestamp, v, r, s);
        vm.assertEq(credit.balanceOf(owner), 10e18);

        (v, r, s) = _permit(owner, secret, 10e6);
        usdc.permit(owner, address(desk), 10e6, block.timestamp, v, r, s);
        vm.prank(owner);
        desk.buyWithPermit(10e18, 10e6, block.timestamp, v, r, s);
        vm.assertEq(credit.balanceOf(owner), 20e18);
    }

    function test_aForgedPermitBuysNothing() public {
        (address owner,) = makeActorAndKey("owner");
        usdc.mint(owner, 10e6);
        (uint8 v, bytes32 r, bytes32 s) = _permit(owner, sessionSecret, 10e6);
        vm.prank(owner);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(desk), 0, 10e6)
        );
        desk.buyWithPermit(10e18, 10e6, block.timestamp, v, r, s);
    }

    function test_aBuyerNeverPaysMoreThanItSaid() public {
        vm.prank(payer);
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_AboveMaximum.selector, 10e6, 10e6 - 1));
        desk.buy(10e18, 10e6 - 1);
        vm.prank(payer);
        vm.expectRevert(ICreditDesk.CreditDesk_ZeroAmount.selector);
        desk.buy(0, 10e6);
    }

    function test_onlyEarnedCreditsAreCashedOutAndToAnyAddress() public {
        earnFor(contributor, 10e18);
        vm.startPrank(contributor);
        vm.expectEmit(address(desk));
        emit ICreditDesk.CashedOut(contributor, stranger, 4e18, 3_400_000);
        vm.assertEq(desk.cashOut(4e18, stranger), 3_400_000);
        vm.stopPrank();
        vm.assertEq(usdc.balanceOf(stranger), 3_400_000);
        vm.assertEq(credit.balanceOf(contributor), 6e18);
        vm.assertEq(desk.reserve(), 5_100_000);

        buyCredits(payer, 1e18);
        vm.prank(payer);
        vm.expectPartialRevert(bytes4(keccak256("ComputeCredit_InsufficientEarned(address,uint256,uint256)")));
        desk.cashOut(1e18, payer);
    }

    function test_cashOutRoundsDownAndRefusesDustAndUselessRecipients() public {
        earnFor(contributor, 10e18);
        vm.startPrank(contributor);
        // 1 USDC unit is worth 1,176,470,588,235.29… wei of credit.
        vm.expectRevert(ICreditDesk.CreditDesk_ZeroAmount.selector);
        desk.cashOut(1_176_470_588_235, contributor);
        vm.assertEq(desk.cashOut(1_176_470_588_236, contributor), 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_InvalidRecipient.selector, address(0)));
        desk.cashOut(1e18, address(0));
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_InvalidRecipient.selector, address(desk)));
        desk.cashOut(1e18, address(desk));
        vm.stopPrank();
    }

    /// `[CR-4]` `[GV-2]`
    function test_cashOutIgnoresThePriceAndThePauseOfBuying() public {
        earnFor(contributor, 10e18);
        desk.pauseBuying(uint64(block.timestamp) + 7 days);
        desk.setPrice(50 * PRICE);
        vm.warp(block.timestamp + LENGTH);
        vm.prank(contributor);
        vm.assertEq(desk.cashOut(10e18, contributor), 8_500_000);
    }

    /// `[CR-2]`
    function test_donatedUsdcChangesNothing() public {
        buyCredits(payer, 10e18);
        usdc.mint(address(desk), 1e12);
        vm.assertEq(desk.reserve(), 8_500_000);
        vm.assertEq(desk.quote(10e18), 10e6);
    }

    /// `[CR-2]`
    function testFuzz_theReserveCoversEveryCreditWhateverIsRounded(
        uint256[4] memory bought,
        uint256 cashed
    ) public {
        for (uint256 i = 0; i < bought.length; ++i) {
            buyCredits(payer, bound(bought[i], 1, 1e24));
            vm.assertGe(desk.reserve() * 1e18, PAYOUT * credit.totalSupply());
        }
        earnFor(contributor, 1e18);
        cashed = bound(cashed, 1_176_470_588_236, 1e18);
        vm.prank(contributor);
        desk.cashOut(cashed, contributor);
        vm.assertGe(desk.reserve() * 1e18, PAYOUT * credit.totalSupply());
        vm.assertGe(usdc.balanceOf(address(desk)), desk.reserve() + desk.deferredMargin());
    }

    function test_aNewPriceHoldsFromTheNextEpochOn() public {
        vm.expectEmit(address(desk));
        emit ICreditDesk.PriceChanged(2 * PRICE, 1);
        desk.setPrice(2 * PRICE);
        vm.assertEq(desk.price(), PRICE);
        desk.setPrice(3 * PRICE);
        vm.warp(GENESIS + LENGTH - 1);
        vm.assertEq(desk.price(), PRICE);
        vm.warp(GENESIS + LENGTH);
        vm.assertEq(desk.price(), 3 * PRICE);
        desk.setPrice(2 * PRICE);
        vm.assertEq(desk.price(), 3 * PRICE);
        vm.assertEq(desk.quote(1e18), 3 * PRICE);
        vm.warp(GENESIS + 2 * LENGTH);
        vm.assertEq(desk.price(), 2 * PRICE);
    }

    function test_thePriceStaysAboveThePayoutRateByFivePercent() public {
        desk.setPrice(892_500);
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_PriceTooLow.selector, 892_499, 892_500));
        desk.setPrice(892_499);
    }

    function test_aPauseOfBuyingLastsSevenDaysAtMostAndEndsByItself() public {
        uint64 until = uint64(block.timestamp) + 7 days;
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_PauseTooLong.selector, until + 1, until));
        desk.pauseBuying(until + 1);
        desk.pauseBuying(until);
        vm.assertEq(desk.buyingPausedUntil(), until);
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_BuyingPaused.selector, until));
        desk.buy(1e18, PRICE);
        vm.warp(until);
        buyCredits(payer, 1e18);
        desk.pauseBuying(until + 100);
        desk.pauseBuying(0);
        buyCredits(payer, 1e18);
    }

    function test_priceAndPauseAreRestricted() public {
        vm.startPrank(stranger);
        bytes memory reason = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger);
        vm.expectRevert(reason);
        desk.setPrice(2 * PRICE);
        vm.expectRevert(reason);
        desk.pauseBuying(0);
        vm.stopPrank();
    }

    function test_aPriceSetBeforeGenesisHoldsFromEpochOne() public {
        vm.warp(GENESIS - 5);
        desk.setPrice(2 * PRICE);
        buyCredits(payer, 1e18);
        vm.assertEq(desk.price(), PRICE);
        vm.warp(GENESIS + LENGTH);
        vm.assertEq(desk.price(), 2 * PRICE);
    }

    function test_aDeskIsBornWithinItsImmutableBounds() public {
        vm.assertEq(desk.payoutRate(), PAYOUT);
        vm.assertEq(desk.buybackShare(), BUYBACK);
        ICreditDesk.Config memory config = deskConfig();
        config.payoutRate = 0;
        vm.expectRevert(ICreditDesk.CreditDesk_ZeroPayoutRate.selector);
        new CreditDesk(config);
        config = deskConfig();
        config.buybackShare = 0.4e18 - 1;
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_InvalidBuybackShare.selector, 0.4e18 - 1));
        new CreditDesk(config);
        config.buybackShare = 1e18 + 1;
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_InvalidBuybackShare.selector, 1e18 + 1));
        new CreditDesk(config);
        config = deskConfig();
        config.price = 892_499;
        vm.expectRevert(abi.encodeWithSelector(ICreditDesk.CreditDesk_PriceTooLow.selector, 892_499, 892_500));
        new CreditDesk(config);
    }

    /// A contributor whom USDC blacklists is still paid, elsewhere.
    function test_aBlacklistedContributorCashesOutToAnotherAddress() public {
        earnFor(contributor, 10e18);
        usdc.blacklist(contributor);
        vm.startPrank(contributor);
        vm.expectRevert(abi.encodeWithSelector(ITestUSDC.TestUSDC_Blacklisted.selector, contributor));
        desk.cashOut(10e18, contributor);
        vm.assertEq(desk.cashOut(10e18, stranger), 8_500_000);
        vm.stopPrank();
    }

    function _permit(
        address owner,
        uint256 secret,
        uint256 value
    ) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(desk),
                value,
                usdc.nonces(owner),
                block.timestamp
            )
        );
        return vm.sign(secret, keccak256(abi.encodePacked("\x19\x01", usdc.DOMAIN_SEPARATOR(), structHash)));
    }
}
