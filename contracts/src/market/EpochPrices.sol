// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { Ended, History, PoolPacking, Running } from "./PoolPacking.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title What pools remember of their prices: the average of each epoch (TWAP) and its moving average (EMA)
/// @notice Lazy: a price is summed up when it is about to change. The first touch in a new epoch ends the epoch of the last
/// touch; epochs between the two had one price throughout, the closing price of the epoch before. So an epoch's TWAP is the
/// same whenever it is closed, however many epochs later and whatever was traded since [EM-2].
///
/// Invariant: if an epoch that the controller has not settled is older than the last touch, `_ended` tells how the first such epoch ended, or
/// how the one before it did, whose closing price then stood throughout.
abstract contract EpochPrices is EpochClock {
    using PoolPacking for uint256;
    using PoolPacking for Ended;

    /// @dev The EMA's input is capped at this multiple of the EMA [AM-3].
    uint256 private constant MAX_EMA_JUMP = 2;

    IEmissionController public immutable CONTROLLER;
    uint256 public immutable EMA_RATE;
    uint64 public immutable EMA_HALF_AGE;

    /// @dev Packed `Ended` of epochs that were over, but not settled, when their pool was next touched.
    mapping(Netuid => mapping(uint64 epoch => uint256)) private _ended;

    constructor(
        address controller,
        uint256 emaRate,
        uint64 emaHalfAge
    ) {
        CONTROLLER = IEmissionController(controller);
        EMA_RATE = emaRate;
        EMA_HALF_AGE = emaHalfAge;
    }

    /// @dev Sums up the price that stood until now, within one epoch.
    function _observe(
        Running memory b
    ) internal view {
        b.priceSeconds += b.price * (block.timestamp - b.touchedAt);
        b.touchedAt = block.timestamp;
    }

    /// @dev As if the present price had stood since the epoch's start: so it did, unless the pool is being created.
    function _restart(
        Running memory b,
        uint64 epoch
    ) internal view {
        b.priceSeconds = b.price * (block.timestamp - startOf(epoch));
        b.touchedAt = block.timestamp;
    }

    /// @dev First touch in `epoch`: ends the epoch of the last one.
    function _enter(
        Netuid netuid,
        Running memory b,
        History memory h,
        uint64 epoch
    ) internal {
        uint64 last = epochAt(b.touchedAt);
        uint64 unsettled = _firstUnsettled(b);
        Ended memory ended = Ended({ twap: b.price, closing: b.price, injected: h.injected });
        if (unsettled <= last) {
            ended.twap = _twapOf(b, last);
            _ended[netuid][last] = ended.pack();
        } else if (unsettled < epoch) {
            _ended[netuid][unsettled] = ended.pack();
        }
        h.lastTwap = _twapBefore(b, h, epoch);
        _restart(b, epoch);
        b.poured = false;
    }

    /// @dev TWAP of the next epoch to close, which is over.
    function _closingTwap(
        Netuid netuid,
        Running memory b,
        uint64 epoch
    ) internal returns (uint256) {
        uint64 last = epochAt(b.touchedAt);
        if (epoch > last) return b.price;
        if (epoch == last) return _twapOf(b, epoch);
        uint256 ended = _ended[netuid][epoch];
        if (ended != 0) return ended.unpackEnded().twap;
        Ended memory e = _ended[netuid][epoch - 1].unpackEnded();
        if (e.closing == 0) revert IAlphaPools.AlphaPools_WrongEpoch(epoch);
        e.twap = e.closing;
        _ended[netuid][epoch] = e.pack();
        return e.twap;
    }

    /// @dev EMA after `epoch`; age counts in whole epochs.
    function _emaAfter(
        uint256 ema,
        uint256 twap,
        uint64 createdEpoch,
        uint64 epoch
    ) internal view returns (uint256) {
        uint256 age = uint256(epoch + 1 - createdEpoch) * LENGTH;
        uint256 rate = EMA_RATE * age / (age + EMA_HALF_AGE);
        uint256 input = Math.min(twap, MAX_EMA_JUMP * ema);
        return input >= ema ? ema + rate * (input - ema) / WAD : ema - rate * (ema - input) / WAD;
    }

    /// @dev TWAP of the epoch before `epoch`, the running one; zero in the epoch of creation.
    function _twapBefore(
        Running memory b,
        History memory h,
        uint64 epoch
    ) internal view returns (uint256) {
        uint64 last = epochAt(b.touchedAt);
        if (last == epoch) return h.lastTwap;
        return last + 1 == epoch ? _twapOf(b, last) : b.price;
    }

    /// @dev Seed and injection as of the end of `epoch`.
    function _injectedAt(
        Netuid netuid,
        Running memory b,
        History memory h,
        uint64 epoch
    ) internal view returns (uint256) {
        if (epochAt(b.touchedAt) <= epoch) return h.injected;
        uint256 ended = _ended[netuid][epoch];
        if (ended == 0) revert IAlphaPools.AlphaPools_WrongEpoch(epoch);
        return ended.unpackEnded().injected;
    }

    /// @dev First epoch of the pool that the controller may still ask about.
    function _firstUnsettled(
        Running memory b
    ) internal view returns (uint64) {
        uint64 settled = CONTROLLER.settledThrough();
        return settled < b.createdEpoch ? b.createdEpoch : settled;
    }

    /// @dev Of the epoch of the last touch, over which the price stood from that touch to the end.
    function _twapOf(
        Running memory b,
        uint64 epoch
    ) private view returns (uint256) {
        return (b.priceSeconds + b.price * (endOf(epoch) - b.touchedAt)) / LENGTH;
    }
}
