// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title EpochClock
/// @notice Time as the suite counts it: epoch `e` covers `[GENESIS + e·LENGTH, GENESIS + (e+1)·LENGTH)`, both immutable.
/// What happens before genesis counts as epoch 0, so that a network can be set up before it starts.
abstract contract EpochClock {
    /// @notice Start of epoch 0, seconds since 1970.
    uint64 public immutable GENESIS;
    /// @notice Length of an epoch in seconds.
    uint64 public immutable LENGTH;

    error EpochClock_ZeroLength();

    constructor(
        uint64 genesis,
        uint64 length
    ) {
        if (length == 0) revert EpochClock_ZeroLength();
        GENESIS = genesis;
        LENGTH = length;
    }

    /// @notice The epoch that `timestamp` falls into; 0 before genesis.
    function epochAt(
        uint256 timestamp
    ) public view returns (uint64) {
        if (timestamp < GENESIS) return 0;
        return uint64((timestamp - GENESIS) / LENGTH);
    }

    /// @notice The epoch of this block.
    function currentEpoch() public view returns (uint64) {
        return epochAt(block.timestamp);
    }

    /// @notice First second of `epoch`.
    function startOf(
        uint64 epoch
    ) public view returns (uint256) {
        return uint256(GENESIS) + uint256(epoch) * LENGTH;
    }

    /// @notice First second after `epoch`.
    function endOf(
        uint64 epoch
    ) public view returns (uint256) {
        return startOf(epoch + 1);
    }
}
