// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IDelegation } from "./IDelegation.sol";
import { StakingBase } from "./StakingBase.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title What validators keep of their delegators' dividends
abstract contract Takes is StakingBase {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    /// @dev A checkpoint holds the take in its lower 16 bits, above them a bit that tells it from no checkpoint, and above that
    /// when the take last rose, in seconds.
    uint256 private constant IS_SET = 1 << 16;
    uint256 private constant ROSE_AT_SHIFT = 17;

    uint16 public immutable TAKE_DEFAULT;
    uint16 public immutable TAKE_BOUND;
    uint16 public immutable TAKE_STEP;
    uint64 public immutable TAKE_PERIOD;

    mapping(address hotkey => Checkpoints.Trace208) private _takes;

    constructor(
        Config memory config
    ) {
        if (config.takeDefault > config.takeBound) revert Staking_BadConfig();
        TAKE_DEFAULT = config.takeDefault;
        TAKE_BOUND = config.takeBound;
        TAKE_STEP = config.takeStep;
        TAKE_PERIOD = config.takePeriod;
    }

    /// @inheritdoc IDelegation
    function setTake(
        address hotkey,
        uint16 take
    ) external {
        if (_ownerOf(hotkey) != msg.sender) revert Staking_NotHotkeyOwner(hotkey, msg.sender);
        if (take > TAKE_BOUND) revert Staking_TakeAboveBound(take, TAKE_BOUND);
        Checkpoints.Trace208 storage trace = _takes[hotkey];
        uint256 word = trace.latest();
        uint16 last = _take(word);
        uint256 roseAt = word >> ROSE_AT_SHIFT;
        if (take > last) {
            if (take - last > TAKE_STEP) revert Staking_TakeStepTooLarge(last, take, TAKE_STEP);
            if (roseAt != 0 && block.timestamp < roseAt + TAKE_PERIOD) {
                revert Staking_TakeTooSoon(roseAt + TAKE_PERIOD);
            }
            roseAt = block.timestamp;
        }
        uint48 fromEpoch = _nextKey();
        trace.push(fromEpoch, (roseAt << ROSE_AT_SHIFT | IS_SET | take).toUint208());
        emit TakeSet(hotkey, uint64(fromEpoch), take);
    }

    /// @inheritdoc IDelegation
    function takeAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint16) {
        return _take(_takes[hotkey].upperLookupRecent(_key(epoch)));
    }

    function _take(
        uint256 word
    ) private view returns (uint16) {
        // forge-lint: disable-next-line(unsafe-typecast) the take is the lower 16 bits
        return word == 0 ? TAKE_DEFAULT : uint16(word);
    }
}
