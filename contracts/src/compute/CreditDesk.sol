// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../epoch/IRewardDistributor.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { IBurnAuction } from "../market/IBurnAuction.sol";
import { IComputeCredit } from "../token/IComputeCredit.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { ICreditDesk } from "./ICreditDesk.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { IERC20Permit } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title CreditDesk
/// @notice Promises, units and errors are documented on ICreditDesk.
contract CreditDesk is ICreditDesk, AccessManaged, EpochClock {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev Recognised margin on its way to its two receivers, USDC units; one word, never empty after epoch 0.
    struct Held {
        uint128 margin;
        uint64 epoch; // in which the pot's part counts
        bool unattributed; // some of it is of an epoch before markets that could not be forwarded
    }

    /// @notice Least ratio of price to payout rate, WAD.
    uint256 public constant MIN_MARKUP = 1.05e18;
    /// @notice Least part of recognised margin that buys back, WAD.
    uint256 public constant MIN_BUYBACK_SHARE = 0.4e18;
    /// @notice Longest pause of buying, seconds.
    uint256 public constant MAX_PAUSE = 7 days;
    /// @notice Gas that an attempt to forward margin gets within a settlement; twice what it takes.
    uint256 public constant FORWARD_GAS = 500_000;
    /// @notice Gas that must be left for such an attempt: of it, 63/64 reach the attempt, and a reserve what comes before.
    uint256 public constant FORWARD_GAS_FLOOR = FORWARD_GAS * 64 / 63 + 10_000;

    Netuid private constant UNATTRIBUTED = Netuid.wrap(0);

    /// @notice The stablecoin.
    IERC20 public immutable USDC;
    /// @notice The credit of this series.
    IComputeCredit public immutable CREDIT;
    /// @notice The settlement contract of this series.
    address public immutable SETTLEMENT;
    /// @notice Where the buyback part of margin goes.
    IBurnAuction public immutable AUCTION;
    /// @notice Where the pot part of margin goes.
    IRewardDistributor public immutable DISTRIBUTOR;
    /// @notice Says when markets opened.
    ILaunchGate public immutable GATE;

    uint256 private immutable PAYOUT_RATE;
    uint256 private immutable BUYBACK_SHARE;

    /// @inheritdoc ICreditDesk
    uint256 public reserve;
    /// @inheritdoc ICreditDesk
    uint64 public buyingPausedUntil;

    uint64 private _nextPriceAt;
    uint128 private _price;
    uint128 private _nextPrice;
    mapping(Netuid netuid => Held) private _held;

    /// @param config See `ICreditDesk.Config`.
    constructor(
        Config memory config
    ) AccessManaged(config.authority) EpochClock(config.genesis, config.epochLength) {
        if (config.payoutRate == 0) revert CreditDesk_ZeroPayoutRate();
        if (config.buybackShare < MIN_BUYBACK_SHARE || config.buybackShare > WAD) {
            revert CreditDesk_InvalidBuybackShare(config.buybackShare);
        }
        USDC = IERC20(config.usdc);
        CREDIT = IComputeCredit(config.credit);
        SETTLEMENT = config.settlement;
        AUCTION = IBurnAuction(config.auction);
        DISTRIBUTOR = IRewardDistributor(config.distributor);
        GATE = ILaunchGate(config.gate);
        PAYOUT_RATE = config.payoutRate;
        BUYBACK_SHARE = config.buybackShare;
        _requirePrice(config.price, config.payoutRate);
        _price = config.price.toUint128();
    }

    /// @inheritdoc ICreditDesk
    function buy(
        uint256 credits,
        uint256 maxUsdc
    ) external returns (uint256 usdcPaid) {
        return _buy(msg.sender, credits, maxUsdc);
    }

    /// @inheritdoc ICreditDesk
    function buyWithPermit(
        uint256 credits,
        uint256 maxUsdc,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 usdcPaid) {
        // Whoever saw the permit may have submitted it before us: what counts is the allowance it left.
        try IERC20Permit(address(USDC)).permit(msg.sender, address(this), maxUsdc, deadline, v, r, s) { } catch { }
        return _buy(msg.sender, credits, maxUsdc);
    }

    /// @inheritdoc ICreditDesk
    function buyFor(
        address account,
        uint256 credits,
        uint256 maxUsdc
    ) external returns (uint256 usdcPaid) {
        return _buy(account, credits, maxUsdc);
    }

    /// @inheritdoc ICreditDesk
    function cashOut(
        uint256 credits,
        address to
    ) external returns (uint256 usdcPaid) {
        if (to == address(0) || to == address(this)) revert CreditDesk_InvalidRecipient(to);
        usdcPaid = Math.mulDiv(credits, PAYOUT_RATE, WAD);
        if (usdcPaid == 0) revert CreditDesk_ZeroAmount();
        reserve -= usdcPaid;
        CREDIT.burnEarned(msg.sender, credits);
        USDC.safeTransfer(to, usdcPaid);
        emit CashedOut(msg.sender, to, credits, usdcPaid);
    }

    /// @inheritdoc ICreditDesk
    function recogniseMargin(
        Netuid netuid,
        uint256 margin
    ) external {
        if (msg.sender != SETTLEMENT) revert CreditDesk_OnlySettlement(msg.sender);
        uint64 epoch = currentEpoch();
        Held memory held = _held[netuid];
        if (held.epoch != epoch) {
            if (held.margin != 0) held = _forwardEarlier(netuid, epoch, held);
            held.epoch = epoch;
        }
        held.margin += margin.toUint128();
        _held[netuid] = held;
        emit MarginRecognised(netuid, margin);
    }

    /// @inheritdoc ICreditDesk
    function forwardMargin(
        Netuid netuid
    ) external {
        Held memory held = _held[netuid];
        if (held.margin == 0) return;
        bool attributed = _isAttributed(held);
        _held[netuid] = Held({ margin: 0, epoch: held.epoch, unattributed: false });
        (uint256 toBuyback, uint256 toPot) = _splitOf(held.margin);
        USDC.forceApprove(address(AUCTION), toBuyback);
        AUCTION.fund(attributed ? netuid : UNATTRIBUTED, toBuyback);
        if (toPot != 0) {
            USDC.forceApprove(address(DISTRIBUTOR), toPot);
            DISTRIBUTOR.contributeFor(netuid, held.epoch, toPot);
        }
        emit MarginForwarded(netuid, held.epoch, attributed, toBuyback, toPot);
    }

    /// @inheritdoc ICreditDesk
    function setPrice(
        uint256 newPrice
    ) external restricted {
        _requirePrice(newPrice, PAYOUT_RATE);
        uint64 fromEpoch = currentEpoch() + 1;
        _price = price().toUint128();
        _nextPrice = newPrice.toUint128();
        _nextPriceAt = startOf(fromEpoch).toUint64();
        emit PriceChanged(newPrice, fromEpoch);
    }

    /// @inheritdoc ICreditDesk
    function pauseBuying(
        uint64 until
    ) external restricted {
        uint256 latest = block.timestamp + MAX_PAUSE;
        if (until > latest) revert CreditDesk_PauseTooLong(until, latest);
        buyingPausedUntil = until;
        emit BuyingPaused(until);
    }

    /// @inheritdoc ICreditDesk
    function price() public view returns (uint256) {
        return _nextPriceAt != 0 && block.timestamp >= _nextPriceAt ? _nextPrice : _price;
    }

    /// @inheritdoc ICreditDesk
    function payoutRate() external view returns (uint256) {
        return PAYOUT_RATE;
    }

    /// @inheritdoc ICreditDesk
    function buybackShare() external view returns (uint256) {
        return BUYBACK_SHARE;
    }

    /// @inheritdoc ICreditDesk
    function quote(
        uint256 credits
    ) public view returns (uint256 usdc) {
        return Math.mulDiv(credits, price(), WAD, Math.Rounding.Ceil);
    }

    /// @inheritdoc ICreditDesk
    function deferredMargin() external view returns (uint256) {
        return CREDIT.deferredMargin();
    }

    /// @inheritdoc ICreditDesk
    function heldMargin(
        Netuid netuid
    ) external view returns (uint256 toBuyback, uint256 toPot, uint64 epoch) {
        Held memory held = _held[netuid];
        (toBuyback, toPot) = _splitOf(held.margin);
        epoch = held.epoch;
    }

    /// @dev Forwards what is held of an earlier epoch, before margin of `epoch` is booked. Returns what is held after that.
    function _forwardEarlier(
        Netuid netuid,
        uint64 epoch,
        Held memory held
    ) private returns (Held memory) {
        // The call below would silently get less than it needs, and fail for want of it.
        if (gasleft() < FORWARD_GAS_FLOOR) revert CreditDesk_TooLittleGas(gasleft(), FORWARD_GAS_FLOOR);
        // A voucher has a deadline, so trouble with USDC must not stop its settlement; nor may what is said about the trouble,
        // which is why no reason is read.
        try this.forwardMargin{ gas: FORWARD_GAS }(netuid) {
            held.margin = 0;
            held.unattributed = false;
        } catch {
            held.unattributed = !_isAttributed(held);
            emit MarginHeld(netuid, epoch, held.margin);
        }
        return held;
    }

    /// @dev Rounded up to the buyback, so that it never gets less than its immutable share.
    function _splitOf(
        uint256 margin
    ) private view returns (uint256 toBuyback, uint256 toPot) {
        toBuyback = Math.mulDiv(margin, BUYBACK_SHARE, WAD, Math.Rounding.Ceil);
        toPot = margin - toBuyback;
    }

    /// @dev Margin of the epoch in which markets opened may be older than they are.
    function _isAttributed(
        Held memory held
    ) private view returns (bool) {
        uint256 openedAt = GATE.marketsOpenedAt();
        return !held.unattributed && openedAt != 0 && openedAt <= startOf(held.epoch);
    }

    /// @dev Money first, credits second: no credit exists that is not paid for.
    function _buy(
        address account,
        uint256 credits,
        uint256 maxUsdc
    ) private returns (uint256 usdcPaid) {
        if (block.timestamp < buyingPausedUntil) revert CreditDesk_BuyingPaused(buyingPausedUntil);
        if (credits == 0) revert CreditDesk_ZeroAmount();
        usdcPaid = quote(credits);
        if (usdcPaid > maxUsdc) revert CreditDesk_AboveMaximum(usdcPaid, maxUsdc);
        uint256 toReserve = Math.mulDiv(credits, PAYOUT_RATE, WAD, Math.Rounding.Ceil);
        uint256 margin = usdcPaid - toReserve;
        USDC.safeTransferFrom(msg.sender, address(this), usdcPaid);
        reserve += toReserve;
        CREDIT.mintPurchased(account, credits, margin);
        emit Bought(msg.sender, account, credits, usdcPaid, toReserve, margin);
    }

    function _requirePrice(
        uint256 newPrice,
        uint256 rate
    ) private pure {
        uint256 minimum = Math.mulDiv(rate, MIN_MARKUP, WAD, Math.Rounding.Ceil);
        if (newPrice < minimum) revert CreditDesk_PriceTooLow(newPrice, minimum);
    }
}
