"""A hash of strings of code points that can be joined and cut: that of a b from those of a and b.

    hash(c_1 .. c_n) = c_1' B^(n-1) + ... + c_n'   modulo 2**64, with c' = (c + 1) STEP

B is odd, so multiplying by it loses nothing. The hash of any part of a text follows from those of
two beginnings, so words, lines and paragraphs need no pass of their own.
"""

from __future__ import annotations

import functools

import numpy as np

from bessemer.text.buffers import Codes, Hashes, kernel, read_only
from bessemer.text.hashing import STEP, finish

BASE = np.uint64(0xD1342543DE82EF95)  # a multiplier of Steele and Vigna 2021, table 5
_NUM_POWERS = 4096


@functools.cache
def powers() -> Hashes:
    """BASE to the powers 0 to 4095."""
    table = np.ones(_NUM_POWERS, np.uint64)
    with np.errstate(over="ignore"):
        for i in range(1, _NUM_POWERS):
            table[i] = table[i - 1] * BASE
    return read_only(table)


@kernel
def append(state: np.uint64, code: np.uint64) -> np.uint64:
    """The hash of a string with one more code point."""
    return state * BASE + (code + np.uint64(1)) * STEP


@kernel
def power(exponent: int, table: Hashes) -> np.uint64:
    """BASE to a power that may lie beyond the table."""
    if exponent < len(table):
        return np.uint64(table[exponent])
    result = np.uint64(1)
    square = BASE
    while exponent:
        if exponent & 1:
            result *= square
        square *= square
        exponent >>= 1
    return result


@kernel
def cut(whole: np.uint64, before: np.uint64, num_chars: int, table: Hashes) -> np.uint64:
    """The hash of the last `num_chars` characters of a string, `before` being that of the rest."""
    return np.uint64(whole - before * power(num_chars, table))


def hash_text(text: str) -> np.uint64:
    """The finished hash of a string, as the kernels make it of its code points."""
    return np.uint64(_hash_codes(np.array([ord(char) for char in text], np.uint32)))


@kernel
def _hash_codes(codes: Codes) -> np.uint64:
    state = np.uint64(0)
    for code in codes:
        state = append(state, np.uint64(code))
    return np.uint64(finish(state))
