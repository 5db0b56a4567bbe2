// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title Published prices: credits per million prompt and completion tokens, per model (keccak256 of its id) and version.
interface IRateCard {
    struct Rate { uint128 promptPerMillion; uint128 completionPerMillion; uint64 effectiveFrom; }
    event RatePublished(bytes32 indexed model, uint32 indexed version, string modelId, uint128 promptPerMillion, uint128 completionPerMillion, uint64 effectiveFrom);
    /// @notice restricted. Next version of a model's rate, effective from the next epoch's start (the first version at once). Versions start at 1.
    function publish(string calldata modelId, uint128 promptPerMillion, uint128 completionPerMillion) external returns (bytes32 model, uint32 version);
    function latestVersion(bytes32 model) external view returns (uint32);
    function rateOf(bytes32 model, uint32 version) external view returns (Rate memory);
    /// @notice Credits for these tokens, rounded up; reverts for an unknown or not yet effective version.
    function cost(bytes32 model, uint32 version, uint64 promptTokens, uint64 completionTokens) external view returns (uint256 credits);
    // constructor(address authority, uint64 genesis, uint64 epochLength)
}
