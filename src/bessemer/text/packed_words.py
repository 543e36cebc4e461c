"""Takes a word in by pieces of up to eight bytes, and hashes it whatever the pieces were.

Input: a word's characters: those of ASCII a byte each in a 64-bit number, others as code points.
Output: a hash, and the word's first and last five bytes.

Eight bytes of ASCII are hashed together, counted from the word's beginning or from its last
character that is not ASCII: so the hash depends on the characters alone. Zero, which a number is
filled up with, is taken for no ASCII.
"""

from typing import NamedTuple

import numpy as np

from bessemer.text.buffers import Integer, kernel
from bessemer.text.hashing import SEED, extend, finish

_NONE = np.uint64(0)
_FIVE_BYTES = np.uint64(2**40 - 1)


class PackedWord(NamedTuple):
    """What was taken in of a word."""

    state: np.uint64  # hash of all but `rest`
    first: np.uint64  # the first bytes, if `rest` does not begin with them
    last: np.uint64  # the eight bytes before `rest`, 0 if there are not as many of ASCII
    rest: np.uint64  # bytes that are not hashed, up to eight
    num_rest: int


NO_WORD = PackedWord(SEED, _NONE, _NONE, _NONE, 0)


@kernel
def append(word: PackedWord, piece: np.uint64, num_bytes: int) -> PackedWord:
    """Append one to eight bytes of ASCII; those of `piece` behind them are zero."""
    state, first, last, rest, num_rest = word
    half = np.uint64(4 * num_rest)  # to shift by 64 at once is not defined
    joined = rest | piece << half << half
    num_joined = num_rest + num_bytes
    if num_joined <= 8:
        return PackedWord(state, first, last, joined, num_joined)
    first = joined if state == SEED else first
    rest = piece >> np.uint64(8 * (8 - num_rest))
    return PackedWord(finish(state ^ joined), first, joined, rest, num_joined - 8)


@kernel
def append_code(word: PackedWord, code: Integer) -> PackedWord:
    """Append one character."""
    if 0 < code < 0x80:
        return append(word, np.uint64(code), 1)
    state, first, _, rest, num_rest = word
    if num_rest:
        first = rest if state == SEED else first
        state = finish(state ^ rest)
    return PackedWord(extend(state, np.uint64(code)), first, _NONE, _NONE, 0)


@kernel
def hash_of(word: PackedWord) -> np.uint64:
    return finish(word.state ^ word.rest)


@kernel
def first_five(word: PackedWord) -> np.uint64:
    """Return the first five bytes of a word that begins with as many of ASCII."""
    return (word.rest if word.state == SEED else word.first) & _FIVE_BYTES


@kernel
def last_five(word: PackedWord) -> np.uint64:
    """Return the last five bytes of a word that ends with as many of ASCII."""
    if word.num_rest >= 5:
        five = word.rest >> np.uint64(8 * (word.num_rest - 5))
    else:
        five = word.rest << np.uint64(8 * (5 - word.num_rest))
        five |= word.last >> np.uint64(8 * (3 + word.num_rest))
    return five & _FIVE_BYTES
