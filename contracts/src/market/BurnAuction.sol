// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { Netuid } from "../types/Types.sol";
import { DutchDecay } from "./DutchDecay.sol";
import { IBurnAuction } from "./IBurnAuction.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Arrays } from "@openzeppelin/contracts/utils/Arrays.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title BurnAuction
/// @notice See {IBurnAuction}.
contract BurnAuction is IBurnAuction, AccessManaged, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev Units of the USDC that a price is for.
    uint256 private constant ONE_USDC = 1e6;
    uint256 private constant MAX_SUBNETS = 64;
    uint256 private constant MEDIAN_OF = 7;
    /// @dev The floor is the median over this: 25 %.
    uint256 private constant FLOOR_DIVISOR = 4;
    /// @dev A decay starts at this multiple of the last price.
    uint256 private constant START_MULTIPLE = 2;
    /// @dev In so many half-lives a decay from twice the last price passes below it.
    uint256 private constant LEAST_HALF_LIVES = 2;
    uint256 private constant MAX_STOP = 7 days;
    Netuid private constant UNATTRIBUTED = Netuid.wrap(0);

    IERC20 public immutable TNDM;
    IERC20 public immutable USDC;
    address public immutable DESK;
    address public immutable REGISTRY;
    IEmissionController public immutable CONTROLLER;
    ILaunchGate public immutable GATE;
    uint64 public immutable OPEN_DELAY;
    uint64 public immutable LOT_INTERVAL;
    uint64 public immutable LOT_DURATION;
    uint64 public immutable HALF_LIFE;
    uint128 public immutable MAX_LOT;
    uint256 public immutable GENESIS_PRICE;
    uint256 public immutable GENESIS_FLOOR;

    /// @inheritdoc IBurnAuction
    uint256 public totalBurned;
    /// @inheritdoc IBurnAuction
    uint64 public stoppedUntil;
    uint64 private _lastStartAt;

    Lot[] private _lots;
    /// @dev Prices of the last sales, sale n (from 0) at n modulo the ring's size.
    uint256[MEDIAN_OF] private _soldPrices;
    uint256 private _soldCount;
    mapping(Netuid => uint256) private _accrued;
    /// @dev Subnets with accrued money, each once, in line from `_head` to before `_tail`.
    mapping(uint256 position => Netuid) private _line;
    uint256 private _head;
    uint256 private _tail;

    constructor(
        Config memory config
    ) AccessManaged(config.authority) {
        if (
            config.genesisFloor == 0 || config.genesisFloor > config.genesisPrice || config.halfLife == 0
                || config.maxLot == 0 || config.lotDuration < LEAST_HALF_LIVES * uint256(config.halfLife)
        ) revert BurnAuction_BadConfig();
        TNDM = IERC20(config.tndm);
        USDC = IERC20(config.usdc);
        DESK = config.desk;
        REGISTRY = config.registry;
        CONTROLLER = IEmissionController(config.controller);
        GATE = ILaunchGate(config.gate);
        OPEN_DELAY = config.openDelay;
        LOT_INTERVAL = config.lotInterval;
        LOT_DURATION = config.lotDuration;
        HALF_LIFE = config.halfLife;
        MAX_LOT = config.maxLot;
        GENESIS_PRICE = config.genesisPrice;
        GENESIS_FLOOR = config.genesisFloor;
    }

    /// @inheritdoc IBurnAuction
    function fund(
        Netuid netuid,
        uint256 usdc
    ) external nonReentrant {
        if (msg.sender != DESK && msg.sender != REGISTRY) revert BurnAuction_OnlyFunders(msg.sender);
        if (usdc == 0) return;
        if (GATE.marketsOpenedAt() == 0) netuid = UNATTRIBUTED;
        uint256 before = _accrued[netuid];
        _accrued[netuid] = before + usdc;
        if (before == 0 && netuid != UNATTRIBUTED) _line[_tail++] = netuid;
        emit Funded(netuid, usdc);
        USDC.safeTransferFrom(msg.sender, address(this), usdc);
    }

    /// @inheritdoc IBurnAuction
    function startLot() external nonReentrant returns (uint256 lotId) {
        _requireNotStopped();
        uint256 opensAt = _nextStartAt();
        if (block.timestamp < opensAt) revert BurnAuction_TooEarly(opensAt);
        _lastStartAt = block.timestamp.toUint64();

        Lot storage lot = _lots.push();
        lotId = _lots.length;
        uint256 mesh = _accrued[UNATTRIBUTED];
        if (mesh > 0) {
            uint256 usdc = Math.min(mesh, MAX_LOT);
            _accrued[UNATTRIBUTED] = mesh - usdc;
            lot.usdc = usdc.toUint128();
        } else {
            lot.attributed = true;
            lot.usdc = _compose(lot).toUint128();
        }
        if (lot.usdc == 0) revert BurnAuction_NothingToSell();
        _startDecay(lot, _startOfDecay(), _floorOfSales());
        emit LotStarted(lotId, lot.usdc, lot.attributed, lot.startPrice, lot.floorPrice);
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
        emit LotRestarted(lotId, lot.startPrice);
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
        uint256 price = _price(lot);
        tndmPaid = _costUp(lot.usdc, price);
        if (tndmPaid > maxTndm) revert BurnAuction_TooExpensive(tndmPaid, maxTndm);

        lot.sold = true;
        _soldPrices[_soldCount % MEDIAN_OF] = price;
        ++_soldCount;
        totalBurned += tndmPaid;
        emit LotTaken(lotId, msg.sender, lot.usdc, tndmPaid, price);

        TNDM.safeTransferFrom(msg.sender, address(this), tndmPaid);
        ERC20Burnable(address(TNDM)).burn(tndmPaid);
        uint256 subnets = lot.netuids.length;
        for (uint256 i = 0; i < subnets; ++i) {
            CONTROLLER.creditBurn(lot.netuids[i], Math.mulDiv(tndmPaid, lot.parts[i], lot.usdc));
        }
        USDC.safeTransfer(msg.sender, lot.usdc);
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
    function accruedOf(
        Netuid netuid
    ) external view returns (uint256) {
        return _accrued[netuid];
    }

    /// @dev Takes the first subnets in line into the lot; who has money left goes to the end of the line.
    function _compose(
        Lot storage lot
    ) private returns (uint256 usdc) {
        uint256 head = _head;
        uint256 count = Math.min(_tail - head, MAX_SUBNETS);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            total += _accrued[_line[head + i]];
        }
        _head = head + count;
        for (uint256 i = 0; i < count; ++i) {
            Netuid netuid = _line[head + i];
            _line[head + i] = UNATTRIBUTED;
            uint256 accrued = _accrued[netuid];
            uint256 part = total <= MAX_LOT ? accrued : Math.mulDiv(accrued, MAX_LOT, total);
            if (part < accrued) _line[_tail++] = netuid;
            if (part == 0) continue;
            _accrued[netuid] = accrued - part;
            lot.netuids.push(netuid);
            lot.parts.push(part.toUint128());
            usdc += part;
        }
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

    function _startOfDecay() private view returns (uint256) {
        return _soldCount == 0 ? GENESIS_PRICE : START_MULTIPLE * _soldPrices[(_soldCount - 1) % MEDIAN_OF];
    }

    function _requireNotStopped() private view {
        if (block.timestamp < stoppedUntil) revert BurnAuction_IsStopped(stoppedUntil);
    }

    function _nextStartAt() private view returns (uint256) {
        uint256 openedAt = GATE.marketsOpenedAt();
        if (openedAt == 0) return type(uint256).max;
        uint256 opensAt = openedAt + OPEN_DELAY;
        return _lots.length == 0 ? opensAt : Math.max(opensAt, uint256(_lastStartAt) + LOT_INTERVAL);
    }

    /// @dev 25 % of the median of the last seven sales, the genesis constant before there are seven.
    function _floorOfSales() private view returns (uint256) {
        if (_soldCount < MEDIAN_OF) return GENESIS_FLOOR;
        uint256[] memory prices = new uint256[](MEDIAN_OF);
        for (uint256 i = 0; i < MEDIAN_OF; ++i) {
            prices[i] = _soldPrices[i];
        }
        Arrays.sort(prices);
        return Math.max(1, prices[MEDIAN_OF / 2] / FLOOR_DIVISOR);
    }

    function _price(
        Lot storage lot
    ) private view returns (uint256) {
        return DutchDecay.decayed(lot.startPrice, lot.floorPrice, block.timestamp - lot.startedAt, HALF_LIFE);
    }

    function _costUp(
        uint256 usdc,
        uint256 price
    ) private pure returns (uint256) {
        return Math.mulDiv(usdc, price, ONE_USDC, Math.Rounding.Ceil);
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
