// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title A list of netuids, sixteen to a word
/// @dev Solidity packs such an array too, but copies it to memory with sixteen pieces of code, one for each place in a word.
library NetuidList {
    /// @dev Entries from `length` on are garbage.
    struct List {
        uint256 length;
        mapping(uint256 index => uint256) words;
    }

    uint256 private constant PER_WORD = 16;
    uint256 private constant BITS = 16;

    function push(
        List storage list,
        uint16 netuid
    ) internal {
        uint256 length = list.length;
        _set(list, length, netuid);
        list.length = length + 1;
    }

    /// @dev Those behind move up by one place. The netuid is in the list.
    function remove(
        List storage list,
        uint16 netuid
    ) internal {
        uint16[] memory netuids = all(list);
        uint256 last = netuids.length - 1;
        uint256 place = last;
        while (netuids[place] != netuid) --place;
        for (; place < last; ++place) {
            _set(list, place, netuids[place + 1]);
        }
        list.length = last;
    }

    function all(
        List storage list
    ) internal view returns (uint16[] memory netuids) {
        return _copied(list, 0);
    }

    /// @dev The entries of an ascending list and of another one that shares none with it, ascending.
    function mergedWith(
        List storage ascending,
        List storage others
    ) internal view returns (uint16[] memory netuids) {
        uint16[] memory more = all(others);
        netuids = _copied(ascending, more.length);
        uint256 length = netuids.length - more.length;
        for (uint256 i = 0; i < more.length; ++i) {
            uint256 place = length + i;
            for (; place > 0 && netuids[place - 1] > more[i]; --place) {
                netuids[place] = netuids[place - 1];
            }
            netuids[place] = more[i];
        }
    }

    /// @dev With room for `extra` more behind.
    function _copied(
        List storage list,
        uint256 extra
    ) private view returns (uint16[] memory netuids) {
        uint256 length = list.length;
        netuids = new uint16[](length + extra);
        uint256 word = 0;
        for (uint256 i = 0; i < length; ++i) {
            word = i % PER_WORD == 0 ? list.words[i / PER_WORD] : word >> BITS;
            // The lowest entry of the word is next.
            // forge-lint: disable-next-line(unsafe-typecast)
            netuids[i] = uint16(word);
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
