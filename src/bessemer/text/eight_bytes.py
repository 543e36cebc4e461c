"""Reads bytes eight at a time, each eight as one number.

Input: the bytes of texts. Output: 64-bit numbers whose lowest byte is the first one, and marks: the
highest bit of each byte that is of a kind.
"""

import numpy as np

from bessemer.text.buffers import Bytes, Integer, inline_kernel, kernel

EACH = np.uint64(0x0101010101010101)  # by what a number is multiplied to be in each byte
MARKS = np.uint64(0x80) * EACH
_ONE = np.uint64(1)


@inline_kernel
def eight_at(data: Bytes, position: int, end: int) -> np.uint64:
    """Return the eight bytes from `position` on; those from `end` on are zero."""
    if position + 8 > end:
        return _last_bytes(data, position, end)
    eight = np.uint64(0)
    first = np.uint64(position)  # an unsigned index is not asked whether it counts from behind
    for i in range(8):  # compiled to one instruction
        eight |= np.uint64(data[first + np.uint64(i)]) << np.uint64(8 * i)
    return eight


@kernel
def _last_bytes(data: Bytes, position: int, end: int) -> np.uint64:
    eight = np.uint64(0)
    for i in range(end - position):
        eight |= np.uint64(data[position + i]) << np.uint64(8 * i)
    return eight


@inline_kernel
def mark_spaces(eight: np.uint64) -> np.uint64:
    """Mark white space of ASCII, and zero: 0x00, 0x09 to 0x0D, 0x20."""
    low = eight & ~MARKS
    not_blank = mark_from(low ^ np.uint64(0x20) * EACH, 0x01)
    are_spaces = (mark_from(low, 0x09) & ~mark_from(low, 0x0E)) | ~(
        not_blank & mark_from(low, 0x01)
    )
    return are_spaces & ~eight & MARKS


@inline_kernel
def mark_from(low: np.uint64, first: int) -> np.uint64:
    """Mark the bytes that are not less than `first`, of bytes below 0x80; the other bits are left
    as they come.

    To seven bits is added what reaches the eighth from there on.
    """
    return low + np.uint64(0x80 - first) * EACH


@inline_kernel
def before_first(marks: np.uint64) -> np.uint64:
    """Return a mask of the bytes before the first that is marked; of all if none is."""
    return ((marks & (~marks + _ONE)) >> np.uint64(7)) - _ONE


@inline_kernel
def count_ones(bits: np.uint64) -> Integer:
    """Return how many bits are 1: compilers know this for what processors have an instruction of.

    Warren, Hacker's Delight, 2nd edition, section 5-1.
    """
    bits -= (bits >> _ONE) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + (
        (bits >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * EACH) >> np.uint64(56))
