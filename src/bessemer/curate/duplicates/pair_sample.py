"""Candidate pairs drawn for people to look at: some of each band of similarity, similar or not.

A pair is drawn by a keyed hash of its two ids, so neither parts nor workers change what is drawn:
the draw of all pairs is the draw of the draws of their parts.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from bessemer.core.keyed import derive_key, hash_indices
from bessemer.core.schema import PAIR

NUM_BANDS = 10
PAIRS_PER_BAND = 20
_EDGES = np.arange(1, NUM_BANDS) / NUM_BANDS
_LEFT_KEY, _PAIR_KEY = derive_key("audit", "left"), derive_key("audit", "pair")


def draw_pairs(pairs: pa.Table) -> pa.Table:
    """Of `pairs` (PAIR, none twice) PAIRS_PER_BAND of each band or all that it has, by ids."""
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    lot = hash_indices(_PAIR_KEY, hash_indices(_LEFT_KEY, left) ^ right.astype(np.uint64))
    band = _bands(pairs["similarity"].to_numpy())
    order = np.lexsort((right, left, lot, band))
    starts = np.searchsorted(band[order], np.arange(NUM_BANDS))
    rank = np.arange(len(order)) - starts[band[order]]
    chosen = order[rank < PAIRS_PER_BAND]
    return pairs.take(chosen[np.lexsort((right[chosen], left[chosen]))]).cast(PAIR)


def count_bands(similarity: np.ndarray) -> list[int]:
    """How many of these similarities lie in each band: [0, 0.1), [0.1, 0.2), ..., [0.9, 1]."""
    counts: list[int] = np.bincount(_bands(similarity), minlength=NUM_BANDS).tolist()
    return counts


def _bands(similarity: np.ndarray) -> np.ndarray:
    return np.searchsorted(_EDGES, similarity, side="right")
