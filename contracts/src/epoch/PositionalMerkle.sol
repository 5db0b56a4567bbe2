// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

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

    /// @notice The leaf of an encoded value whose hash is `inner`: hashed twice, so that no inner node passes for a leaf.
    function leafOf(
        bytes32 inner
    ) internal pure returns (bytes32 leaf) {
        assembly ("memory-safe") {
            mstore(0x00, inner)
            leaf := keccak256(0x00, 0x20)
        }
    }

    /// @notice The root that `leaf` at `index` and its siblings, from the leaf upwards, lead to.
    function rootOf(
        bytes32 leaf,
        uint256 index,
        bytes32[] calldata proof
    ) internal pure returns (bytes32 node) {
        if (!exists(index, proof.length)) revert PositionalMerkle_IndexOutOfTree(index, proof.length);
        node = leaf;
        // Twenty levels are most of what a claim computes; in scratch space each costs half of what a library call does.
        assembly ("memory-safe") {
            let end := add(proof.offset, shl(5, proof.length))
            // Bits of the index, each where a half of the pair begins. The highest five are zero: no proof is 251 levels long.
            let path := shl(5, index)
            for { let sibling := proof.offset } lt(sibling, end) { sibling := add(sibling, 0x20) } {
                // The sibling's half of the pair: the second where the node is the left child (bit 1), else the first.
                let half := and(path, 0x20)
                mstore(half, calldataload(sibling))
                mstore(xor(half, 0x20), node)
                node := keccak256(0x00, 0x40)
                path := shr(1, path)
            }
        }
    }
}
