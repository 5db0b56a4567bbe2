// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @dev A subnet's account with the law of emission, in the one slot that closing an epoch reads and writes:
///
///     bits   0 ..  84   allowance   TNDM that the subnet may still be emitted
///     bits  85 .. 169   emitted     TNDM emitted to it, ever
///     bits 170 .. 254   burned      TNDM burned for it, ever
///     bit  255          waits       some of it is not folded into the allowance yet
///
/// The whole supply of TNDM, 21e24, is below 2^85; writing more reverts.
type LedgerWord is uint256;

using { allowance, emitted, burned, waits, differs, burnedMore, paid } for LedgerWord global;

// Literals: solc would compute powers of constants anew wherever they are used.
uint256 constant AMOUNT_MASK = 0x1fffffffffffffffffffff;
uint256 constant EMITTED_AT = 85;
uint256 constant BURNED_AT = 170;
uint256 constant WAITS_AT = 255;

/// @dev The amount does not fit, which the supply of TNDM rules out.
error LedgerWord_Overflow(uint256 amount);

function allowance(
    LedgerWord word
) pure returns (uint256) {
    return LedgerWord.unwrap(word) & AMOUNT_MASK;
}

function emitted(
    LedgerWord word
) pure returns (uint256) {
    return (LedgerWord.unwrap(word) >> EMITTED_AT) & AMOUNT_MASK;
}

function burned(
    LedgerWord word
) pure returns (uint256) {
    return (LedgerWord.unwrap(word) >> BURNED_AT) & AMOUNT_MASK;
}

function waits(
    LedgerWord word
) pure returns (bool) {
    return LedgerWord.unwrap(word) >> WAITS_AT != 0;
}

function differs(
    LedgerWord a,
    LedgerWord b
) pure returns (bool) {
    return LedgerWord.unwrap(a) != LedgerWord.unwrap(b);
}

/// @dev After a burn, which waits.
function burnedMore(
    LedgerWord word,
    uint256 amount
) pure returns (LedgerWord) {
    return _pack(word.allowance(), word.emitted(), word.burned() + amount, true);
}

/// @dev After the closing of an epoch: the allowance that is left, what was emitted more, whether burns still wait.
function paid(
    LedgerWord word,
    uint256 left,
    uint256 amount,
    bool waiting
) pure returns (LedgerWord) {
    return _pack(left, word.emitted() + amount, word.burned(), waiting);
}

function _pack(
    uint256 allowance_,
    uint256 emitted_,
    uint256 burned_,
    bool waits_
) pure returns (LedgerWord) {
    uint256 greatest = allowance_ | emitted_ | burned_;
    if (greatest > AMOUNT_MASK) revert LedgerWord_Overflow(greatest);
    return LedgerWord.wrap(
        allowance_ | emitted_ << EMITTED_AT | burned_ << BURNED_AT | (waits_ ? uint256(1) << WAITS_AT : 0)
    );
}
