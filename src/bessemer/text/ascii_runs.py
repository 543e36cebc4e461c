"""Finds the runs of ASCII letters and digits in a text, and takes them eight bytes at a time.

Input: UTF-8 bytes. Output: where runs begin and end; pieces of a run, up to eight bytes as one
number (`bessemer.text.eight_bytes`), and what they are.

A loop over bytes costs a processor most where a run ends, which it cannot foresee. Here every byte
is made a bit first, 64 in a row, and runs are where neighbouring bits differ.
"""

import numpy as np

from bessemer.text.buffers import Bytes, Counts, Integer, inline_kernel, kernel
from bessemer.text.eight_bytes import EACH, MARKS, count_ones, eight_at, mark_from

_BLOCK_BYTES = 64
_LETTER = np.uint64(0x40) * EACH  # letters have this bit, digits have not
_SMALL = np.uint64(0x20) * EACH  # capitals do not have this one
_GATHER = np.uint64(0x0102040810204080)  # moves the lowest bit of byte i to bit 56 + i
_NONE, _ONE, _SEVEN, _TOP = np.uint64(0), np.uint64(1), np.uint64(7), np.uint64(56)


@kernel
def find_runs(data: Bytes, begin: int, end: int, out_bounds: Counts) -> tuple[int, Integer]:
    """Write the bytes at which each run begins and ends, counted from `begin`.

    Behind them stands where a run would begin that begins beyond the end. There must be room for
    three numbers more than the text has bytes. Returns how many runs there are, and how many
    letters.
    """
    num_bounds = 0
    num_letters: Integer = 0
    carried = _NONE
    for start in range(begin, end, _BLOCK_BYTES):
        in_run = _NONE
        for i in range(0, _BLOCK_BYTES, 8):
            letters, digits = _mark_letters_and_digits(eight_at(data, start + i, end))
            num_letters += count_ones(letters)
            in_run |= (((letters | digits) >> _SEVEN) * _GATHER >> _TOP) << np.uint64(i)
        changes = in_run ^ (in_run << _ONE | carried)
        carried = in_run >> np.uint64(_BLOCK_BYTES - 1)
        while changes:
            below = (changes & (_NONE - changes)) - _ONE
            out_bounds[num_bounds] = start - begin + count_ones(below)
            num_bounds += 1
            changes &= changes - _ONE
    if num_bounds % 2:
        out_bounds[num_bounds] = end - begin
        num_bounds += 1
    out_bounds[num_bounds] = end - begin + 1
    return num_bounds // 2, num_letters


@inline_kernel
def _mark_letters_and_digits(eight: np.uint64) -> tuple[np.uint64, np.uint64]:
    low = eight & ~MARKS
    small = low | _SMALL
    letters = mark_from(small, 0x61) & ~mark_from(small, 0x7B)
    digits = mark_from(low, 0x30) & ~mark_from(low, 0x3A)
    are_ascii = ~eight & MARKS
    return letters & are_ascii, digits & are_ascii


@inline_kernel
def piece_of_run(data: Bytes, position: int, num_bytes: int) -> np.uint64:
    """Return one to eight bytes, the others zero."""
    eight = eight_at(data, position, len(data))
    return eight & ~_NONE >> np.uint64(64 - 8 * num_bytes)


@inline_kernel
def are_small_letters(piece: np.uint64, num_bytes: int) -> bool:
    """Whether all of a piece are small letters."""
    both = (_LETTER | _SMALL) >> np.uint64(64 - 8 * num_bytes)
    return bool(piece & both == both)


@inline_kernel
def lower_piece(piece: np.uint64, num_bytes: int) -> np.uint64:
    """Return a piece in lower case."""
    return piece | _SMALL >> np.uint64(64 - 8 * num_bytes)


@inline_kernel
def num_letters(piece: np.uint64) -> Integer:
    """Return how many of a piece are letters."""
    return count_ones(piece & _LETTER)


@inline_kernel
def num_capitals(piece: np.uint64) -> Integer:
    """Return how many of a piece are capital letters."""
    return count_ones(piece & ~(piece << _ONE) & _LETTER)
