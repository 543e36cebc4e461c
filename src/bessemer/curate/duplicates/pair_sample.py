"""Candidate pairs drawn for people to look at: some of each band of similarity, similar or not.

A pair is drawn by a keyed hash of its two ids, so neither parts nor workers change what is drawn:
the draw of all pairs is the draw of the draws of their parts. Pairs with a document of another run
are drawn beside those of two own ones, for these alone have two texts to be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from bessemer.core.keyed import derive_key, hash_indices
from bessemer.core.schema import PAIR
from bessemer.curate.duplicates.known_index import KnownShard, name_known

NUM_BANDS = 10
PAIRS_PER_BAND = 20  # of own documents; and as many with known ones
COMPARED = PAIR.remove(PAIR.get_field_index("known"))  # pairs as they are compared, without names
_EDGES = np.arange(1, NUM_BANDS) / NUM_BANDS
_LEFT_KEY, _PAIR_KEY = derive_key("audit", "left"), derive_key("audit", "pair")


def draw_pairs(pairs: pa.Table) -> pa.Table:
    """Of `pairs` (COMPARED, none twice) PAIRS_PER_BAND of each band and sort, or all that it has,
    by ids. The sorts are pairs of own documents, and those whose `left` is known (negative)."""
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    lot = hash_indices(_PAIR_KEY, hash_indices(_LEFT_KEY, left) ^ right.astype(np.uint64))
    group = _bands(pairs["similarity"].to_numpy()) + NUM_BANDS * (left < 0)
    order = np.lexsort((right, left, lot, group))
    starts = np.searchsorted(group[order], np.arange(2 * NUM_BANDS))
    rank = np.arange(len(order)) - starts[group[order]]
    chosen = order[rank < PAIRS_PER_BAND]
    return pairs.take(chosen[np.lexsort((right[chosen], left[chosen]))]).cast(COMPARED)


def name_pairs(pairs: pa.Table, known: Sequence[KnownShard]) -> pa.Table:
    """`pairs` (COMPARED) as PAIR: documents of other runs are named, for no text of theirs is here.

    In memory are the names of one shard's documents at a time.
    """
    left = pairs["left"].to_numpy()
    rows = np.flatnonzero(left < 0)
    words = np.full(len(left), None, object)
    words[rows] = [name for _, name in name_known(known, left[rows])] if len(rows) else []
    return pairs.append_column("known", pa.array(words, pa.string())).cast(PAIR)


def count_bands(similarity: np.ndarray) -> list[int]:
    """How many of these similarities lie in each band: [0, 0.1), [0.1, 0.2), ..., [0.9, 1]."""
    counts: list[int] = np.bincount(_bands(similarity), minlength=NUM_BANDS).tolist()
    return counts


def _bands(similarity: np.ndarray) -> np.ndarray:
    return np.searchsorted(_EDGES, similarity, side="right")
