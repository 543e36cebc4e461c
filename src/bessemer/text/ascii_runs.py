"""Finds the runs of ASCII letters and digits in a text, and takes them eight bytes at a time.

Input: UTF-8 bytes. Output: where runs begin and end; bytes as 64-bit numbers, the first byte
lowest, and what those of a run are.

A loop over bytes costs a processor most where a run ends, which it cannot foresee. Here every byte
is made a bit first, 64 in a row, and runs are where neighbouring bits differ. What holds of a byte
is told by a flag, its highest bit, by the arithmetic of Lamport, Multiple Byte Processing with
Full-Word Instructions (1975): a byte below 128 has a bit to spare, and a number that is added
carries into it from some byte on. All of it is unsigned: numba makes a float of a mixed sum.
"""

import numpy as np

from bessemer.text.buffers import Bytes, Counts, Integer, kernel

_BLOCK_BYTES = 64
_EACH = np.uint64(0x0101010101010101)
_FLAGS = np.uint64(0x80) * _EACH
_LETTERS = np.uint64(0x40) * _EACH  # letters have this bit, digits have not
_SMALL = np.uint64(0x20) * _EACH  # capitals do not have this one
_GATHER = np.uint64(0x0102040810204080)  # moves the lowest bit of byte i to bit 56 + i
_NONE, _ONE, _SEVEN, _TOP = np.uint64(0), np.uint64(1), np.uint64(7), np.uint64(56)


@kernel
def find_runs(data: Bytes, begin: int, end: int, out_bounds: Counts) -> int:
    """Write the bytes at which each run begins and ends, counted from `begin`; return how many.

    Behind them stands where a run would begin that begins beyond the end. There must be room for
    three numbers more than the text has bytes.
    """
    num_bounds = 0
    carried = _NONE
    for start in range(begin, end, _BLOCK_BYTES):
        in_run = _NONE
        for i in range(0, _BLOCK_BYTES, 8):
            in_run |= _gather(_flag_run(eight_bytes(data, start + i))) << np.uint64(i)
        if start + _BLOCK_BYTES > end:
            in_run &= (_ONE << np.uint64(end - start)) - _ONE
        changes = in_run ^ (in_run << _ONE | carried)
        carried = in_run >> np.uint64(_BLOCK_BYTES - 1)
        while changes:
            out_bounds[num_bounds] = start - begin + _lowest_bit(changes)
            num_bounds += 1
            changes &= changes - _ONE
    if num_bounds % 2:
        out_bounds[num_bounds] = end - begin
        num_bounds += 1
    out_bounds[num_bounds] = end - begin + 1
    return num_bounds // 2


@kernel
def eight_bytes(data: Bytes, position: int) -> np.uint64:
    """Return the bytes from a position on; those beyond the data are zero."""
    value = _NONE
    first = np.uint64(position)  # an unsigned index is not asked whether it counts from behind
    if position + 8 <= len(data):
        for i in range(8):  # one instruction when compiled
            value |= np.uint64(data[first + np.uint64(i)]) << np.uint64(8 * i)
    else:
        for i in range(len(data) - position):
            value |= np.uint64(data[first + np.uint64(i)]) << np.uint64(8 * i)
    return value


@kernel
def piece_of_run(data: Bytes, position: int, num_bytes: int) -> np.uint64:
    """Return one to eight bytes, the others zero."""
    return eight_bytes(data, position) & ~_NONE >> np.uint64(64 - 8 * num_bytes)


@kernel
def are_small_letters(piece: np.uint64, num_bytes: int) -> bool:
    """Whether all of a piece of a run are small letters."""
    both = (_LETTERS | _SMALL) >> np.uint64(64 - 8 * num_bytes)
    return bool(piece & both == both)


@kernel
def lower_piece(piece: np.uint64, num_bytes: int) -> np.uint64:
    """Return a piece of a run in lower case."""
    return piece | _SMALL >> np.uint64(64 - 8 * num_bytes)


@kernel
def count_piece(piece: np.uint64) -> tuple[Integer, Integer]:
    """Return how many of a piece of a run are letters, and how many of them capitals."""
    letters = piece & _LETTERS
    return _num_flags(letters << _ONE), _num_flags((letters & ~(piece << _ONE)) << _ONE)


@kernel
def _flag_run(eight: np.uint64) -> np.uint64:
    """Flag the bytes that are letters or digits."""
    low = eight & ~_FLAGS
    small = low | _SMALL
    letters = _flag_from(small, 0x61) & ~_flag_from(small, 0x7B)
    digits = _flag_from(low, 0x30) & ~_flag_from(low, 0x3A)
    return (letters | digits) & ~eight & _FLAGS


@kernel
def _flag_from(low: np.uint64, first: int) -> np.uint64:
    """Flag the bytes that are not less than `first`."""
    return low + np.uint64(0x80 - first) * _EACH


@kernel
def _num_flags(flags: np.uint64) -> Integer:
    return np.int64((flags >> _SEVEN) * _EACH >> _TOP)


@kernel
def _gather(flags: np.uint64) -> np.uint64:
    """Return eight flags as eight bits."""
    return (flags >> _SEVEN) * _GATHER >> _TOP


@kernel
def _lowest_bit(bits: np.uint64) -> Integer:
    """Return how many bits are below the lowest that is set.

    They are counted by adding neighbours (Warren, Hacker's Delight, section 5-1), which compiles to
    one instruction.
    """
    below = (bits & (_NONE - bits)) - _ONE
    below -= below >> _ONE & np.uint64(0x55) * _EACH
    below = (below & np.uint64(0x33) * _EACH) + (below >> np.uint64(2) & np.uint64(0x33) * _EACH)
    below = below + (below >> np.uint64(4)) & np.uint64(0x0F) * _EACH
    return np.int64(below * _EACH >> _TOP)
