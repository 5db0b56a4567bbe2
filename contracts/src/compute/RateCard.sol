// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EpochClock } from "../types/EpochClock.sol";
import { IRateCard } from "./IRateCard.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title RateCard
/// @notice Promises, units and errors are documented on IRateCard.
contract RateCard is IRateCard, AccessManaged, EpochClock {
    /// @notice Longest id of a model, in bytes.
    uint256 public constant MAX_MODEL_ID = 256;

    uint256 private constant MILLION = 1e6;

    mapping(bytes32 model => uint32) private _latest;
    mapping(bytes32 model => mapping(uint32 version => Rate)) private _rates;

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
        _rates[model][version] = Rate({
            promptPerMillion: promptPerMillion, completionPerMillion: completionPerMillion, effectiveFrom: effectiveFrom
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
        if (version == 0 || version > _latest[model]) revert RateCard_UnknownRate(model, version);
        return _rates[model][version];
    }

    /// @inheritdoc IRateCard
    function cost(
        bytes32 model,
        uint32 version,
        uint64 promptTokens,
        uint64 completionTokens
    ) external view returns (uint256 credits) {
        Rate memory rate = rateOf(model, version);
        if (block.timestamp < rate.effectiveFrom) {
            revert RateCard_NotYetEffective(model, version, rate.effectiveFrom);
        }
        uint256 perMillion =
            uint256(rate.promptPerMillion) * promptTokens + uint256(rate.completionPerMillion) * completionTokens;
        credits = Math.ceilDiv(perMillion, MILLION);
    }
}
