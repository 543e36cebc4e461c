"""Pairs of documents that may be near-duplicates: those that share a band of their signatures.

Signatures are made shard by shard; equal bands of all shards come together in parts of the corpus
(bessemer.engine.shuffle), and each part tells its pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.config.data import FuzzyConfig
from bessemer.curate.ledger import read_survivors
from bessemer.engine.shuffle import gather, scatter, write_part
from bessemer.text.minhash import band_hashes, shingles, signatures

MOST_PARTNERS = 64
"""Documents of a bucket that are compared with all others in it: a template page shares its band
with thousands."""

BAND_ROW_BYTES = 16  # a hash and a doc_id


def sign_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    config: FuzzyConfig,
    key: int,
    shard: str,
    num_parts: int,
    out: Path,
) -> dict[str, Any]:
    """Part the band hashes of one shard's surviving documents; `key` draws the hash functions."""
    table = read_survivors(ingest, ledgers, shard, ["doc_id", "text"])
    offsets, hashes = shingles(table["text"].combine_chunks(), config.words_per_shingle)
    num_hashes = config.num_bands * config.rows_per_band
    bands = band_hashes(signatures(offsets, hashes, num_hashes, seed=key), config.num_bands)
    has_words = np.flatnonzero(np.diff(offsets))  # without a word a document is like no other
    doc_ids = table["doc_id"].to_numpy()[has_words]
    # The number of the band is in its hash, so hashes of all bands may stand in one column.
    band = bands[has_words].reshape(-1)
    rows = pa.table({"doc_id": np.repeat(doc_ids, config.num_bands), "hash": band})
    scatter(out, rows, band, num_parts)
    return {"docs": len(doc_ids), "shingles": len(hashes)}


def pair_part(bands: Sequence[Path], part: int, out: Path) -> dict[str, Any]:
    """Write the pairs (left < right, sorted) of the buckets in one part."""
    table = gather(bands, part)
    doc_id, bucket = table["doc_id"].to_numpy(), table["hash"].to_numpy()
    order = np.lexsort((doc_id, bucket))
    doc_id, bucket = doc_id[order], bucket[order]
    starts = np.flatnonzero(np.diff(bucket, prepend=~bucket[:1]) != 0)
    sizes = np.diff(starts, append=len(bucket))
    pairs = np.unique(_pairs_of_buckets(doc_id, starts, sizes), axis=0)
    write_part(out, pa.table({"left": pairs[:, 0], "right": pairs[:, 1]}))
    left_out = np.maximum(sizes - MOST_PARTNERS, 0)
    return {"passed_over": int((left_out * (left_out - 1) // 2).sum())}


@njit(cache=True, nogil=True)
def _pairs_of_buckets(doc_id: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """int64 pairs of the documents of each bucket: the first ones with all that follow them."""
    num_pairs = 0
    for bucket in range(len(starts)):
        for place in range(min(sizes[bucket], MOST_PARTNERS)):
            num_pairs += sizes[bucket] - 1 - place
    pairs = np.empty((num_pairs, 2), np.int64)
    filled = 0
    for bucket in range(len(starts)):
        end = starts[bucket] + sizes[bucket]
        for left in range(starts[bucket], min(end, starts[bucket] + MOST_PARTNERS)):
            for right in range(left + 1, end):
                pairs[filled, 0] = doc_id[left]
                pairs[filled, 1] = doc_id[right]
                filled += 1
    return pairs
