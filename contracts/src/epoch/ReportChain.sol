// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title The words in which the oracle keeps its chain of reports
/// @notice Both are read and written whole, once, by every posting, which is why they are packed by hand: the compiler would read
/// and write a slot once for each field. Epochs that may be missing are kept plus one, so that zero is none. Fields are 40 bits wide:
/// epochs and seconds for some 35,000 years; whoever packs checks.
library ReportChain {
    /// @notice Where the chain stands.
    struct Head {
        uint256 posted; // the last report that is not void, plus one
        uint256 active; // the last active report, plus one
        uint256 oldest; // no pending report is of an earlier epoch
        uint256 cleanSince; // of the reports posted so far, active or not
        uint256 lastVoidAt;
        uint256 voided; // the highest epoch that ever had a report voided, plus one
        uint256 vetoesInARow;
    }

    /// @notice A report beside its hash.
    struct Entry {
        uint256 epoch;
        uint256 parent; // the report before it, plus one
        uint256 postedAt; // never zero
        uint256 attempt; // 32 bits
        bool isVoid;
    }

    uint256 private constant WIDTH = 40;
    uint256 private constant MASK = 2 ** WIDTH - 1;
    uint256 private constant ATTEMPT_WIDTH = 32;

    function unpackHead(
        uint256 word
    ) internal pure returns (Head memory head) {
        head.posted = word & MASK;
        head.active = (word >> WIDTH) & MASK;
        head.oldest = (word >> (2 * WIDTH)) & MASK;
        head.cleanSince = (word >> (3 * WIDTH)) & MASK;
        head.lastVoidAt = (word >> (4 * WIDTH)) & MASK;
        head.voided = (word >> (5 * WIDTH)) & MASK;
        head.vetoesInARow = word >> (6 * WIDTH);
    }

    function pack(
        Head memory head
    ) internal pure returns (uint256 word) {
        word = head.posted | (head.active << WIDTH) | (head.oldest << (2 * WIDTH));
        word |= (head.cleanSince << (3 * WIDTH)) | (head.lastVoidAt << (4 * WIDTH));
        word |= (head.voided << (5 * WIDTH)) | (head.vetoesInARow << (6 * WIDTH));
    }

    function unpackEntry(
        uint256 word
    ) internal pure returns (Entry memory entry) {
        entry.epoch = word & MASK;
        entry.parent = (word >> WIDTH) & MASK;
        entry.postedAt = (word >> (2 * WIDTH)) & MASK;
        entry.attempt = (word >> (3 * WIDTH)) & (2 ** ATTEMPT_WIDTH - 1);
        entry.isVoid = word >> (3 * WIDTH + ATTEMPT_WIDTH) != 0;
    }

    function pack(
        Entry memory entry
    ) internal pure returns (uint256 word) {
        word = entry.epoch | (entry.parent << WIDTH) | (entry.postedAt << (2 * WIDTH));
        word |= (entry.attempt << (3 * WIDTH)) | (uint256(entry.isVoid ? 1 : 0) << (3 * WIDTH + ATTEMPT_WIDTH));
    }
}
