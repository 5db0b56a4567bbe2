// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What pools remember of their prices: the average of each epoch (TWAP) and its moving average (EMA)
/// @notice Lazy: a price is summed up when it is about to change. The first touch in a new epoch ends the epoch of the last
/// touch; epochs between the two had one price throughout, the closing price of the epoch before. So an epoch's TWAP is the
/// same whenever it is closed, however many epochs later and whatever was traded since [EM-2].
abstract contract EpochPrices is EpochClock {
    using SafeCast for uint256;

    /// @dev Of the epoch in which the price was last touched.
    struct Running {
        uint64 touchedAt;
        uint192 priceSeconds; // Σ price × seconds from the epoch's start to touchedAt; < 2^128 × 2^64
    }

    /// @dev What the closing of epochs carries along.
    struct Average {
        uint128 ema;
        uint128 twap; // of the last closed epoch
        uint128 closing; // price at the end of the last closed epoch
        uint64 nextEpoch; // first that is not closed
    }

    /// @dev An epoch that was touched and is over, but not closed yet.
    struct Ended {
        uint128 twap;
        uint128 closing; // never zero: prices are not
    }

    /// @dev The EMA's input is capped at this multiple of the EMA [AM-3].
    uint256 private constant MAX_EMA_JUMP = 2;

    uint256 public immutable EMA_RATE;
    uint64 public immutable EMA_HALF_AGE;

    mapping(Netuid => Running) private _running;
    mapping(Netuid => Average) private _averages;
    mapping(Netuid => mapping(uint64 epoch => Ended)) private _ended;

    constructor(
        uint256 emaRate,
        uint64 emaHalfAge
    ) {
        EMA_RATE = emaRate;
        EMA_HALF_AGE = emaHalfAge;
    }

    /// @dev Begins as if `price` had stood since the epoch's start.
    function _startPrices(
        Netuid netuid,
        uint128 price,
        uint128 ema
    ) internal {
        uint64 epoch = currentEpoch();
        uint256 priceSeconds = price * (block.timestamp - startOf(epoch));
        _running[netuid] = Running({ touchedAt: block.timestamp.toUint64(), priceSeconds: priceSeconds.toUint192() });
        _averages[netuid] = Average({ ema: ema, twap: 0, closing: 0, nextEpoch: epoch });
    }

    /// @dev Must run before anything that moves the price; `price` is the one that stood until now.
    function _observe(
        Netuid netuid,
        uint128 price
    ) internal {
        Running memory running = _running[netuid];
        uint64 last = epochAt(running.touchedAt);
        uint64 epoch = currentEpoch();
        uint256 priceSeconds;
        if (epoch == last) {
            priceSeconds = running.priceSeconds + price * (block.timestamp - running.touchedAt);
        } else {
            if (last >= _averages[netuid].nextEpoch) {
                _ended[netuid][last] = Ended({ twap: _twapOf(running, last, price), closing: price });
            }
            priceSeconds = price * (block.timestamp - startOf(epoch));
        }
        _running[netuid] = Running({ touchedAt: block.timestamp.toUint64(), priceSeconds: priceSeconds.toUint192() });
    }

    /// @dev Closes the pool's next epoch, which must be over; `price` is the present one. Age counts in whole epochs.
    function _closePrices(
        Netuid netuid,
        uint128 price,
        uint64 createdEpoch
    ) internal returns (uint256 twap, uint256 ema) {
        Average memory average = _averages[netuid];
        uint64 epoch = average.nextEpoch;
        uint128 closing;
        (twap, closing) = _takeEnded(netuid, price, average);

        ema = average.ema;
        uint256 age = uint256(epoch + 1 - createdEpoch) * LENGTH;
        uint256 rate = Math.mulDiv(EMA_RATE, age, age + EMA_HALF_AGE);
        uint256 input = Math.min(twap, MAX_EMA_JUMP * ema);
        if (input >= ema) ema += Math.mulDiv(rate, input - ema, WAD);
        else ema -= Math.mulDiv(rate, ema - input, WAD);

        _averages[netuid] =
            Average({ ema: ema.toUint128(), twap: twap.toUint128(), closing: closing, nextEpoch: epoch + 1 });
    }

    function _averageOf(
        Netuid netuid
    ) internal view returns (Average storage) {
        return _averages[netuid];
    }

    /// @dev TWAP and closing price of the next epoch to close, whether it was touched or not.
    function _takeEnded(
        Netuid netuid,
        uint128 price,
        Average memory average
    ) private returns (uint128 twap, uint128 closing) {
        Running memory running = _running[netuid];
        uint64 epoch = average.nextEpoch;
        uint64 last = epochAt(running.touchedAt);
        if (epoch > last) return (price, price);
        if (epoch == last) return (_twapOf(running, last, price), price);
        Ended memory ended = _ended[netuid][epoch];
        if (ended.closing == 0) return (average.closing, average.closing);
        delete _ended[netuid][epoch];
        return (ended.twap, ended.closing);
    }

    /// @dev Of the epoch of the last touch, over which `price` stood from that touch to the end.
    function _twapOf(
        Running memory running,
        uint64 epoch,
        uint128 price
    ) private view returns (uint128) {
        return ((running.priceSeconds + price * (endOf(epoch) - running.touchedAt)) / LENGTH).toUint128();
    }
}
