"""Randomness as a pure function: 64-bit hashes of (key, index), the same on every machine.

A key is derived from words and numbers such as (seed, "split", source); the hash of an index under
a key decides a draw. No generator has a state to lose, and no order of calls matters.
"""

from __future__ import annotations

import numpy as np
import xxhash

Key = int


def derive_key(*parts: int | str) -> Key:
    """A 64-bit key from words and numbers; different parts give unrelated keys."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return xxhash.xxh3_64_intdigest(text.encode())


def hash_indices(key: Key, indices: np.ndarray) -> np.ndarray:
    """uint64 hashes of integer `indices` under `key`.

    Two rounds of the finalizer of SplitMix64 (Steele, Lea and Flood 2014), the key added before
    each; arithmetic is modulo 2^64 by definition.
    """
    x = np.asarray(indices).astype(np.uint64)
    with np.errstate(over="ignore"):
        for round_key in (key, derive_key("second round", key)):
            x = x + np.uint64(round_key)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x = x ^ (x >> np.uint64(31))
    return x


def uniform(key: Key, indices: np.ndarray) -> np.ndarray:
    """float64 numbers in [0, 1), 53 bits each, one per index."""
    return (hash_indices(key, indices) >> np.uint64(11)).astype(np.float64) * 2.0**-53
