// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Vm } from "../support/Test.sol";
import { Watch } from "./Watch.sol";
import { CreditActs } from "./acts/CreditActs.sol";
import { EpochActs } from "./acts/EpochActs.sol";
import { MarketActs } from "./acts/MarketActs.sol";
import { CreditLaws } from "./laws/CreditLaws.sol";
import { MoneyLaws } from "./laws/MoneyLaws.sol";

/// @notice The whole suite under any sequence of acts.
contract NetworkInvariantTest is Watch, CreditActs, MarketActs, EpochActs, CreditLaws, MoneyLaws {
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(this);
    }

    function targetSelectors() public view returns (Vm.FuzzSelector[] memory targets) {
        targets = new Vm.FuzzSelector[](1);
        targets[0] = Vm.FuzzSelector({ addr: address(this), selectors: selectors() });
    }

    function selectors() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](41);
        uint256 i = 0;
        list[i++] = this.buySomeCredits.selector;
        list[i++] = this.buyCreditsByPermit.selector;
        list[i++] = this.buyCreditsThroughTheGateway.selector;
        list[i++] = this.openAChannel.selector;
        list[i++] = this.openAChannelBySignature.selector;
        list[i++] = this.topUpOrExtend.selector;
        list[i++] = this.settleAVoucher.selector;
        list[i++] = this.settleManyVouchers.selector;
        list[i++] = this.reclaimAChannel.selector;
        list[i++] = this.cashOutSome.selector;
        list[i++] = this.forwardMargin.selector;
        list[i++] = this.reprice.selector;
        list[i++] = this.pauseBuying.selector;
        list[i++] = this.buyAlphaOf.selector;
        list[i++] = this.sellAlphaOf.selector;
        list[i++] = this.buyUpToAPrice.selector;
        list[i++] = this.sellDownToAPrice.selector;
        list[i++] = this.swapAlphaForAlpha.selector;
        list[i++] = this.tradeExactly.selector;
        list[i++] = this.swapExactly.selector;
        list[i++] = this.pour.selector;
        list[i++] = this.flushFees.selector;
        list[i++] = this.windUp.selector;
        list[i++] = this.redeem.selector;
        list[i++] = this.sponsor.selector;
        list[i++] = this.fundTheAuction.selector;
        list[i++] = this.startALot.selector;
        list[i++] = this.takeALot.selector;
        list[i++] = this.restartALot.selector;
        list[i++] = this.stopTheAuction.selector;
        list[i++] = this.waitSeconds.selector;
        list[i++] = this.goToABoundary.selector;
        list[i++] = this.skipEpochs.selector;
        list[i++] = this.settleSome.selector;
        list[i++] = this.settleEverything.selector;
        list[i++] = this.settleInTwoWays.selector;
        list[i++] = this.postAReport.selector;
        list[i++] = this.activateAReport.selector;
        list[i++] = this.veto.selector;
        list[i++] = this.claimOne.selector;
        list[i++] = this.claimAllOfATree.selector;
    }

    function invariant_theNetworkKeepsItsPromises() public view {
        vm.assertEq(flaw, "");
        creditLaws();
        moneyLaws();
    }
}
