// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "./IAlphaPools.sol";

/// @dev Bits of an amount or a price: 21,000,000e18, the supply of TNDM and of every alpha, lies between 2^84 and 2^85.
uint256 constant LANE_BITS = 85;
/// @dev Largest amount, and largest price: 38.7 million TNDM for one alpha, more TNDM than there is.
uint256 constant LANE_MAX = 2 ** LANE_BITS - 1;
/// @dev Bits of the seconds of an epoch: 12 days. A price times so many seconds fills its 105 bits exactly.
uint256 constant EPOCH_SECONDS_BITS = 20;

/// @dev Word 1 of a pool.
struct Reserves {
    uint256 tndm;
    uint256 alpha;
    uint256 burnable; // half of the fees since they were last burned
}

/// @dev Word 2: what a swap notes about the price. Swaps touch this word and the one before, and no other.
struct Running {
    uint256 price; // of the reserves as they stand; zero: there is no such pool
    uint256 priceSeconds; // Σ price × seconds from the start of touchedAt's epoch to touchedAt
    uint256 touchedAt;
    uint64 createdEpoch;
    bool poured; // in the epoch of touchedAt
    bool stopping; // History.stopEpoch says from when
}

/// @dev Word 3: what settling an epoch writes.
struct Ledger {
    uint256 ema; // never zero
    uint256 pending;
    uint256 issued;
    bool oddNext; // the next epoch to close is odd
}

/// @dev Word 4: what an epoch's first touch writes.
struct History {
    uint256 injected; // the part of Ledger.issued that is seed and injection
    uint256 lastTwap; // of the epoch before that of Running.touchedAt; zero: none
    uint64 stopEpoch;
}

/// @dev A pool as it left an epoch.
struct Ended {
    uint256 twap;
    uint256 closing; // price at the end; never zero
    uint256 injected;
}

/// @title A pool in four words
/// @notice Values are checked when they are packed, so that no lane runs over into its neighbour.
/// @dev Bits from the low end. Reserves: 85 tndm, 85 alpha, 85 burnable. Running: 85 price, 105 priceSeconds, 36 touchedAt (until the
/// year 4147), 28 createdEpoch, 1 poured, 1 stopping. Ledger: 85 ema, 85 pending, 85 issued, 1 oddNext. History: 85 injected,
/// 85 lastTwap, 64 stopEpoch. Ended: 85 twap, 85 closing, 85 injected.
library PoolPacking {
    uint256 private constant SECOND = LANE_BITS;
    uint256 private constant THIRD = 2 * LANE_BITS;
    uint256 private constant AFTER_LANES = 3 * LANE_BITS;
    uint256 private constant TOUCHED_AT = 2 * LANE_BITS + EPOCH_SECONDS_BITS;
    uint256 private constant CREATED_AT = TOUCHED_AT + 36;
    uint256 private constant POURED_AT = CREATED_AT + 28;
    uint256 private constant STOPPING_AT = POURED_AT + 1;
    uint256 private constant PRICE_SECONDS_MASK = 2 ** (LANE_BITS + EPOCH_SECONDS_BITS) - 1;
    uint256 private constant TIME_MASK = 2 ** 36 - 1;
    uint256 private constant CREATED_MASK = 2 ** 28 - 1;

    /// @dev `value`, if an amount or a price can be that large.
    function checked(
        uint256 value
    ) internal pure returns (uint256) {
        if (value > LANE_MAX) revert IAlphaPools.AlphaPools_OutOfRange(value);
        return value;
    }

    function pack(
        Reserves memory r
    ) internal pure returns (uint256) {
        return _lanes(r.tndm, r.alpha, r.burnable);
    }

    function unpackReserves(
        uint256 word
    ) internal pure returns (Reserves memory r) {
        r.tndm = word & LANE_MAX;
        r.alpha = (word >> SECOND) & LANE_MAX;
        r.burnable = (word >> THIRD) & LANE_MAX;
    }

    /// @dev priceSeconds fits because a price does and an epoch has less than 2^20 seconds.
    function pack(
        Running memory b
    ) internal pure returns (uint256) {
        if (b.createdEpoch > CREATED_MASK) revert IAlphaPools.AlphaPools_OutOfRange(b.createdEpoch);
        return checked(b.price) | (b.priceSeconds << SECOND) | (b.touchedAt << TOUCHED_AT)
            | (uint256(b.createdEpoch) << CREATED_AT) | (_bit(b.poured) << POURED_AT)
            | (_bit(b.stopping) << STOPPING_AT);
    }

    function unpackRunning(
        uint256 word
    ) internal pure returns (Running memory b) {
        b.price = word & LANE_MAX;
        b.priceSeconds = (word >> SECOND) & PRICE_SECONDS_MASK;
        b.touchedAt = (word >> TOUCHED_AT) & TIME_MASK;
        // forge-lint: disable-next-line(unsafe-typecast) masked to 28 bits
        b.createdEpoch = uint64((word >> CREATED_AT) & CREATED_MASK);
        b.poured = (word >> POURED_AT) & 1 == 1;
        b.stopping = word >> STOPPING_AT == 1;
    }

    function pack(
        Ledger memory l
    ) internal pure returns (uint256) {
        return _lanes(l.ema, l.pending, l.issued) | (_bit(l.oddNext) << AFTER_LANES);
    }

    function unpackLedger(
        uint256 word
    ) internal pure returns (Ledger memory l) {
        l.ema = word & LANE_MAX;
        l.pending = (word >> SECOND) & LANE_MAX;
        l.issued = (word >> THIRD) & LANE_MAX;
        l.oddNext = word >> AFTER_LANES == 1;
    }

    function pack(
        History memory h
    ) internal pure returns (uint256) {
        return _lanes(h.injected, h.lastTwap, 0) | (uint256(h.stopEpoch) << THIRD);
    }

    function unpackHistory(
        uint256 word
    ) internal pure returns (History memory h) {
        h.injected = word & LANE_MAX;
        h.lastTwap = (word >> SECOND) & LANE_MAX;
        // forge-lint: disable-next-line(unsafe-typecast) packed from 64 bits
        h.stopEpoch = uint64(word >> THIRD);
    }

    function pack(
        Ended memory e
    ) internal pure returns (uint256) {
        return _lanes(e.twap, e.closing, e.injected);
    }

    function unpackEnded(
        uint256 word
    ) internal pure returns (Ended memory e) {
        e.twap = word & LANE_MAX;
        e.closing = (word >> SECOND) & LANE_MAX;
        e.injected = (word >> THIRD) & LANE_MAX;
    }

    function _lanes(
        uint256 first,
        uint256 second,
        uint256 third
    ) private pure returns (uint256) {
        return checked(first) | (checked(second) << SECOND) | (checked(third) << THIRD);
    }

    function _bit(
        bool flag
    ) private pure returns (uint256) {
        return flag ? 1 : 0;
    }
}
