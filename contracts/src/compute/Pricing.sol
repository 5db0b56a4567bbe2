// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

uint256 constant TOKENS_PER_RATE = 1e6;

/// @dev Credits (18 decimals) for these tokens at these rates per million, rounded up once, over both kinds together.
function costUp(
    uint128 promptPerMillion,
    uint128 completionPerMillion,
    uint64 promptTokens,
    uint64 completionTokens
) pure returns (uint256) {
    // Two products of 128 and 64 bits fit into 256.
    unchecked {
        uint256 millionfold =
            uint256(promptPerMillion) * promptTokens + uint256(completionPerMillion) * completionTokens;
        return (millionfold + TOKENS_PER_RATE - 1) / TOKENS_PER_RATE;
    }
}
