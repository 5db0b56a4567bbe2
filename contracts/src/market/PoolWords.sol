// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "./IAlphaPools.sol";

// A pool is four words of lanes. Values are checked when they enter a lane, so that none runs over into its neighbour; bit ranges are told from
// the low end.

/// @dev 85 tndm | 85 alpha | 85 burnable (half of the fees since they were last burned).
type Reserves is uint256;
/// @dev 85 price of the reserves (zero: no such pool) | 105 priceSeconds, Σ price × seconds from the start of touchedAt's epoch to touchedAt |
/// 36 touchedAt (until the year 4147) | 28 createdEpoch | 1 poured in the epoch of touchedAt | 1 stopping, History says from when.
type Running is uint256;
/// @dev 85 ema (never zero) | 85 pending | 85 issued | 1 the next epoch to close is odd.
type Ledger is uint256;
/// @dev 85 injected, the part of `issued` that is seed and injection | 85 TWAP of the epoch before that of touchedAt (zero: none) | 64 stopEpoch.
type History is uint256;
/// @dev A pool as it left an epoch: 85 twap | 85 closing price (never zero) | 85 injected.
type Ended is uint256;

using ReservesWord for Reserves global;
using RunningWord for Running global;
using LedgerWord for Ledger global;
using HistoryWord for History global;
using EndedWord for Ended global;

/// @dev Bits of an amount or a price: 21,000,000e18, the supply of TNDM and of every alpha, lies between 2^84 and 2^85.
uint256 constant LANE_BITS = 85;
/// @dev Largest amount, and largest price: 38.7 million TNDM for one alpha, more TNDM than there is.
/// A literal: solc would compute a power of a constant anew wherever it is used. So are the masks below.
uint256 constant LANE_MAX = 0x1fffffffffffffffffffff;
/// @dev Bits of the seconds of an epoch: 12 days. A price times so many seconds fills its 105 bits exactly.
uint256 constant EPOCH_SECONDS_BITS = 20;

/// @dev `value`, if an amount or a price can be that large.
function inRange(
    uint256 value
) pure returns (uint256) {
    if (value > LANE_MAX) revert IAlphaPools.AlphaPools_OutOfRange(value);
    return value;
}

function packLanes(
    uint256 first,
    uint256 second,
    uint256 third
) pure returns (uint256) {
    return inRange(first) | (inRange(second) << LANE_BITS) | (inRange(third) << (2 * LANE_BITS));
}

function secondLane(
    uint256 word
) pure returns (uint256) {
    return (word >> LANE_BITS) & LANE_MAX;
}

function thirdLane(
    uint256 word
) pure returns (uint256) {
    return (word >> (2 * LANE_BITS)) & LANE_MAX;
}

library ReservesWord {
    function tndm(
        Reserves r
    ) internal pure returns (uint256) {
        return Reserves.unwrap(r) & LANE_MAX;
    }

    function alpha(
        Reserves r
    ) internal pure returns (uint256) {
        return secondLane(Reserves.unwrap(r));
    }

    function burnable(
        Reserves r
    ) internal pure returns (uint256) {
        return Reserves.unwrap(r) >> (2 * LANE_BITS);
    }

    function pack(
        uint256 tndm_,
        uint256 alpha_,
        uint256 burnable_
    ) internal pure returns (Reserves) {
        return Reserves.wrap(packLanes(tndm_, alpha_, burnable_));
    }
}

library RunningWord {
    uint256 private constant TOUCHED_AT = 2 * LANE_BITS + EPOCH_SECONDS_BITS;
    uint256 private constant CREATED_AT = TOUCHED_AT + 36;
    uint256 private constant PRICE_SECONDS_MASK = 0x1ffffffffffffffffffffffffff;
    uint256 private constant TIME_MASK = 0xfffffffff;
    uint256 private constant CREATED_MASK = 0xfffffff;
    uint256 private constant POURED = 0x4000000000000000000000000000000000000000000000000000000000000000;
    uint256 private constant STOPPING = 0x8000000000000000000000000000000000000000000000000000000000000000;

    /// @dev A pool is not poured into in the epoch of its creation.
    function created(
        uint64 epoch
    ) internal pure returns (Running) {
        if (epoch > CREATED_MASK) revert IAlphaPools.AlphaPools_OutOfRange(epoch);
        return Running.wrap((uint256(epoch) << CREATED_AT) | POURED);
    }

    function price(
        Running b
    ) internal pure returns (uint256) {
        return Running.unwrap(b) & LANE_MAX;
    }

    function priceSeconds(
        Running b
    ) internal pure returns (uint256) {
        return (Running.unwrap(b) >> LANE_BITS) & PRICE_SECONDS_MASK;
    }

    function touchedAt(
        Running b
    ) internal pure returns (uint256) {
        return (Running.unwrap(b) >> TOUCHED_AT) & TIME_MASK;
    }

    function createdEpoch(
        Running b
    ) internal pure returns (uint64) {
        // forge-lint: disable-next-line(unsafe-typecast) masked to 28 bits
        return uint64((Running.unwrap(b) >> CREATED_AT) & CREATED_MASK);
    }

    function poured(
        Running b
    ) internal pure returns (bool) {
        return Running.unwrap(b) & POURED != 0;
    }

    function stopping(
        Running b
    ) internal pure returns (bool) {
        return Running.unwrap(b) & STOPPING != 0;
    }

    function withPrice(
        Running b,
        uint256 price_
    ) internal pure returns (Running) {
        return Running.wrap((Running.unwrap(b) & ~LANE_MAX) | inRange(price_));
    }

    /// @dev Sums up the price from the last touch to `time` in the same epoch. An epoch has less than 2^20 seconds, so the sum fits its lane.
    function observed(
        Running b,
        uint256 time
    ) internal pure returns (Running) {
        uint256 passed = time - touchedAt(b);
        return Running.wrap(Running.unwrap(b) + ((price(b) * passed) << LANE_BITS) + (passed << TOUCHED_AT));
    }

    /// @dev As if the price had stood from the epoch's start, `passed` seconds ago, to `time`.
    function restarted(
        Running b,
        uint256 passed,
        uint256 time
    ) internal pure returns (Running) {
        uint256 stays = Running.unwrap(b) & (LANE_MAX | (CREATED_MASK << CREATED_AT) | POURED | STOPPING);
        return Running.wrap(stays | ((price(b) * passed) << LANE_BITS) | (time << TOUCHED_AT));
    }

    function withPoured(
        Running b,
        bool flag
    ) internal pure returns (Running) {
        return Running.wrap(flag ? Running.unwrap(b) | POURED : Running.unwrap(b) & ~POURED);
    }

    function asStopping(
        Running b
    ) internal pure returns (Running) {
        return Running.wrap(Running.unwrap(b) | STOPPING);
    }
}

library LedgerWord {
    uint256 private constant ODD_NEXT = 0x8000000000000000000000000000000000000000000000000000000000000000;

    function pack(
        uint256 ema_,
        uint256 pending_,
        uint256 issued_
    ) internal pure returns (Ledger) {
        return Ledger.wrap(packLanes(ema_, pending_, issued_));
    }

    function ema(
        Ledger l
    ) internal pure returns (uint256) {
        return Ledger.unwrap(l) & LANE_MAX;
    }

    function pending(
        Ledger l
    ) internal pure returns (uint256) {
        return secondLane(Ledger.unwrap(l));
    }

    function issued(
        Ledger l
    ) internal pure returns (uint256) {
        return thirdLane(Ledger.unwrap(l));
    }

    function oddNext(
        Ledger l
    ) internal pure returns (bool) {
        return Ledger.unwrap(l) & ODD_NEXT != 0;
    }

    /// @dev After one epoch more.
    function closed(
        Ledger l,
        uint256 ema_
    ) internal pure returns (Ledger) {
        return Ledger.wrap(((Ledger.unwrap(l) & ~LANE_MAX) | inRange(ema_)) ^ ODD_NEXT);
    }

    function turned(
        Ledger l
    ) internal pure returns (Ledger) {
        return Ledger.wrap(Ledger.unwrap(l) ^ ODD_NEXT);
    }

    function with(
        Ledger l,
        uint256 pending_,
        uint256 issued_
    ) internal pure returns (Ledger) {
        return Ledger.wrap(packLanes(ema(l), pending_, issued_) | (Ledger.unwrap(l) & ODD_NEXT));
    }
}

library HistoryWord {
    uint256 private constant STOP_AT = 2 * LANE_BITS;

    function pack(
        uint256 injected_,
        uint256 lastTwap_,
        uint64 stopEpoch_
    ) internal pure returns (History) {
        return History.wrap(packLanes(injected_, lastTwap_, 0) | (uint256(stopEpoch_) << STOP_AT));
    }

    function injected(
        History h
    ) internal pure returns (uint256) {
        return History.unwrap(h) & LANE_MAX;
    }

    function lastTwap(
        History h
    ) internal pure returns (uint256) {
        return secondLane(History.unwrap(h));
    }

    function stopEpoch(
        History h
    ) internal pure returns (uint64) {
        // forge-lint: disable-next-line(unsafe-typecast) packed from 64 bits
        return uint64(History.unwrap(h) >> STOP_AT);
    }
}

library EndedWord {
    function pack(
        uint256 twap_,
        uint256 closing_,
        uint256 injected_
    ) internal pure returns (Ended) {
        return Ended.wrap(packLanes(twap_, closing_, injected_));
    }

    function twap(
        Ended e
    ) internal pure returns (uint256) {
        return Ended.unwrap(e) & LANE_MAX;
    }

    function closing(
        Ended e
    ) internal pure returns (uint256) {
        return secondLane(Ended.unwrap(e));
    }

    function injected(
        Ended e
    ) internal pure returns (uint256) {
        return thirdLane(Ended.unwrap(e));
    }
}
