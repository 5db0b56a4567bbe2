// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { RollingYear } from "../types/RollingYear.sol";
import { Netuid } from "../types/Types.sol";
import { fadedDown } from "./HalfLife.sol";
import { IBurnAuction } from "./IBurnAuction.sol";
import { LotPrices } from "./LotPrices.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title BurnAuction
/// @notice See {IBurnAuction}.
contract BurnAuction is IBurnAuction, LotPrices, AccessManaged, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using RollingYear for RollingYear.Year;

    /// @dev A subnet's money, in one slot.
    struct Account {
        uint96 accrued; // waits to be sold
        uint112 revenue; // as of `fadedTo`
        uint48 fadedTo;
    }

    uint256 private constant MAX_SUBNETS = 64;
    /// @dev In so many half-lives a decay from twice the last price passes below it.
    uint256 private constant LEAST_HALF_LIVES = 2;
    uint256 private constant MAX_STOP = 7 days;
    Netuid private constant UNATTRIBUTED = Netuid.wrap(0);

    IERC20 public immutable TNDM;
    IERC20 public immutable USDC;
    IEmissionController public immutable CONTROLLER;
    ILaunchGate public immutable GATE;
    uint64 public immutable OPEN_DELAY;
    uint64 public immutable LOT_INTERVAL;
    uint64 public immutable LOT_DURATION;
    uint64 public immutable REVENUE_HALF_LIFE;
    uint128 public immutable MAX_LOT;

    uint128 private _totalBurned;
    /// @inheritdoc IBurnAuction
    uint64 public stoppedUntil;
    uint64 private _lastStartAt;

    /// @inheritdoc IBurnAuction
    mapping(address desk => bool) public isSeries;
    Lot[] private _lots;
    mapping(Netuid netuid => Account) private _accounts;
    /// @dev Who has accrued money, each once, in line from `_head` to before `_tail`.
    mapping(uint256 position => Netuid) private _line;
    uint64 private _head;
    uint64 private _tail;
    /// @dev USDC that is sold in lots of its own, before what is in line.
    uint128 private _apart;
    RollingYear.Year private _year;

    constructor(
        Config memory config
    ) LotPrices(config) AccessManaged(config.authority) {
        if (
            config.maxLot < ONE_USDC || config.revenueHalfLife == 0
                || config.lotDuration < LEAST_HALF_LIVES * uint256(config.halfLife)
        ) revert BurnAuction_BadConfig();
        TNDM = IERC20(config.tndm);
        USDC = IERC20(config.usdc);
        CONTROLLER = IEmissionController(config.controller);
        GATE = ILaunchGate(config.gate);
        OPEN_DELAY = config.openDelay;
        LOT_INTERVAL = config.lotInterval;
        LOT_DURATION = config.lotDuration;
        REVENUE_HALF_LIFE = config.revenueHalfLife;
        MAX_LOT = config.maxLot;
        isSeries[config.desk] = true;
        emit SeriesAllowed(config.desk);
    }

    /// @inheritdoc IBurnAuction
    function fund(
        Netuid netuid,
        uint256 usdc
    ) external nonReentrant {
        bool series = isSeries[msg.sender];
        if (!series && netuid != UNATTRIBUTED) revert BurnAuction_OnlyFunders(msg.sender);
        if (usdc == 0) return;
        bool early = GATE.marketsOpenedAt() == 0;
        if (early) netuid = UNATTRIBUTED;
        // Whoever gives a unit a day must not keep the lots of subnets waiting: only desks and the mesh phase come first.
        if (early || (series && netuid == UNATTRIBUTED)) _apart += usdc.toUint128();
        else _queue(netuid, usdc);
        emit Funded(netuid, msg.sender, usdc);
        USDC.safeTransferFrom(msg.sender, address(this), usdc);
    }

    /// @inheritdoc IBurnAuction
    function allowSeries(
        address desk
    ) external restricted {
        isSeries[desk] = true;
        emit SeriesAllowed(desk);
    }

    /// @inheritdoc IBurnAuction
    function startLot() external nonReentrant returns (uint256 lotId) {
        _requireNotStopped();
        uint256 opensAt = nextStartAt();
        if (block.timestamp < opensAt) revert BurnAuction_TooEarly(opensAt);
        _lastStartAt = block.timestamp.toUint64();

        Lot storage lot = _lots.push();
        lotId = _lots.length;
        uint256 apart = _apart;
        if (apart > 0) {
            uint256 usdc = Math.min(apart, MAX_LOT);
            _apart = (apart - usdc).toUint128();
            lot.usdc = usdc.toUint128();
        } else {
            lot.attributed = true;
            lot.usdc = _compose(lot).toUint128();
        }
        if (lot.usdc == 0) revert BurnAuction_NothingToSell();
        _startDecay(lot, _startOfDecay(), _floorOfSales());
        emit LotStarted(lotId, lot.usdc, lot.attributed, lot.startPrice, lot.floorPrice);
        if (lot.attributed) emit LotComposed(lotId, lot.netuids, lot.parts);
    }

    /// @inheritdoc IBurnAuction
    function restart(
        uint256 lotId
    ) external nonReentrant {
        _requireNotStopped();
        Lot storage lot = _unsold(lotId);
        uint256 start = _startOfDecay();
        uint256 floor = _floorOfSales();
        if (lot.startedAt >= stoppedUntil) {
            uint256 restartableAt = uint256(lot.startedAt) + LOT_DURATION;
            if (block.timestamp < restartableAt) revert BurnAuction_StillRunning(lotId, restartableAt);
            // Nobody paid the price that was reached; from far above it, the new decay would not come down to the new floor.
            start = Math.min(start, START_MULTIPLE * _price(lot));
            floor = Math.max(1, Math.min(floor, lot.floorPrice / 2));
        }
        _startDecay(lot, start, floor);
        emit LotRestarted(lotId, lot.startPrice, lot.floorPrice);
    }

    /// @inheritdoc IBurnAuction
    function take(
        uint256 lotId,
        uint256 maxTndm,
        uint256 deadline
    ) external nonReentrant returns (uint256 tndmPaid) {
        if (block.timestamp > deadline) revert BurnAuction_Expired(deadline);
        _requireNotStopped();
        Lot storage lot = _unsold(lotId);
        if (lot.startedAt < stoppedUntil) revert BurnAuction_RestartFirst(lotId);
        uint256 usdc = lot.usdc;
        uint256 price = _price(lot);
        tndmPaid = _costUp(usdc, price);
        if (tndmPaid > maxTndm) revert BurnAuction_TooExpensive(tndmPaid, maxTndm);

        lot.sold = true;
        _learn(price, usdc);
        _totalBurned += tndmPaid.toUint128();
        emit LotTaken(lotId, msg.sender, usdc, tndmPaid, price);

        TNDM.safeTransferFrom(msg.sender, address(this), tndmPaid);
        ERC20Burnable(address(TNDM)).burn(tndmPaid);
        _year.add(block.timestamp, tndmPaid, _creditSubnets(lot, usdc, tndmPaid));
        USDC.safeTransfer(msg.sender, usdc);
    }

    /// @inheritdoc IBurnAuction
    function stop(
        uint64 until
    ) external restricted {
        uint256 latest = block.timestamp + MAX_STOP;
        if (until > latest) revert BurnAuction_StopTooLong(until, latest);
        stoppedUntil = Math.max(until, block.timestamp).toUint64();
        emit Stopped(stoppedUntil);
    }

    /// @inheritdoc IBurnAuction
    function priceOf(
        uint256 lotId
    ) external view returns (uint256 price) {
        return _price(_known(lotId));
    }

    /// @inheritdoc IBurnAuction
    function costOf(
        uint256 lotId
    ) external view returns (uint256 tndm) {
        Lot storage lot = _known(lotId);
        return _costUp(lot.usdc, _price(lot));
    }

    /// @inheritdoc IBurnAuction
    function lotOf(
        uint256 lotId
    ) external view returns (Lot memory) {
        return _known(lotId);
    }

    /// @inheritdoc IBurnAuction
    function lotCount() external view returns (uint256) {
        return _lots.length;
    }

    /// @inheritdoc IBurnAuction
    function nextStartAt() public view returns (uint256) {
        uint256 openedAt = GATE.marketsOpenedAt();
        if (openedAt == 0) return type(uint256).max;
        uint256 opensAt = openedAt + OPEN_DELAY;
        return _lots.length == 0 ? opensAt : Math.max(opensAt, uint256(_lastStartAt) + LOT_INTERVAL);
    }

    /// @inheritdoc IBurnAuction
    function accruedOf(
        Netuid netuid
    ) external view returns (uint256) {
        uint256 accrued = _accounts[netuid].accrued;
        return netuid == UNATTRIBUTED ? accrued + _apart : accrued;
    }

    /// @inheritdoc IBurnAuction
    function revenueOf(
        Netuid netuid
    ) external view returns (uint256 usdc) {
        return _revenueNow(_accounts[netuid]);
    }

    /// @inheritdoc IBurnAuction
    function totalBurned() external view returns (uint256) {
        return _totalBurned;
    }

    /// @inheritdoc IBurnAuction
    function soldInYear() external view returns (uint256 tndmBurned, uint256 usdcAttributed) {
        return _year.sumsAt(block.timestamp);
    }

    function _queue(
        Netuid netuid,
        uint256 usdc
    ) private {
        Account memory account = _accounts[netuid];
        if (account.accrued == 0) _line[_tail++] = netuid;
        account.accrued = (account.accrued + usdc).toUint96();
        if (netuid != UNATTRIBUTED) {
            account.revenue = (_revenueNow(account) + usdc).toUint112();
            account.fadedTo = block.timestamp.toUint48();
        }
        _accounts[netuid] = account;
    }

    /// @dev Takes the first in line into the lot; who has money left goes to the end of the line.
    function _compose(
        Lot storage lot
    ) private returns (uint256 usdc) {
        uint256 head = _head;
        uint256 count = Math.min(_tail - head, MAX_SUBNETS);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            total += _accounts[_line[head + i]].accrued;
        }
        _head = (head + count).toUint64();
        for (uint256 i = 0; i < count; ++i) {
            Netuid netuid = _line[head + i];
            _line[head + i] = UNATTRIBUTED;
            uint256 accrued = _accounts[netuid].accrued;
            uint256 part = total <= MAX_LOT ? accrued : Math.mulDiv(accrued, MAX_LOT, total);
            if (part < accrued) _line[_tail++] = netuid;
            if (part == 0) continue;
            _accounts[netuid].accrued = (accrued - part).toUint96();
            lot.netuids.push(netuid);
            lot.parts.push(part.toUint128());
            usdc += part;
        }
    }

    /// @dev Divides the burn of a lot by its composition.
    /// @return attributed USDC of the lot that subnets brought.
    function _creditSubnets(
        Lot storage lot,
        uint256 usdc,
        uint256 burned
    ) private returns (uint256 attributed) {
        Netuid[] memory netuids = lot.netuids;
        if (netuids.length == 0) return 0;
        uint256[] memory credits = new uint256[](netuids.length);
        for (uint256 i = 0; i < credits.length; ++i) {
            if (netuids[i] == UNATTRIBUTED) continue;
            uint256 part = lot.parts[i];
            credits[i] = Math.mulDiv(burned, part, usdc);
            attributed += part;
        }
        CONTROLLER.creditBurns(netuids, credits);
    }

    function _startDecay(
        Lot storage lot,
        uint256 start,
        uint256 floor
    ) private {
        lot.startedAt = block.timestamp.toUint64();
        lot.startPrice = Math.max(start, floor);
        lot.floorPrice = floor;
    }

    function _requireNotStopped() private view {
        if (block.timestamp < stoppedUntil) revert BurnAuction_IsStopped(stoppedUntil);
    }

    function _revenueNow(
        Account memory account
    ) private view returns (uint256) {
        return fadedDown(account.revenue, account.fadedTo, block.timestamp, REVENUE_HALF_LIFE);
    }

    function _known(
        uint256 lotId
    ) private view returns (Lot storage) {
        if (lotId == 0 || lotId > _lots.length) revert BurnAuction_UnknownLot(lotId);
        return _lots[lotId - 1];
    }

    function _unsold(
        uint256 lotId
    ) private view returns (Lot storage lot) {
        lot = _known(lotId);
        if (lot.sold) revert BurnAuction_LotSold(lotId);
    }
}
