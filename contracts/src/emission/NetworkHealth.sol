// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ICreditDesk } from "../compute/ICreditDesk.sol";
import { IBurnAuction } from "../market/IBurnAuction.sol";
import { IComputeCredit } from "../token/IComputeCredit.sol";
import { WAD } from "../types/Types.sol";
import { IEmissionController } from "./IEmissionController.sol";
import { INetworkHealth } from "./INetworkHealth.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title NetworkHealth
/// @notice See {INetworkHealth}. A later series of credits gets a view of its own.
contract NetworkHealth is INetworkHealth {
    /// @dev Units of the USDC that an auction price is for.
    uint256 private constant ONE_USDC = 1e6;

    IEmissionController public immutable CONTROLLER;
    IBurnAuction public immutable AUCTION;
    ICreditDesk public immutable DESK;
    IComputeCredit public immutable CREDIT;

    constructor(
        address controller,
        address auction,
        address desk,
        address credit
    ) {
        CONTROLLER = IEmissionController(controller);
        AUCTION = IBurnAuction(auction);
        DESK = ICreditDesk(desk);
        CREDIT = IComputeCredit(credit);
    }

    /// @inheritdoc INetworkHealth
    function health() external view returns (Health memory h) {
        IComputeCredit.Lifetime memory total = CREDIT.lifetimeTotal();
        h.revenue = _revenue(total);
        h.redeemed = total.cashedOut;
        h.creditRatio = _ratio(h.revenue, h.redeemed);
        h.respentShare = _respentShare(total);
        h.reserveCoverage = reserveCoverage();
        (h.burnedInYear, h.marginInYear) = _soldInYear();
        h.emittedInYear = CONTROLLER.emittedInYear();
        h.governanceRatio = _ratio(h.burnedInYear, h.emittedInYear);
        (h.emittedValue, h.subsidyRatio) = _subsidy(h.emittedInYear, h.marginInYear);
    }

    /// @inheritdoc INetworkHealth
    function creditRatio() external view returns (Figure memory) {
        IComputeCredit.Lifetime memory total = CREDIT.lifetimeTotal();
        return _ratio(_revenue(total), total.cashedOut);
    }

    /// @inheritdoc INetworkHealth
    function governanceRatio() external view returns (Figure memory) {
        (uint256 burned,) = _soldInYear();
        return _ratio(burned, CONTROLLER.emittedInYear());
    }

    /// @inheritdoc INetworkHealth
    function subsidyRatio() external view returns (Figure memory) {
        (, uint256 margin) = _soldInYear();
        (, Figure memory ratio) = _subsidy(CONTROLLER.emittedInYear(), margin);
        return ratio;
    }

    /// @inheritdoc INetworkHealth
    function respentShare() external view returns (Figure memory) {
        IComputeCredit.Lifetime memory total = CREDIT.lifetimeTotal();
        return _respentShare(total);
    }

    /// @inheritdoc INetworkHealth
    function reserveCoverage() public view returns (Figure memory) {
        uint256 owed = Math.mulDiv(CREDIT.totalSupply(), DESK.payoutRate(), WAD, Math.Rounding.Ceil);
        return _ratio(DESK.reserve(), owed);
    }

    function _revenue(
        IComputeCredit.Lifetime memory total
    ) private view returns (uint256) {
        return total.marginRecognised + Math.mulDiv(total.earnedFromPurchased, DESK.payoutRate(), WAD);
    }

    function _soldInYear() private view returns (uint256 burned, uint256 margin) {
        uint256 attributed;
        (burned, attributed) = AUCTION.soldInYear();
        margin = Math.mulDiv(attributed, WAD, DESK.buybackShare());
    }

    /// @dev Without a price there is no value: lots that were sold may all have been too small to teach one.
    function _subsidy(
        uint256 emitted,
        uint256 margin
    ) private view returns (uint256 value, Figure memory ratio) {
        uint256 price = AUCTION.medianPrice();
        if (price == 0) return (0, ratio);
        value = Math.mulDiv(emitted, ONE_USDC, price);
        ratio = _ratio(value, margin);
    }

    /// @dev Of all credits settled, what their spender had earned.
    function _respentShare(
        IComputeCredit.Lifetime memory total
    ) private pure returns (Figure memory) {
        return _ratio(total.earned - total.earnedFromPurchased, total.earned);
    }

    function _ratio(
        uint256 amount,
        uint256 per
    ) private pure returns (Figure memory) {
        if (per == 0) return Figure({ defined: false, value: 0 });
        return Figure({ defined: true, value: Math.mulDiv(amount, WAD, per) });
    }
}
