// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GrantWord } from "../emission/GrantWord.sol";
import { MAX_SUPPLY } from "../emission/Halving.sol";
import { IAlphaFactory } from "../token/IAlphaToken.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { ConstantProduct } from "./ConstantProduct.sol";
import { EpochPrices } from "./EpochPrices.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { PoolRedemption } from "./PoolRedemption.sol";
import { PoolReserves } from "./PoolReserves.sol";
import {
    HistoryWord,
    Ledger,
    LedgerWord,
    Reserves,
    ReservesWord,
    Running,
    RunningWord,
    inRange
} from "./PoolWords.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { ERC20Burnable } from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title AlphaPools
/// @notice See {IAlphaPools}.
contract AlphaPools is PoolRedemption {
    using SafeERC20 for IERC20;

    /// @dev A pool is born with at most 10 % of the supply.
    uint256 private constant MAX_SEED = MAX_SUPPLY / 10;
    /// @dev Of the two prices that `closeEpoch` returns in a word.
    uint256 private constant TWAP_AT = 128;
    address public immutable GATE;

    constructor(
        Config memory config
    )
        EpochClock(config.genesis, config.epochLength)
        EpochPrices(config.controller, config.emaRate, config.emaHalfAge)
        PoolReserves(config)
        PoolRedemption(config.registry)
    {
        GATE = config.gate;
    }

    /// @inheritdoc IAlphaPools
    function buy(
        Netuid netuid,
        uint256 tndmIn,
        uint256 minAlphaOut,
        uint256 deadline
    ) external nonReentrant returns (uint256 alphaOut) {
        _checkDeadline(deadline);
        _checkAmount(tndmIn);
        Words storage w = _words[netuid];
        (Reserves r, Running b) = _touch(netuid, w);
        alphaOut = _buy(netuid, w, r, b, tndmIn);
        _checkOutput(alphaOut, minAlphaOut);
        TNDM.safeTransferFrom(msg.sender, address(this), tndmIn);
        _tokenOf(netuid).safeTransfer(msg.sender, alphaOut);
    }

    /// @inheritdoc IAlphaPools
    function sell(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minTndmOut,
        uint256 deadline
    ) external nonReentrant returns (uint256 tndmOut) {
        _checkDeadline(deadline);
        _checkAmount(alphaIn);
        Words storage w = _words[netuid];
        (Reserves r, Running b) = _touch(netuid, w);
        tndmOut = _sell(netuid, w, r, b, alphaIn);
        _checkOutput(tndmOut, minTndmOut);
        _tokenOf(netuid).safeTransferFrom(msg.sender, address(this), alphaIn);
        TNDM.safeTransfer(msg.sender, tndmOut);
    }

    /// @inheritdoc IAlphaPools
    function buyUntil(
        Netuid netuid,
        uint256 tndmIn,
        uint256 maxPrice,
        uint256 minAlphaOut,
        address to,
        uint256 deadline
    ) external nonReentrant returns (uint256 tndmUsed, uint256 alphaOut) {
        _checkDeadline(deadline);
        Words storage w = _words[netuid];
        (Reserves r, Running b) = _touch(netuid, w);
        tndmUsed = _fillable(r, tndmIn, maxPrice, true);
        alphaOut = _buy(netuid, w, r, b, tndmUsed);
        _checkOutput(alphaOut, minAlphaOut);
        TNDM.safeTransferFrom(msg.sender, address(this), tndmUsed);
        _tokenOf(netuid).safeTransfer(to, alphaOut);
    }

    /// @inheritdoc IAlphaPools
    function sellUntil(
        Netuid netuid,
        uint256 alphaIn,
        uint256 minPrice,
        uint256 minTndmOut,
        address to,
        uint256 deadline
    ) external nonReentrant returns (uint256 alphaUsed, uint256 tndmOut) {
        _checkDeadline(deadline);
        Words storage w = _words[netuid];
        (Reserves r, Running b) = _touch(netuid, w);
        alphaUsed = _fillable(r, alphaIn, minPrice, false);
        tndmOut = _sell(netuid, w, r, b, alphaUsed);
        _checkOutput(tndmOut, minTndmOut);
        _tokenOf(netuid).safeTransferFrom(msg.sender, address(this), alphaUsed);
        TNDM.safeTransfer(to, tndmOut);
    }

    /// @inheritdoc IAlphaPools
    function swap(
        Netuid from,
        Netuid to,
        uint256 alphaIn,
        uint256 minAlphaOut,
        uint256 deadline
    ) external nonReentrant returns (uint256 alphaOut) {
        _checkDeadline(deadline);
        _checkAmount(alphaIn);
        if (from == to) revert AlphaPools_SamePool(from);
        alphaOut = _swap(from, to, alphaIn);
        _checkOutput(alphaOut, minAlphaOut);
        _tokenOf(from).safeTransferFrom(msg.sender, address(this), alphaIn);
        _tokenOf(to).safeTransfer(msg.sender, alphaOut);
    }

    /// @inheritdoc IAlphaPools
    function pour(
        Netuid netuid
    ) external nonReentrant returns (uint256 tndm, uint256 alpha) {
        Words storage w = _words[netuid];
        (Reserves r, Running b,) = _observeOrEnter(netuid, w);
        (,, tndm, alpha) = _pour(netuid, w, r, b);
    }

    /// @inheritdoc IAlphaPools
    function flushFees(
        Netuid netuid
    ) external nonReentrant returns (uint256 burned) {
        Words storage w = _words[netuid];
        burned = w.reserves.burnable();
        (Reserves r,) = _touch(netuid, w);
        burned -= r.burnable();
    }

    /// @inheritdoc IAlphaPools
    function create(
        Netuid netuid,
        uint256 tndm,
        uint256 initialPrice
    ) external nonReentrant returns (address token) {
        if (msg.sender != REGISTRY && msg.sender != GATE) revert AlphaPools_OnlyRegistryOrGate(msg.sender);
        Words storage w = _words[netuid];
        if (w.running.price() != 0) revert AlphaPools_PoolExists(netuid);
        if (tndm == 0 || initialPrice == 0) revert AlphaPools_EmptySeed();
        uint256 alpha = Math.min(Math.mulDiv(tndm, WAD, initialPrice), MAX_SEED);
        if (alpha == 0) revert AlphaPools_EmptySeed();

        uint64 epoch = currentEpoch();
        uint256 price = ConstantProduct.price(inRange(tndm), alpha);
        Running b = RunningWord.created(epoch).withPrice(price).restarted(_passed(), block.timestamp);
        _store(w, ReservesWord.pack(tndm, alpha, 0), b);
        Ledger l = LedgerWord.pack(initialPrice, 0, alpha);
        w.ledger = epoch & 1 == 0 ? l : l.turned();
        w.history = HistoryWord.pack(alpha, 0, 0);
        _netuids.push(netuid);
        token = IAlphaFactory(FACTORY).create(netuid);
        emit PoolCreated(netuid, token, tndm, alpha);
        TNDM.safeTransferFrom(msg.sender, address(this), tndm);
    }

    /// @inheritdoc IAlphaPools
    function buyAndBurn(
        Netuid netuid,
        uint256 tndmIn
    ) external nonReentrant returns (uint256 alphaBurned) {
        _requireRegistry();
        if (tndmIn == 0) return 0;
        _checkAmount(tndmIn);
        Words storage w = _words[netuid];
        (Reserves r, Running b) = _touch(netuid, w);
        alphaBurned = _buy(netuid, w, r, b, tndmIn);
        TNDM.safeTransferFrom(msg.sender, address(this), tndmIn);
        ERC20Burnable(address(_tokenOf(netuid))).burn(alphaBurned);
    }

    /// @inheritdoc IAlphaPools
    function closeEpoch(
        uint16[] calldata netuids,
        uint64 epoch
    ) external returns (uint256[] memory prices) {
        _requireController();
        uint256 end = endOf(epoch);
        if (block.timestamp < end) revert AlphaPools_EpochNotEnded(epoch);
        prices = new uint256[](netuids.length);
        for (uint256 i = 0; i < netuids.length; ++i) {
            prices[i] = _close(Netuid.wrap(netuids[i]), epoch, end);
        }
    }

    /// @inheritdoc IAlphaPools
    function grant(
        uint16[] calldata netuids,
        GrantWord[] calldata grants
    ) external {
        _requireController();
        for (uint256 i = 0; i < netuids.length; ++i) {
            GrantWord word = grants[i];
            if (word.isZero()) continue;
            Netuid netuid = Netuid.wrap(netuids[i]);
            Words storage w = _words[netuid];
            Ledger l = w.ledger;
            if (l.ema() == 0) revert AlphaPools_UnknownPool(netuid);
            // Amounts of 85 and 80 bits.
            unchecked {
                uint256 issued = l.issued() + word.alphaOut();
                if (issued > MAX_SUPPLY) revert AlphaPools_SupplyExceeded(netuid, issued);
                w.ledger = l.with(l.pending() + word.emitted(), issued);
                if (word.worth() != 0) w.worth = (w.worth | USED) + word.worth();
            }
        }
    }

    /// @dev EMA before and TWAP, as `closeEpoch` returns them.
    function _close(
        Netuid netuid,
        uint64 epoch,
        uint256 end
    ) private returns (uint256 prices) {
        Words storage w = _words[netuid];
        Running b = w.running;
        uint64 createdEpoch = b.createdEpoch();
        if (b.price() == 0 || epoch < createdEpoch) return 0;
        Ledger l = w.ledger;
        if (l.oddNext() != (epoch & 1 == 1)) revert AlphaPools_WrongEpoch(epoch);
        uint256 ema = l.ema();
        uint256 twap = _closingTwap(netuid, b, epoch, end);
        w.ledger = l.closed(_emaAfter(ema, twap, createdEpoch, epoch));
        return (twap << TWAP_AT) | (epoch == createdEpoch ? 0 : ema);
    }

    function _buy(
        Netuid netuid,
        Words storage w,
        Reserves r,
        Running b,
        uint256 tndmIn
    ) private returns (uint256 alphaOut) {
        uint256 fee;
        (alphaOut, fee) = ConstantProduct.buyDown(r.tndm(), r.alpha(), tndmIn, FEE_RATE);
        uint256 toBurn = ConstantProduct.burnedHalfDown(fee);
        _store(w, ReservesWord.pack(r.tndm() + tndmIn - toBurn, r.alpha() - alphaOut, r.burnable() + toBurn), b);
        emit Swapped(netuid, msg.sender, true, tndmIn, alphaOut, fee);
    }

    function _sell(
        Netuid netuid,
        Words storage w,
        Reserves r,
        Running b,
        uint256 alphaIn
    ) private returns (uint256 tndmOut) {
        uint256 fee;
        (tndmOut, fee) = _takeForAlpha(w, r, b, alphaIn);
        emit Swapped(netuid, msg.sender, false, alphaIn, tndmOut, fee);
    }

    function _swap(
        Netuid from,
        Netuid to,
        uint256 alphaIn
    ) private returns (uint256 alphaOut) {
        Words storage w = _words[from];
        (Reserves r, Running b) = _touch(from, w);
        (uint256 tndm, uint256 fee) = _takeForAlpha(w, r, b, alphaIn);
        w = _words[to];
        (r, b) = _touch(to, w);
        alphaOut = ConstantProduct.alphaForDown(r.tndm(), r.alpha(), tndm);
        _store(w, ReservesWord.pack(r.tndm() + tndm, r.alpha() - alphaOut, r.burnable()), b);
        emit AlphaSwapped(from, to, msg.sender, alphaIn, tndm, alphaOut, fee);
    }

    /// @dev Alpha into the reserves, TNDM out of them, half of the fee set aside.
    function _takeForAlpha(
        Words storage w,
        Reserves r,
        Running b,
        uint256 alphaIn
    ) private returns (uint256 tndmOut, uint256 fee) {
        (tndmOut, fee) = ConstantProduct.sellDown(r.tndm(), r.alpha(), alphaIn, FEE_RATE);
        uint256 toBurn = ConstantProduct.burnedHalfDown(fee);
        _store(w, ReservesWord.pack(r.tndm() - tndmOut - toBurn, r.alpha() + alphaIn, r.burnable() + toBurn), b);
    }

    function _requireController() private view {
        if (msg.sender != address(CONTROLLER)) revert AlphaPools_OnlyController(msg.sender);
    }

    function _checkDeadline(
        uint256 deadline
    ) private view {
        if (block.timestamp > deadline) revert AlphaPools_Expired(deadline);
    }

    function _checkOutput(
        uint256 amountOut,
        uint256 minimum
    ) private pure {
        if (amountOut < minimum) revert AlphaPools_TooLittleOut(amountOut, minimum);
    }
}
