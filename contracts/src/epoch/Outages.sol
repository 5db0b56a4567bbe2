// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IOutages } from "./IOutages.sol";
import { BlockHeader } from "@openzeppelin/contracts/utils/BlockHeader.sol";
import { Blockhash } from "@openzeppelin/contracts/utils/Blockhash.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Outages
/// @notice Promises, units and errors are documented on IOutages.
contract Outages is IOutages {
    using SafeCast for uint256;

    /// @dev Bounds the walk of an insertion. Outages come in order, one by one, and are recorded soon.
    uint256 private constant MAX_LATER = 64;

    uint64 private immutable _LEAST;
    /// @dev Ascending and apart from each other, as gaps of one chain are.
    Outage[] private _outages;

    constructor(
        uint64 least_
    ) {
        if (least_ == 0) revert Outages_ZeroLeast();
        _LEAST = least_;
    }

    /// @inheritdoc IOutages
    function record(
        bytes calldata earlier,
        bytes calldata later
    ) external {
        if (!BlockHeader.verifyBlockHeader(later)) revert Outages_UnknownBlock(BlockHeader.getNumber(later));
        bytes32 parent = BlockHeader.getParentHash(later);
        if (keccak256(earlier) != parent) revert Outages_NotConsecutive(parent, keccak256(earlier));
        _insert(BlockHeader.getTimestamp(earlier), BlockHeader.getTimestamp(later));
    }

    /// @inheritdoc IOutages
    function recordNow(
        bytes calldata parent
    ) external {
        bytes32 expected = Blockhash.blockHash(block.number - 1);
        if (keccak256(parent) != expected) revert Outages_NotConsecutive(expected, keccak256(parent));
        _insert(BlockHeader.getTimestamp(parent), block.timestamp);
    }

    /// @inheritdoc IOutages
    function extended(
        uint256 deadline
    ) external view returns (uint256) {
        uint256 count = _outages.length;
        for (uint256 i = _firstEndingFrom(deadline); i < count; ++i) {
            Outage memory outage = _outages[i];
            if (deadline <= outage.from) break;
            // A deadline that was extended may have jumped over this one.
            if (deadline <= outage.to) deadline += outage.to - outage.from;
        }
        return deadline;
    }

    /// @inheritdoc IOutages
    function least() external view returns (uint64) {
        return _LEAST;
    }

    /// @inheritdoc IOutages
    function outageCount() external view returns (uint256) {
        return _outages.length;
    }

    /// @inheritdoc IOutages
    function outageAt(
        uint256 position
    ) external view returns (Outage memory) {
        return _outages[position];
    }

    function _insert(
        uint256 from,
        uint256 to
    ) private {
        uint256 length = to - from;
        if (length < _LEAST) revert Outages_TooShort(length, _LEAST);
        Outage memory outage = Outage({ from: from.toUint64(), to: to.toUint64() });
        _outages.push(outage);
        uint256 i = _outages.length - 1;
        uint256 last = i > MAX_LATER ? i - MAX_LATER : 0;
        for (; i > last && _outages[i - 1].from > from; --i) {
            _outages[i] = _outages[i - 1];
        }
        if (i > 0) {
            if (_outages[i - 1].from == from) revert Outages_Known(outage.from);
            if (_outages[i - 1].from > from) revert Outages_TooOld(outage.from);
        }
        _outages[i] = outage;
        emit OutageRecorded(outage.from, outage.to);
    }

    /// @dev Position of the first outage that ends at or after `time`; the count of outages if none does.
    function _firstEndingFrom(
        uint256 time
    ) private view returns (uint256 low) {
        uint256 high = _outages.length;
        while (low < high) {
            uint256 middle = Math.average(low, high);
            if (_outages[middle].to < time) low = middle + 1;
            else high = middle;
        }
    }
}
