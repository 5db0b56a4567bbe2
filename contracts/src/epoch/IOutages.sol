// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title Outages: gaps in which the chain made no blocks
/// @notice Every deadline of the suite is chain time. While a sequencer is down chain time passes and nobody can act, so a
/// deadline that falls into such a gap is extended by the gap's length. A gap is shown by block headers, by anyone, for as
/// long as the chain knows their hashes (256 blocks, 8,191 where EIP-2935 is active); no one is trusted.
///
/// Promises: a gap that is recorded was one; recording is by anyone and never undone; `extended` never lies before its
/// argument and grows only when a gap around the deadline is recorded.
interface IOutages {
    /// @notice A gap between two consecutive blocks, seconds since 1970.
    struct Outage {
        uint64 from; // timestamp of the last block before it
        uint64 to; // timestamp of the first block after it
    }

    /// @notice No block was made between `from` and `to`.
    event OutageRecorded(uint64 indexed from, uint64 to);

    /// @notice A least gap of zero seconds would make every block an outage.
    error Outages_ZeroLeast();
    /// @notice The chain knows no such block, or no longer.
    error Outages_UnknownBlock(uint256 number);
    /// @notice The first header is not the parent of the second.
    error Outages_NotConsecutive(bytes32 parent, bytes32 given);
    /// @notice The two blocks are `length` seconds apart; an outage takes `least`.
    error Outages_TooShort(uint256 length, uint256 least);
    /// @notice This outage is recorded already.
    error Outages_Known(uint64 from);
    /// @notice More than 64 later outages are recorded: it is too long ago to matter to any deadline.
    error Outages_TooOld(uint64 from);

    /// @notice Record the gap between two consecutive blocks. By anyone.
    /// @param earlier RLP of the last block's header before the gap.
    /// @param later RLP of the first block's header after it.
    function record(
        bytes calldata earlier,
        bytes calldata later
    ) external;

    /// @notice Record the gap that this very block ends. By anyone.
    /// @param parent RLP of the header of this block's parent.
    function recordNow(
        bytes calldata parent
    ) external;

    /// @notice The deadline, or where it lies in a recorded gap `(from, to]`, `to − from` seconds later; again where that lies in
    /// another one.
    function extended(
        uint256 deadline
    ) external view returns (uint256);

    /// @notice Shortest gap that counts, seconds.
    function least() external view returns (uint64);

    /// @notice Outages recorded so far, ascending by time.
    function outageCount() external view returns (uint256);
    function outageAt(
        uint256 position
    ) external view returns (Outage memory);

    // constructor(uint64 least)
}
