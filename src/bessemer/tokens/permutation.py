"""A shuffle without a list: a pseudo-random permutation of range(size), computed from either end.

A balanced Feistel network over the next even power of two, walked along its cycle until it falls
into the range (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"); at most 4 steps
are expected. A round mixes one half with the hash of the other under the round's key.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bessemer.core.keyed import Key, derive_key

_ROUNDS = 4  # as Luby and Rackoff 1988 ask for, so that no run of queries tells it from chance


class Permutation:
    """A bijection of range(size) given by a key. Indices and images are int64."""

    def __init__(self, size: int, key: Key) -> None:
        """`size` from 1 to 2^62."""
        assert 1 <= size <= 1 << 62, size
        self.size = size
        self._half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
        # Two keys a round: those of `core.keyed.hash_indices` under derive_key(key, round).
        rounds = [derive_key(key, number) for number in range(_ROUNDS)]
        pairs = [(each, derive_key("second round", each)) for each in rounds]
        self._keys = np.array(pairs, np.uint64)

    def image(self, index: int) -> int:
        """Where `index` goes."""
        assert 0 <= index < self.size, (index, self.size)
        return int(_walk(index, self.size, self._half_bits, self._keys, False))

    def index(self, image: int) -> int:
        """What goes to `image`."""
        assert 0 <= image < self.size, (image, self.size)
        return int(_walk(image, self.size, self._half_bits, self._keys, True))

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Where each of `indices` goes."""
        return self._walk_all(indices, inverse=False)

    def indices(self, images: np.ndarray) -> np.ndarray:
        """What goes to each of `images`."""
        return self._walk_all(images, inverse=True)

    def _walk_all(self, values: np.ndarray, *, inverse: bool) -> np.ndarray:
        values = np.asarray(values, np.int64)
        if len(values):
            assert values.min() >= 0, (values.min(), self.size)
            assert values.max() < self.size, (values.max(), self.size)
        out = np.empty_like(values)
        _walk_each(values, self.size, self._half_bits, self._keys, inverse, out)
        return out


@njit(cache=True, nogil=True)
def _walk_each(
    values: np.ndarray,
    size: int,
    half_bits: int,
    keys: np.ndarray,
    inverse: bool,
    out: np.ndarray,
) -> None:
    for place in range(len(values)):
        out[place] = _walk(values[place], size, half_bits, keys, inverse)


@njit(cache=True, nogil=True)
def _walk(value: int, size: int, half_bits: int, keys: np.ndarray, inverse: bool) -> np.int64:
    bits = np.uint64(half_bits)
    mask = (np.uint64(1) << bits) - np.uint64(1)
    x = np.uint64(value)
    while True:
        left, right = x >> bits, x & mask
        for number in range(len(keys)):
            if inverse:
                key = keys[len(keys) - 1 - number]
                left, right = right ^ (_hash(key, left) & mask), left
            else:
                left, right = right, left ^ (_hash(keys[number], right) & mask)
        x = (left << bits) | right
        if x < np.uint64(size):
            return np.int64(x)


@njit(cache=True, nogil=True)
def _hash(keys: np.ndarray, x: np.uint64) -> np.uint64:
    """`core.keyed.hash_indices` of one index, its two keys given."""
    for key in keys:
        x = x + key
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return x
