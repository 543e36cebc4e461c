"""Pairs of documents that may be near-duplicates: those that share a band of their signatures.

Signatures are made shard by shard; equal bands of all shards come together in parts of the corpus
(bessemer.engine.shuffle), and each part tells its pairs. A template page shares its bands with
thousands, and all pairs of these would take time with their square: of such a bucket the documents
that are best to keep are compared with all others in it. Whoever is like one of them is dropped for
it; pairs of two others are passed over, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.config.duplicates import FuzzyConfig
from bessemer.curate.duplicates.distinct import distinct
from bessemer.curate.duplicates.keepers import RANKED, order_best_first, read_scores, source_places
from bessemer.curate.duplicates.near_curve import sample_texts
from bessemer.curate.duplicates.near_signatures import bands_of, shingle_sets
from bessemer.curate.groups import begins_group
from bessemer.curate.ledger import content_hashes, read_survivors
from bessemer.engine.shuffle import gather, look_up, scatter, write_part, write_run

MOST_PARTNERS, FEWEST_PARTNERS, BUCKET_PAIRS = 64, 8, 2**17
"""Bounds on the documents of a bucket that are compared with all others in it (`num_partners`)."""

BAND_ROW_BYTES = 16  # a hash and a doc_id

_PAIRS_AT_A_TIME = 1 << 23  # 64 MiB of keys


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
    starts = np.flatnonzero(begins_group(bucket))
    sizes = np.diff(starts, append=len(bucket))
    crowded = np.flatnonzero(np.repeat(sizes > MOST_PARTNERS, sizes))
    if len(crowded):
        rank = _rank(doc_id[crowded], ranked, containers_first)
        best_first = crowded[np.lexsort((rank, bucket[crowded]))]
        doc_id[crowded] = doc_id[best_first]
    nodes, node = np.unique(doc_id, return_inverse=True)
    partners = num_partners(sizes)
    left, right = np.divmod(_pair_keys(node, starts, sizes, partners, len(nodes)), len(nodes) or 1)
    pairs = pa.table({"left": nodes[left], "right": nodes[right]})
    # Of two known documents (known_index.py) none is ours to drop.
    write_part(out, pairs.filter(nodes[right] >= 0))
    left_out = np.maximum(sizes - partners, 0)
    return {"passed_over": int((left_out * (left_out - 1) // 2).sum())}


def num_partners(sizes: np.ndarray) -> np.ndarray:
    """int64: of buckets of so many documents, how many are compared with all others in it.

    Fewer of larger ones, so that a bucket has BUCKET_PAIRS pairs, or FEWEST_PARTNERS times its
    documents if that is more: time is linear in documents.
    """
    found: np.ndarray = np.clip(BUCKET_PAIRS // sizes, FEWEST_PARTNERS, MOST_PARTNERS)
    return found


def _rank(doc_ids: np.ndarray, ranked: Sequence[Path], containers_first: bool) -> np.ndarray:
    """int64 rank of each document among these, the best one's 0."""
    documents = look_up(ranked, np.unique(doc_ids))
    order = order_best_first(documents, containers_first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    found: np.ndarray = rank[np.searchsorted(documents["doc_id"].to_numpy(), doc_ids)]
    return found


def _pair_keys(
    node: np.ndarray, starts: np.ndarray, sizes: np.ndarray, partners: np.ndarray, num_nodes: int
) -> np.ndarray:
    """int64 keys (smaller node * num_nodes + larger node) of the pairs of all buckets, sorted, each
    once. Documents that share many bands are in as many buckets, so pairs are made of some buckets
    at a time."""
    firsts = np.minimum(partners, sizes)
    ends = np.cumsum(firsts * sizes - firsts * (firsts + 1) // 2)

    def made() -> Iterator[np.ndarray]:
        begin = 0
        while begin < len(starts):
            before = ends[begin - 1] if begin else 0
            limit = before + _PAIRS_AT_A_TIME
            end = max(begin + 1, int(np.searchsorted(ends, limit, side="right")))
            some = slice(begin, end)
            yield _pairs_of_buckets(
                node, starts[some], sizes[some], firsts[some], num_nodes, ends[end - 1] - before
            )
            begin = end

    return distinct(made())


@njit(cache=True, nogil=True)
def _pairs_of_buckets(
    node: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    firsts: np.ndarray,
    num_nodes: int,
    num_pairs: int,
) -> np.ndarray:
    """Keys of pairs of the first documents of each bucket with all that follow them."""
    keys = np.empty(num_pairs, np.int64)
    filled = 0
    for bucket in range(len(starts)):
        end = starts[bucket] + sizes[bucket]
        for first in range(starts[bucket], starts[bucket] + firsts[bucket]):
            for second in range(first + 1, end):
                a, b = node[first], node[second]
                keys[filled] = min(a, b) * num_nodes + max(a, b)
                filled += 1
    return keys
