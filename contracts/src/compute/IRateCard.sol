// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title Published prices of inference
/// @notice Credits per million prompt and completion tokens, per model and version. A model is named by `keccak256` of its id;
/// its versions count from 1 and never change once published: an old voucher keeps the price of the version it names.
/// Settlement refuses to pay more than that.
interface IRateCard {
    /// @notice One version of a model's prices.
    /// @param promptPerMillion Credits (18 decimals) per million prompt tokens.
    /// @param completionPerMillion Credits (18 decimals) per million completion tokens.
    /// @param effectiveFrom First second from which the version may be used.
    struct Rate {
        uint128 promptPerMillion;
        uint128 completionPerMillion;
        uint64 effectiveFrom;
    }

    /// @notice A version was published; the only place on chain that spells a model's id out.
    event RatePublished(
        bytes32 indexed model,
        uint32 indexed version,
        string modelId,
        uint128 promptPerMillion,
        uint128 completionPerMillion,
        uint64 effectiveFrom
    );

    /// @notice A model's id is empty or longer than 256 bytes.
    error RateCard_InvalidModelId(uint256 length);
    /// @notice A price per million tokens ends at `maximum`: a version is one word, and settlement reads one word.
    error RateCard_RateTooHigh(uint128 perMillion, uint128 maximum);
    /// @notice The model has no such version.
    error RateCard_UnknownRate(bytes32 model, uint32 version);
    /// @notice The version may be used from `effectiveFrom` on.
    error RateCard_NotYetEffective(bytes32 model, uint32 version, uint64 effectiveFrom);

    /// @notice `restricted`: publish the next version of a model's rate, effective from the next epoch's start; a model's first
    /// version at once, because nobody can have counted on another one.
    /// @param modelId At most 256 bytes, as contributors and clients spell it.
    /// @param promptPerMillion Credits (18 decimals) per million prompt tokens, below 2^96.
    /// @param completionPerMillion Credits (18 decimals) per million completion tokens, below 2^96.
    /// @return model `keccak256(bytes(modelId))`.
    /// @return version The number of this version.
    function publish(
        string calldata modelId,
        uint128 promptPerMillion,
        uint128 completionPerMillion
    ) external returns (bytes32 model, uint32 version);

    /// @notice The newest version, effective or not; 0 for an unknown model.
    function latestVersion(
        bytes32 model
    ) external view returns (uint32);

    /// @notice A version, effective or not; reverts with `RateCard_UnknownRate`.
    function rateOf(
        bytes32 model,
        uint32 version
    ) external view returns (Rate memory);

    /// @notice A version that may be used now; reverts with `RateCard_UnknownRate` or `RateCard_NotYetEffective`.
    function effectiveRateOf(
        bytes32 model,
        uint32 version
    ) external view returns (Rate memory);

    /// @notice Credits (18 decimals) for these tokens, rounded up once, over both kinds together.
    /// @dev Reverts as `effectiveRateOf` does.
    function cost(
        bytes32 model,
        uint32 version,
        uint64 promptTokens,
        uint64 completionTokens
    ) external view returns (uint256 credits);

    // constructor(address authority, uint64 genesis, uint64 epochLength)
}
