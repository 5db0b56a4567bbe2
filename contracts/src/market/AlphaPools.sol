// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { MAX_SUPPLY } from "../emission/Halving.sol";
import { IAlphaFactory } from "../token/IAlphaToken.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { ConstantProduct } from "./ConstantProduct.sol";
import { EpochPrices } from "./EpochPrices.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { PoolReserves } from "./PoolReserves.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Arrays } from "@openzeppelin/contracts/utils/Arrays.sol";
import { ReentrancyGuardTransient } from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title AlphaPools
/// @notice See {IAlphaPools}.
contract AlphaPools is PoolReserves, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using Checkpoints for Checkpoints.Trace208;

    /// @dev A pool is born with at most 10 % of the supply.
    uint256 private constant MAX_SEED = MAX_SUPPLY / 10;
    IAlphaFactory public immutable FACTORY;
    address public immutable REGISTRY;
    address public immutable GATE;
    address public immutable CONTROLLER;
    address public immutable DISTRIBUTOR;
    uint256 public immutable FEE_RATE;

    Netuid[] private _netuids;

    constructor(
        Config memory config
    )
        EpochClock(config.genesis, config.epochLength)
        EpochPrices(config.emaRate, config.emaHalfAge)
        PoolReserves(config)
    {
        FACTORY = IAlphaFactory(config.factory);
        REGISTRY = config.registry;
        GATE = config.gate;
        CONTROLLER = config.controller;
        DISTRIBUTOR = config.distributor;
        FEE_RATE = config.feeRate;
    }

    /// @inheritdoc IAlphaPools
    function create(
        Netuid netuid,
        uint256 tndm,
        uint256 initialPrice
    ) external nonReentrant returns (address token) {
        if (msg.sender != REGISTRY && msg.sender != GATE) revert AlphaPools_OnlyRegistryOrGate(msg.sender);
        if (_states[netuid].token != address(0)) revert AlphaPools_PoolExists(netuid);
        if (tndm == 0 || initialPrice == 0) revert AlphaPools_EmptySeed();
        uint256 alpha = Math.min(Math.mulDiv(tndm, WAD, initialPrice), MAX_SEED);
        if (alpha == 0) revert AlphaPools_EmptySeed();

        token = FACTORY.create(netuid);
        uint64 epoch = currentEpoch();
        _states[netuid] = State({
            tndm: tndm.toUint128(),
            alpha: alpha.toUint128(),
            burnable: 0,
            flushEpoch: epoch,
            pending: 0,
            pourEpoch: epoch,
            createdEpoch: epoch,
            issued: alpha.toUint128(),
            token: token
        });
        _startPrices(netuid, ConstantProduct.price(tndm, alpha), initialPrice.toUint128());
        _injected[netuid].push(uint256(epoch).toUint48(), alpha.toUint208());
        _netuids.push(netuid);
        emit PoolCreated(netuid, token, tndm, alpha);
        TNDM.safeTransferFrom(msg.sender, address(this), tndm);
    }

    /// @inheritdoc IAlphaPools
    function buy(
        Netuid netuid,
        uint256 tndmIn,
        uint256 minAlphaOut,
        uint256 deadline
    ) external nonReentrant returns (uint256 alphaOut) {
        if (block.timestamp > deadline) revert AlphaPools_Expired(deadline);
        State storage s = _enter(netuid);
        alphaOut = _buy(netuid, s, tndmIn);
        if (alphaOut < minAlphaOut) revert AlphaPools_TooLittleOut(alphaOut, minAlphaOut);
        TNDM.safeTransferFrom(msg.sender, address(this), tndmIn);
        IERC20(s.token).safeTransfer(msg.sender, alphaOut);
    }

    /// @inheritdoc IAlphaPools
    function sell(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minTndmOut,
        uint256 deadline
    ) external nonReentrant returns (uint256 tndmOut) {
        if (block.timestamp > deadline) revert AlphaPools_Expired(deadline);
        if (alphaIn == 0) revert AlphaPools_ZeroAmount();
        State storage s = _enter(netuid);
        uint256 fee;
        (tndmOut, fee) = ConstantProduct.sellDown(s.tndm, s.alpha, alphaIn, FEE_RATE);
        if (tndmOut < minTndmOut) revert AlphaPools_TooLittleOut(tndmOut, minTndmOut);
        uint256 toBurn = ConstantProduct.burnedHalfDown(fee);
        s.tndm = (s.tndm - tndmOut - toBurn).toUint128();
        s.alpha = (s.alpha + alphaIn).toUint128();
        s.burnable += toBurn.toUint128();
        emit Swapped(netuid, msg.sender, false, alphaIn, tndmOut, fee);
        IERC20(s.token).safeTransferFrom(msg.sender, address(this), alphaIn);
        TNDM.safeTransfer(msg.sender, tndmOut);
    }

    /// @inheritdoc IAlphaPools
    function buyAndBurn(
        Netuid netuid,
        uint256 tndmIn
    ) external nonReentrant returns (uint256 alphaBurned) {
        if (msg.sender != REGISTRY) revert AlphaPools_OnlyRegistry(msg.sender);
        if (tndmIn == 0) return 0;
        State storage s = _enter(netuid);
        alphaBurned = _buy(netuid, s, tndmIn);
        TNDM.safeTransferFrom(msg.sender, address(this), tndmIn);
        ERC20Burnable(s.token).burn(alphaBurned);
    }

    /// @inheritdoc IAlphaPools
    function pour(
        Netuid netuid
    ) external nonReentrant returns (uint256 tndm, uint256 alpha) {
        State storage s = _known(netuid);
        _observe(netuid, _spot(s));
        return _pour(netuid, s);
    }

    /// @inheritdoc IAlphaPools
    function flushFees(
        Netuid netuid
    ) external nonReentrant returns (uint256 burned) {
        return _flush(netuid, _known(netuid));
    }

    /// @inheritdoc IAlphaPools
    function grant(
        Netuid netuid,
        uint256 tndm,
        uint256 alpha
    ) external {
        _requireController();
        State storage s = _known(netuid);
        uint256 issued = s.issued + alpha;
        if (issued > MAX_SUPPLY) revert AlphaPools_SupplyExceeded(netuid, issued);
        s.issued = issued.toUint128();
        s.pending += tndm.toUint128();
    }

    /// @inheritdoc IAlphaPools
    function closeEpoch(
        Netuid netuid,
        uint64 epoch
    ) external returns (uint256 emaBefore, uint256 twap) {
        _requireController();
        State storage s = _known(netuid);
        uint64 expected = _averageOf(netuid).nextEpoch;
        if (epoch != expected) revert AlphaPools_WrongEpoch(epoch, expected);
        if (block.timestamp < endOf(epoch)) revert AlphaPools_EpochNotEnded(epoch);
        if (s.createdEpoch < epoch) emaBefore = _averageOf(netuid).ema;
        uint256 ema;
        (twap, ema) = _closePrices(netuid, _spot(s), s.createdEpoch);
        emit EmaUpdated(netuid, epoch, twap, ema);
    }

    /// @inheritdoc IAlphaPools
    function release(
        Netuid netuid,
        address to,
        uint256 amount
    ) external {
        if (msg.sender != DISTRIBUTOR) revert AlphaPools_OnlyDistributor(msg.sender);
        IERC20 token = IERC20(_known(netuid).token);
        emit AlphaReleased(netuid, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IAlphaPools
    function quoteBuy(
        Netuid netuid,
        uint256 tndmIn
    ) external view returns (uint256 alphaOut) {
        (uint256 tndm, uint256 alpha) = _reservesAfterPour(netuid);
        (alphaOut,) = ConstantProduct.buyDown(tndm, alpha, tndmIn, FEE_RATE);
    }

    /// @inheritdoc IAlphaPools
    function quoteSell(
        Netuid netuid,
        uint256 alphaIn
    ) external view returns (uint256 tndmOut) {
        (uint256 tndm, uint256 alpha) = _reservesAfterPour(netuid);
        (tndmOut,) = ConstantProduct.sellDown(tndm, alpha, alphaIn, FEE_RATE);
    }

    /// @inheritdoc IAlphaPools
    function exists(
        Netuid netuid
    ) external view returns (bool) {
        return _states[netuid].token != address(0);
    }

    /// @inheritdoc IAlphaPools
    function poolOf(
        Netuid netuid
    ) external view returns (Pool memory) {
        State storage s = _states[netuid];
        return Pool({
            token: s.token,
            tndm: s.tndm,
            alpha: s.alpha,
            burnable: s.burnable,
            pending: s.pending,
            issued: s.issued,
            createdEpoch: s.createdEpoch,
            lastPourEpoch: s.pourEpoch,
            lastFlushEpoch: s.flushEpoch
        });
    }

    /// @inheritdoc IAlphaPools
    function alphaOf(
        Netuid netuid
    ) external view returns (address token) {
        return _states[netuid].token;
    }

    /// @inheritdoc IAlphaPools
    function spotPrice(
        Netuid netuid
    ) external view returns (uint256) {
        return _spot(_known(netuid));
    }

    /// @inheritdoc IAlphaPools
    function emaOf(
        Netuid netuid
    ) external view returns (uint256) {
        return _averageOf(netuid).ema;
    }

    /// @inheritdoc IAlphaPools
    function lastTwapOf(
        Netuid netuid
    ) external view returns (uint256) {
        return _averageOf(netuid).twap;
    }

    /// @inheritdoc IAlphaPools
    function nextEpochOf(
        Netuid netuid
    ) external view returns (uint64) {
        return _averageOf(netuid).nextEpoch;
    }

    /// @inheritdoc IAlphaPools
    function medianEma() external view returns (uint256) {
        uint256 count = _netuids.length;
        if (count == 0) return 0;
        uint256[] memory emas = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            emas[i] = _averageOf(_netuids[i]).ema;
        }
        Arrays.sort(emas);
        return Math.average(emas[(count - 1) / 2], emas[count / 2]);
    }

    /// @inheritdoc IAlphaPools
    function circulatingAlpha(
        Netuid netuid
    ) external view returns (uint256) {
        IERC20 token = IERC20(_states[netuid].token);
        if (address(token) == address(0)) return 0;
        return token.totalSupply() - token.balanceOf(address(this));
    }

    /// @inheritdoc IAlphaPools
    function issuedAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256) {
        Checkpoints.Trace208 storage injected = _injected[netuid];
        uint256 budgets = _states[netuid].issued - injected.latest();
        return budgets + injected.upperLookupRecent(uint256(epoch).toUint48());
    }

    /// @dev What precedes every swap: sum up the price that stood until now, and do an epoch's chores once.
    function _enter(
        Netuid netuid
    ) private returns (State storage s) {
        s = _known(netuid);
        _observe(netuid, _spot(s));
        _flush(netuid, s);
        _pour(netuid, s);
    }

    function _buy(
        Netuid netuid,
        State storage s,
        uint256 tndmIn
    ) private returns (uint256 alphaOut) {
        if (tndmIn == 0) revert AlphaPools_ZeroAmount();
        uint256 fee;
        (alphaOut, fee) = ConstantProduct.buyDown(s.tndm, s.alpha, tndmIn, FEE_RATE);
        uint256 toBurn = ConstantProduct.burnedHalfDown(fee);
        s.tndm = (s.tndm + tndmIn - toBurn).toUint128();
        s.alpha = (s.alpha - alphaOut).toUint128();
        s.burnable += toBurn.toUint128();
        emit Swapped(netuid, msg.sender, true, tndmIn, alphaOut, fee);
    }

    function _requireController() private view {
        if (msg.sender != CONTROLLER) revert AlphaPools_OnlyController(msg.sender);
    }
}
