// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Create2 } from "@openzeppelin/contracts/utils/Create2.sol";

/// @title Keeper sets kept as code
/// @notice A set never changes once written and is read whole by every report, so it lives in the code of a contract of its own: one
/// account to look up instead of a storage slot for each keeper. The code is words: first epoch, threshold, digest, an empty one, number of
/// keepers, keepers. It begins with a zero byte (the high end of the epoch), the STOP instruction: calling a table does nothing.
library KeeperTable {
    /// @notice `keepers` strictly ascending.
    struct Members {
        uint64 fromEpoch;
        uint16 threshold;
        bytes32 configDigest;
        address[] keepers;
    }

    /// @dev PUSH2 length · DUP1 · PUSH1 10 (its own length) · RETURNDATASIZE (0) · CODECOPY · RETURNDATASIZE · RETURN
    bytes1 private constant PUSH_LENGTH = 0x61;
    bytes7 private constant RETURN_THE_REST = 0x80600a3d393df3;

    /// @notice Creates the table.
    /// @param salt must differ from set to set.
    function write(
        Members memory members,
        bytes32 salt
    ) internal returns (address table) {
        // Elements of a packed array are whole words.
        bytes memory data = abi.encodePacked(
            uint256(members.fromEpoch),
            uint256(members.threshold),
            members.configDigest,
            uint256(0),
            members.keepers.length,
            members.keepers
        );
        // Thirty-one keepers are about 1.1 kB: the length fits into two bytes.
        bytes memory creation = abi.encodePacked(PUSH_LENGTH, uint16(data.length), RETURN_THE_REST, data);
        return Create2.deploy(0, salt, creation);
    }

    /// @notice The set that `write` put there. The words of the code are those of the struct and its array in memory, the empty one is for the
    /// array's place; so they are copied there as they are, which costs a tenth of decoding them.
    function read(
        address table
    ) internal view returns (Members memory members) {
        // The struct is three words and the place of its array; the array is its length and its elements.
        assembly ("memory-safe") {
            let size := extcodesize(table)
            members := mload(0x40)
            mstore(0x40, add(members, size))
            extcodecopy(table, members, 0, size)
            mstore(add(members, 0x60), add(members, 0x80))
        }
    }
}
