// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";

/// @notice Builds the tree that IRewardDistributor describes: 2^depth leaves, unused ones zero, from right to left.
library RewardTree {
    function leafOf(
        IRewardDistributor.Claim memory c
    ) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(c.index, c.kind, c.netuid, c.account, c.cumulative))));
    }

    function rootOf(
        IRewardDistributor.Claim[] memory claims
    ) internal pure returns (bytes32) {
        return _build(claims)[0];
    }

    function proofOf(
        IRewardDistributor.Claim[] memory claims,
        uint256 index
    ) internal pure returns (bytes32[] memory proof) {
        bytes32[] memory tree = _build(claims);
        uint256 position = tree.length - 1 - index;
        uint256 depth = 0;
        while ((tree.length + 1) >> depth != 2) ++depth;
        proof = new bytes32[](depth);
        for (uint256 level = 0; level < depth; ++level) {
            // Left children have odd positions.
            proof[level] = tree[position % 2 == 1 ? position + 1 : position - 1];
            position = (position - 1) / 2;
        }
    }

    /// @dev The tree as an array: node i has the children 2i + 1 and 2i + 2, leaf i is the i-th from the end.
    function _build(
        IRewardDistributor.Claim[] memory claims
    ) private pure returns (bytes32[] memory tree) {
        uint256 leaves = 1;
        while (leaves < claims.length) leaves *= 2;
        tree = new bytes32[](2 * leaves - 1);
        for (uint256 i = 0; i < claims.length; ++i) {
            tree[tree.length - 1 - i] = leafOf(claims[i]);
        }
        for (uint256 i = leaves - 1; i > 0; --i) {
            tree[i - 1] = keccak256(bytes.concat(tree[2 * i - 1], tree[2 * i]));
        }
    }
}
