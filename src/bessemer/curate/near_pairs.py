"""Pairs of documents that may be near-duplicates: those that share a band of their signatures.

Signatures are made shard by shard; equal bands of all shards come together in parts of the corpus
(bessemer.engine.shuffle), and each part tells its pairs. A template page shares its bands with
thousands, and all pairs of these would take time with their square: of such a bucket the documents
that are best to keep are compared with all others in it. Whoever is like one of them is dropped for
it; pairs of two others are passed over, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.config.data import FuzzyConfig
from bessemer.curate.keepers import RANKED, order_best_first, read_scores, source_places
from bessemer.curate.ledger import content_hashes, read_survivors
from bessemer.curate.near_curve import sample_texts
from bessemer.curate.near_signatures import bands_of, shingle_sets
from bessemer.engine.shuffle import gather, look_up, scatter, write_part, write_run

MOST_PARTNERS = 64
"""Documents of a bucket that are compared with all others in it."""

BAND_ROW_BYTES = 16  # a hash and a doc_id


def sign_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    config: FuzzyConfig,
    key: int,
    best_first: Sequence[str],
    signals: Path | None,
    shard: str,
    num_parts: int,
    num_documents: int,
    bands: Path,
    ranked: Path,
    sample: Path,
) -> dict[str, Any]:
    """Part the band hashes of one shard's surviving documents; write what they are ranked by, and
    some of their texts (of `num_documents` in all shards) for the curve.

    Scores are those of `signals`, if it is given; sources rank as in `best_first`.
    """
    columns = ["doc_id", "text", "content_hash", "source", "num_bytes"]
    table = read_survivors(ingest, ledgers, shard, columns)
    offsets, hashes = shingle_sets(table["text"].combine_chunks(), config)
    num_shingles = np.diff(offsets)
    made = bands_of(offsets, hashes, config, key)
    has_any = np.flatnonzero(num_shingles)  # without a shingle a document is like no other
    doc_ids = table["doc_id"].to_numpy()
    # The number of the band is in its hash, so hashes of all bands may stand in one column.
    band = made[has_any].reshape(-1)
    rows = pa.table({"doc_id": np.repeat(doc_ids[has_any], config.num_bands), "hash": band})
    scatter(bands, rows, band, num_parts)
    about = {
        "doc_id": doc_ids,
        "num_shingles": num_shingles,
        "score": read_scores(signals, shard, doc_ids),
        "num_bytes": table["num_bytes"],
        "source_place": source_places(table["source"], best_first),
    }
    write_run(ranked, pa.table(about, schema=RANKED))
    content = content_hashes(table["content_hash"])[:, 0]
    write_part(sample, sample_texts(table["text"], content, num_documents))
    return {"docs": len(has_any), "shingles": len(hashes)}


def pair_part(
    bands: Sequence[Path], ranked: Sequence[Path], containers_first: bool, part: int, out: Path
) -> dict[str, Any]:
    """Write the pairs (left < right, sorted) of the buckets in one part."""
    table = gather(bands, part)
    doc_id, bucket = table["doc_id"].to_numpy(), table["hash"].to_numpy()
    order = np.lexsort((doc_id, bucket))
    doc_id, bucket = doc_id[order], bucket[order]
    starts = np.flatnonzero(np.diff(bucket, prepend=~bucket[:1]) != 0)
    sizes = np.diff(starts, append=len(bucket))
    crowded = np.flatnonzero(np.repeat(sizes > MOST_PARTNERS, sizes))
    if len(crowded):
        rank = _rank(doc_id[crowded], ranked, containers_first)
        best_first = crowded[np.lexsort((rank, bucket[crowded]))]
        doc_id[crowded] = doc_id[best_first]
    pairs = np.unique(_pairs_of_buckets(doc_id, starts, sizes), axis=0)
    write_part(out, pa.table({"left": pairs[:, 0], "right": pairs[:, 1]}))
    left_out = np.maximum(sizes - MOST_PARTNERS, 0)
    return {"passed_over": int((left_out * (left_out - 1) // 2).sum())}


def _rank(doc_ids: np.ndarray, ranked: Sequence[Path], containers_first: bool) -> np.ndarray:
    """int64 rank of each document among these, the best one's 0."""
    documents = look_up(ranked, np.unique(doc_ids))
    order = order_best_first(documents, containers_first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    found: np.ndarray = rank[np.searchsorted(documents["doc_id"].to_numpy(), doc_ids)]
    return found


@njit(cache=True, nogil=True)
def _pairs_of_buckets(doc_id: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """int64 pairs (the smaller id first) of the documents of each bucket: the first ones with all
    that follow them."""
    num_pairs = 0
    for bucket in range(len(starts)):
        for place in range(min(sizes[bucket], MOST_PARTNERS)):
            num_pairs += sizes[bucket] - 1 - place
    pairs = np.empty((num_pairs, 2), np.int64)
    filled = 0
    for bucket in range(len(starts)):
        end = starts[bucket] + sizes[bucket]
        for first in range(starts[bucket], min(end, starts[bucket] + MOST_PARTNERS)):
            for second in range(first + 1, end):
                pairs[filled, 0] = min(doc_id[first], doc_id[second])
                pairs[filled, 1] = max(doc_id[first], doc_id[second])
                filled += 1
    return pairs
