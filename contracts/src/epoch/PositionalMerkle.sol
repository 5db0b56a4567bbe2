// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Hashes } from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Merkle proofs that are bound to a position
/// @notice A tree of `2^proof.length` leaves, unused ones zero, node = keccak256(left ‖ right) in the order of the tree and
/// not sorted, so that a leaf can be proved at one place only. Leaf i sits where npm's `SimpleMerkleTree` with
/// `sortLeaves: false` puts value i: that layout runs from right to left, so at each level the node is the left child
/// where the index bit is 1 and the right child where it is 0.
library PositionalMerkle {
    /// @notice The leaf does not exist in a tree of that depth.
    error PositionalMerkle_IndexOutOfTree(uint256 index, uint256 depth);

    /// @notice Whether a tree of that depth has a leaf at `index`.
    function exists(
        uint256 index,
        uint256 depth
    ) internal pure returns (bool) {
        return index >> depth == 0;
    }

    /// @notice The root that `leaf` at `index` and its siblings, from the leaf upwards, lead to.
    function rootOf(
        bytes32 leaf,
        uint256 index,
        bytes32[] calldata proof
    ) internal pure returns (bytes32 node) {
        if (!exists(index, proof.length)) revert PositionalMerkle_IndexOutOfTree(index, proof.length);
        node = leaf;
        for (uint256 level = 0; level < proof.length; ++level) {
            bool isLeft = (index >> level) & 1 == 1;
            node =
                isLeft ? Hashes.efficientKeccak256(node, proof[level]) : Hashes.efficientKeccak256(proof[level], node);
        }
    }
}
