// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISettlement } from "../../../src/compute/ISettlement.sol";
import { IComputeCredit } from "../../../src/token/IComputeCredit.sol";
import { WAD } from "../../../src/types/Types.sol";
import { World } from "../World.sol";

/// @notice What must be true of credits and of the USDC behind them, after every act.
abstract contract CreditLaws is World {
    function creditLaws() internal view {
        law_everyCreditIsReserved();
        law_theDeskHoldsWhatItOwes();
        law_creditsMoveByWorkAlone();
        law_channelsHoldWhatIsInEscrow();
        law_marginIsRecognisedOnce();
    }

    /// @dev [CR-2]
    function law_everyCreditIsReserved() private view {
        vm.assertGe(desk.reserve() * WAD, PAYOUT * credit.totalSupply(), "a credit without reserve");
    }

    /// @dev [CR-2] [CR-3] To the unit: reserve, deferred margin and margin on its way.
    function law_theDeskHoldsWhatItOwes() private view {
        uint256 owed = desk.reserve() + desk.deferredMargin() + _held() + donated[address(usdc)][address(desk)];
        vm.assertEq(usdc.balanceOf(address(desk)), owed, "USDC of the desk");
    }

    /// @dev [CR-1] Of every account and of all: bought and earned less cashed out is spent or there; what was spent was earned or is in a
    /// channel.
    function law_creditsMoveByWorkAlone() private view {
        uint256 sum = 0;
        uint256 spent = 0;
        uint256 earned = 0;
        for (uint256 i = 0; i < creditors.length; ++i) {
            IComputeCredit.Lifetime memory life = credit.lifetimeOf(creditors[i]);
            uint256 balance = credit.balanceOf(creditors[i]);
            sum += balance;
            if (creditors[i] == address(settlement)) continue;
            spent += life.spent;
            earned += life.earned;
            vm.assertEq(
                balance + life.spent + life.cashedOut, uint256(life.bought) + life.earned, "credits of an account"
            );
        }
        vm.assertEq(sum, credit.totalSupply(), "credits of all");
        vm.assertEq(spent, earned + credit.balanceOf(address(settlement)), "credits spent");
    }

    /// @dev [CR-1] [CR-5] The parts that channels hold, and what they paid out.
    function law_channelsHoldWhatIsInEscrow() private view {
        IComputeCredit.Holding memory sum;
        uint256 settled = 0;
        for (uint256 id = 1; id <= settlement.channelCount(); ++id) {
            ISettlement.Channel memory channel = settlement.channelOf(id);
            sum.purchased += channel.rest.purchased;
            sum.earned += channel.rest.earned;
            sum.margin += channel.rest.margin;
            settled += channel.settled;
        }
        IComputeCredit.Holding memory escrow = credit.holdingOf(address(settlement));
        vm.assertEq(sum.purchased, escrow.purchased, "purchased credits in channels");
        vm.assertEq(sum.earned, escrow.earned, "earned credits in channels");
        vm.assertEq(sum.margin, escrow.margin, "margin in channels");
        vm.assertEq(credit.lifetimeTotal().earned, settled, "earned is settled");
    }

    /// @dev [CR-3] Each unit is deferred with a credit, held at the desk, or came to the auction or a pot; at one place.
    function law_marginIsRecognisedOnce() private view {
        uint256 deferred = 0;
        for (uint256 i = 0; i < creditors.length; ++i) {
            deferred += credit.holdingOf(creditors[i]).margin;
        }
        vm.assertEq(desk.deferredMargin(), deferred, "deferred margin");
        uint256 received = _auctionIn() + _potsIn() + swept - otherToAuction - otherToPots;
        vm.assertEq(credit.lifetimeTotal().marginRecognised, received + _held(), "recognised margin");
    }
}
