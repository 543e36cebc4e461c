"""Holds the 64-bit hash arithmetic and the position table that finds equal hashes.

Input: code points, bytes or hashes, one at a time. Output: a 64-bit hash; the position of the first
equal hash. Unsigned 64-bit arithmetic wraps around modulo 2**64, and that wrap-around is part of
the definition, not an overflow: the same text has the same hash on every machine.

Invariants: every step is invertible for a fixed value (exclusive or, multiplication by an odd
number, exclusive or with an own right shift), so hashing loses nothing but by the final width. Two
given different texts share a hash with odds of about 2**-64; among n of them a shared hash is
expected n * n / 2**65 times (one in 37 million for a million). Equality of hashes is taken for
equality of texts throughout this floor; whoever deletes on its strength compares texts first.
"""

import numpy as np
from numba import njit

from bessemer.text.buffers import Counts, Hashes, kernel

# The odd integer next to 2**64 divided by the golden ratio (Knuth, The Art of Computer Programming
# vol. 3, section 6.4): its multiples spread evenly, so neighbouring code points land far apart.
STEP = np.uint64(0x9E3779B97F4A7C15)
SEED = np.uint64(0x243F6A8885A308D3)  # the first 64 bits of the fraction of pi
EMPTY = np.int32(-1)


@kernel
def extend(state: np.uint64, value: np.uint64) -> np.uint64:
    """Return the state of a running hash after one more value; order matters."""
    return (state ^ value) * STEP


@kernel
def finish(state: np.uint64) -> np.uint64:
    """Return the state with every input bit spread over every output bit.

    MurmurHash3's 64-bit finaliser, constants by Austin Appleby (public domain, 2011).
    """
    state ^= state >> np.uint64(33)
    state *= np.uint64(0xFF51AFD7ED558CCD)
    state ^= state >> np.uint64(33)
    state *= np.uint64(0xC4CEB9FE1A85EC53)
    state ^= state >> np.uint64(33)
    return state


@njit(cache=True, nogil=True)
def hash_ascii(word: bytes) -> np.uint64:
    """Return the hash of a word of ASCII letters: that of its code points, one after the other."""
    state = SEED
    for code in word:
        state = extend(state, np.uint64(code))
    return np.uint64(finish(state))


@kernel
def num_slots(num_keys: int) -> int:
    """Return the slots `first_equal` needs: a power of two, at most half of them filled."""
    slots = 16
    while slots < 2 * num_keys:
        slots *= 2
    return slots


@kernel
def first_equal(
    keys: Hashes, positions: Counts, num_positions: int, scratch_slots: Counts, out: Counts
) -> None:
    """Write, for each position, the first of the positions that holds an equal key.

    `out[p] == p` if the key at `p` was not met before. Positions are taken in the order given.
    Open addressing with linear probing: linear time, for keys whose low bits are spread. Only the
    slots these positions need are cleared, so a short document after a long one stays cheap.
    """
    slots = num_slots(num_positions)
    scratch_slots[:slots] = EMPTY
    mask = np.uint64(slots - 1)
    for i in range(num_positions):
        position = positions[i]
        key = keys[position]
        slot = key & mask
        held = scratch_slots[slot]
        while held != EMPTY and keys[held] != key:
            slot = (slot + np.uint64(1)) & mask
            held = scratch_slots[slot]
        if held == EMPTY:
            scratch_slots[slot] = position
            held = position
        out[position] = held
