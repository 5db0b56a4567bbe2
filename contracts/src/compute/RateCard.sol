// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EpochClock } from "../types/EpochClock.sol";
import { IRateCard } from "./IRateCard.sol";
import { costUp } from "./Pricing.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title RateCard
/// @notice Promises, units and errors are documented on IRateCard.
contract RateCard is IRateCard, AccessManaged, EpochClock {
    /// @dev A Rate in one word. `effectiveFrom` is zero for versions that do not exist.
    struct Published {
        uint96 promptPerMillion;
        uint96 completionPerMillion;
        uint64 effectiveFrom;
    }

    /// @notice Longest id of a model, in bytes.
    uint256 public constant MAX_MODEL_ID = 256;
    /// @notice Highest price per million tokens.
    uint128 public constant MAX_RATE = type(uint96).max;

    mapping(bytes32 model => uint32) private _latest;
    mapping(bytes32 model => mapping(uint32 version => Published)) private _rates;

    /// @param authority The AccessManager that says who publishes.
    /// @param genesis Start of epoch 0, seconds.
    /// @param epochLength Length of an epoch, seconds.
    constructor(
        address authority,
        uint64 genesis,
        uint64 epochLength
    ) AccessManaged(authority) EpochClock(genesis, epochLength) { }

    /// @inheritdoc IRateCard
    function publish(
        string calldata modelId,
        uint128 promptPerMillion,
        uint128 completionPerMillion
    ) external restricted returns (bytes32 model, uint32 version) {
        uint256 length = bytes(modelId).length;
        if (length == 0 || length > MAX_MODEL_ID) revert RateCard_InvalidModelId(length);
        model = keccak256(bytes(modelId));
        version = _latest[model] + 1;
        uint64 effectiveFrom = SafeCast.toUint64(version == 1 ? block.timestamp : endOf(currentEpoch()));
        _latest[model] = version;
        _rates[model][version] = Published({
            promptPerMillion: _word(promptPerMillion),
            completionPerMillion: _word(completionPerMillion),
            effectiveFrom: effectiveFrom
        });
        emit RatePublished(model, version, modelId, promptPerMillion, completionPerMillion, effectiveFrom);
    }

    /// @inheritdoc IRateCard
    function latestVersion(
        bytes32 model
    ) external view returns (uint32) {
        return _latest[model];
    }

    /// @inheritdoc IRateCard
    function rateOf(
        bytes32 model,
        uint32 version
    ) public view returns (Rate memory) {
        Published memory published = _rates[model][version];
        if (published.effectiveFrom == 0) revert RateCard_UnknownRate(model, version);
        return Rate({
            promptPerMillion: published.promptPerMillion,
            completionPerMillion: published.completionPerMillion,
            effectiveFrom: published.effectiveFrom
        });
    }

    /// @inheritdoc IRateCard
    function effectiveRateOf(
        bytes32 model,
        uint32 version
    ) public view returns (Rate memory rate) {
        rate = rateOf(model, version);
        if (block.timestamp < rate.effectiveFrom) {
            revert RateCard_NotYetEffective(model, version, rate.effectiveFrom);
        }
    }

    /// @inheritdoc IRateCard
    function cost(
        bytes32 model,
        uint32 version,
        uint64 promptTokens,
        uint64 completionTokens
    ) external view returns (uint256 credits) {
        Rate memory rate = effectiveRateOf(model, version);
        return costUp(rate.promptPerMillion, rate.completionPerMillion, promptTokens, completionTokens);
    }

    function _word(
        uint128 perMillion
    ) private pure returns (uint96) {
        if (perMillion > MAX_RATE) revert RateCard_RateTooHigh(perMillion, MAX_RATE);
        return SafeCast.toUint96(perMillion);
    }
}
