// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { IAlphaPools } from "./IAlphaPools.sol";
import { Ended, EndedWord, History, HistoryWord, Running } from "./PoolWords.sol";

/// @title What pools remember of their prices: the average of each epoch (TWAP) and its moving average (EMA)
/// @notice Lazy: a price is summed up when it is about to change. The first touch in a new epoch ends the epoch of the last
/// touch; epochs between the two had one price throughout, the closing price of the epoch before. So an epoch's TWAP is the
/// same whenever it is closed, however many epochs later and whatever was traded since [EM-2].
///
/// Invariant: if an epoch that the controller has not settled is older than the last touch, `_ended` tells how the first such epoch ended, or
/// how the one before it did, whose closing price then stood throughout.
abstract contract EpochPrices is EpochClock {
    /// @dev The EMA's input is capped at this multiple of the EMA [AM-3].
    uint256 private constant MAX_EMA_JUMP = 2;

    IEmissionController public immutable CONTROLLER;
    uint256 public immutable EMA_RATE;
    uint64 public immutable EMA_HALF_AGE;

    /// @dev Epochs that were over, but not settled, when their pool was next touched.
    mapping(Netuid => mapping(uint64 epoch => Ended)) private _ended;

    constructor(
        address controller,
        uint256 emaRate,
        uint64 emaHalfAge
    ) {
        CONTROLLER = IEmissionController(controller);
        EMA_RATE = emaRate;
        EMA_HALF_AGE = emaHalfAge;
    }

    /// @dev Seconds of the running epoch that have passed. Pools are not created before genesis.
    function _passed() internal view returns (uint256) {
        return (block.timestamp - GENESIS) % LENGTH;
    }

    /// @dev First touch in `epoch`: ends the epoch of the last one.
    function _enter(
        Netuid netuid,
        Running b,
        History h,
        uint64 epoch
    ) internal returns (Running, History) {
        uint64 last = epochAt(b.touchedAt());
        uint64 unsettled = _firstUnsettled(b);
        uint256 price = b.price();
        if (unsettled <= last) _ended[netuid][last] = EndedWord.pack(_twapUntil(b, endOf(last)), price, h.injected());
        else if (unsettled < epoch) _ended[netuid][unsettled] = EndedWord.pack(price, price, h.injected());
        h = HistoryWord.pack(h.injected(), _twapBefore(b, h, epoch), h.stopEpoch());
        return (b.restarted(_passed(), block.timestamp).withPoured(false), h);
    }

    /// @dev TWAP of the next epoch to close, which is over since `end`.
    function _closingTwap(
        Netuid netuid,
        Running b,
        uint64 epoch,
        uint256 end
    ) internal returns (uint256) {
        uint256 touchedAt = b.touchedAt();
        // Epochs end after they begin.
        unchecked {
            if (touchedAt < end - LENGTH) return b.price();
        }
        if (touchedAt < end) return _twapUntil(b, end);
        Ended ended = _ended[netuid][epoch];
        if (_isNone(ended)) {
            Ended before = _ended[netuid][epoch - 1];
            if (_isNone(before)) revert IAlphaPools.AlphaPools_WrongEpoch(epoch);
            ended = EndedWord.pack(before.closing(), before.closing(), before.injected());
            _ended[netuid][epoch] = ended;
        }
        return ended.twap();
    }

    /// @dev EMA after `epoch`, not before that of creation; age counts in whole epochs.
    function _emaAfter(
        uint256 ema,
        uint256 twap,
        uint64 createdEpoch,
        uint64 epoch
    ) internal view returns (uint256) {
        // Prices are below 2^85, rates at most 2^60 (one in WAD) and an age below 2^85, so no product comes near 2^256.
        unchecked {
            uint256 age = (uint256(epoch) + 1 - createdEpoch) * LENGTH;
            uint256 rate = EMA_RATE * age / (age + EMA_HALF_AGE);
            if (twap < ema) return ema - rate * (ema - twap) / WAD;
            if (twap > MAX_EMA_JUMP * ema) twap = MAX_EMA_JUMP * ema;
            return ema + rate * (twap - ema) / WAD;
        }
    }

    /// @dev TWAP of the epoch before `epoch`, the running one; zero in the epoch of creation.
    function _twapBefore(
        Running b,
        History h,
        uint64 epoch
    ) internal view returns (uint256) {
        uint64 last = epochAt(b.touchedAt());
        if (last == epoch) return h.lastTwap();
        return last + 1 == epoch ? _twapUntil(b, endOf(last)) : b.price();
    }

    /// @dev Seed and injection as of the end of `epoch`, an earlier one than that of the last touch.
    function _injectedAt(
        Netuid netuid,
        uint64 epoch
    ) internal view returns (uint256) {
        Ended ended = _ended[netuid][epoch];
        if (_isNone(ended)) revert IAlphaPools.AlphaPools_WrongEpoch(epoch);
        return ended.injected();
    }

    /// @dev First epoch of the pool that the controller may still ask about.
    function _firstUnsettled(
        Running b
    ) internal view returns (uint64) {
        uint64 settled = CONTROLLER.settledThrough();
        return settled < b.createdEpoch() ? b.createdEpoch() : settled;
    }

    /// @dev Of the epoch of the last touch, over which the price stood from that touch to its end.
    function _twapUntil(
        Running b,
        uint256 end
    ) private view returns (uint256) {
        // The touch lies before the end, and a price times the seconds of an epoch is below 2^105.
        unchecked {
            return (b.priceSeconds() + b.price() * (end - b.touchedAt())) / LENGTH;
        }
    }

    function _isNone(
        Ended ended
    ) private pure returns (bool) {
        return Ended.unwrap(ended) == 0;
    }
}
