// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title A list of netuids, sixteen to a word, from which some of the first 256 can be struck out before they are removed
/// @dev Solidity packs an array too, but copies it to memory with sixteen pieces of code, one for each place in a word.
library NetuidList {
    /// @dev Entries from `length` on are garbage. Bit i of `struck`: entry i is struck out.
    struct List {
        uint16 length;
        uint16 struckCount;
        uint256 struck;
        mapping(uint256 index => uint256) words;
    }

    uint256 private constant PER_WORD = 16;
    uint256 private constant BITS = 16;

    function push(
        List storage list,
        uint16 netuid
    ) internal {
        _set(list, list.length, netuid);
        ++list.length;
    }

    /// @dev `netuid` is one of the first 256 entries.
    function strike(
        List storage list,
        uint16 netuid
    ) internal {
        uint16[] memory netuids = all(list);
        uint256 place = 0;
        while (netuids[place] != netuid) ++place;
        list.struck |= 2 ** place;
        ++list.struckCount;
    }

    /// @dev Removes what is struck out; what is behind moves up.
    function compact(
        List storage list
    ) internal {
        if (list.struckCount == 0) return;
        uint16[] memory left = standing(list);
        for (uint256 i = 0; i < left.length; ++i) {
            _set(list, i, left[i]);
        }
        list.length -= list.struckCount;
        (list.struck, list.struckCount) = (0, 0);
    }

    function all(
        List storage list
    ) internal view returns (uint16[] memory) {
        return _without(list, 0);
    }

    /// @dev All that is not struck out.
    function standing(
        List storage list
    ) internal view returns (uint16[] memory) {
        return _without(list, list.struck);
    }

    function countStanding(
        List storage list
    ) internal view returns (uint256) {
        return list.length - list.struckCount;
    }

    function _without(
        List storage list,
        uint256 skipped
    ) private view returns (uint16[] memory netuids) {
        uint256 length = list.length;
        netuids = new uint16[](length);
        uint256 found = 0;
        uint256 word = 0;
        for (uint256 i = 0; i < length; ++i) {
            word = i % PER_WORD == 0 ? list.words[i / PER_WORD] : word >> BITS;
            // The lowest entry of the word is next.
            // forge-lint: disable-next-line(unsafe-typecast)
            if ((skipped >> i) & 1 == 0) netuids[found++] = uint16(word);
        }
        // Shorter than it was allocated: what lies behind stays unused.
        assembly ("memory-safe") {
            mstore(netuids, found)
        }
    }

    function _set(
        List storage list,
        uint256 place,
        uint16 netuid
    ) private {
        uint256 shift = (place % PER_WORD) * BITS;
        uint256 others = list.words[place / PER_WORD] & ~(uint256(type(uint16).max) << shift);
        list.words[place / PER_WORD] = others | (uint256(netuid) << shift);
    }
}
