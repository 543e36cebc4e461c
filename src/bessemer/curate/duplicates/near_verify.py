"""Which pairs are near-duplicates: the sets of shingles are compared, and the best is kept
(keepers.py).

Pairs that may be chain documents together; each such component is verified in one place, so that no
part needs another. Of a part, all ids and pairs are in memory, and the shingles of some pairs at a
time: a component may be as large as the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.duplicates import FuzzyConfig
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.core.schema import CLUSTER
from bessemer.core.storage import concat_tables
from bessemer.curate.duplicates.clusters import (
    KEPT,
    choose_keepers,
    find_components,
    join_edges,
    settle,
)
from bessemer.curate.duplicates.distinct import distinct
from bessemer.curate.duplicates.keepers import RANKED, order_best_first
from bessemer.curate.duplicates.near_signatures import shingle_sets
from bessemer.curate.duplicates.pair_sample import (
    COMPARED,
    NUM_BANDS,
    count_bands,
    draw_pairs,
)
from bessemer.curate.ledger import read_survivors
from bessemer.engine.shuffle import (
    gather,
    read_range,
    scatter,
    take_rows,
    write_part,
    write_run,
)
from bessemer.text.set_similarity import containment, jaccard

NUM_LARGEST = 20  # clusters that are told one by one

_KEY = derive_key("part of a component")
_PAIRS_AT_A_TIME = 1 << 20
_SHINGLES_AT_A_TIME = 1 << 24  # 128 MiB


def find_candidate_components(pairs: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write the component of each document that is in a pair: its smallest doc_id.

    In memory are the ids alone, and the pairs of one file.
    """
    nodes = distinct(np.concatenate(_columns(path)) for path in pairs)
    parent = np.arange(len(nodes))
    for path in pairs:
        left, right = (np.searchsorted(nodes, column) for column in _columns(path))
        join_edges(parent, left, right)
    write_run(out, pa.table({"doc_id": nodes, "component": nodes[settle(parent)]}))
    return {"docs": len(nodes)}


def part_of(components: np.ndarray) -> np.ndarray:
    """What components are parted by: uint64, spread evenly."""
    return hash_indices(_KEY, components)


def place_documents(
    ingest: Path,
    ledgers: Sequence[Path],
    config: FuzzyConfig,
    shard: str,
    ranked: Path,
    components: Path,
    num_parts: int,
    out: Path,
) -> dict[str, Any]:
    """Part the shingles of one shard's documents that are in a pair, by their components."""
    table = read_survivors(ingest, ledgers, shard, ["doc_id", "text"])
    doc_ids = table["doc_id"].to_numpy()
    first, last = (doc_ids[0], doc_ids[-1]) if len(doc_ids) else (0, -1)
    known = read_range([components], first, last)
    is_paired = np.isin(doc_ids, known["doc_id"].to_numpy())
    offsets, hashes = shingle_sets(table["text"].filter(is_paired).combine_chunks(), config)
    sets = pa.LargeListArray.from_arrays(offsets, hashes)
    rows = gather([ranked], 0).filter(is_paired).append_column("shingles", sets)
    scatter(out, rows, part_of(known["component"].to_numpy()), num_parts)
    return {"docs": len(rows)}


def place_pairs(pairs: Path, components: Path, num_parts: int, out: Path) -> dict[str, Any]:
    """Part the pairs of one file by their components."""
    table, known = gather([pairs], 0), gather([components], 0)
    left = table["left"].to_numpy()
    place = np.searchsorted(known["doc_id"].to_numpy(), left)
    scatter(out, table, part_of(known["component"].to_numpy()[place]), num_parts)
    return {"pairs": len(left)}


def verify_part(
    documents: Sequence[Path],
    pairs: Sequence[Path],
    config: FuzzyConfig,
    part: int,
    drops: Path,
    clusters: Path,
    sample: Path,
) -> dict[str, Any]:
    """Compare the pairs of one part; write whom it drops for whom, its clusters (CLUSTER), and some
    of its pairs for people to look at (COMPARED)."""
    table = gather(documents, part)
    order = np.argsort(table["doc_id"].to_numpy())
    doc_ids, num_shingles = (table[name].to_numpy()[order] for name in ("doc_id", "num_shingles"))

    def keys_of(path: Path) -> np.ndarray:
        told = gather([path], part)
        left, right = (np.searchsorted(doc_ids, told[name]) for name in ("left", "right"))
        found: np.ndarray = left * len(doc_ids) + right
        return found

    # A pair that shares bands of several parts was told by each of them.
    keys = distinct(map(keys_of, pairs))
    sets = table.select(["shingles"])
    measure = jaccard if config.verify == "jaccard" else containment
    drawn, compared, verified = [], np.zeros(NUM_BANDS, np.int64), np.zeros(NUM_BANDS, np.int64)
    kept_ends, values = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for left, right in _some_at_a_time(keys, num_shingles):
        rows, place = np.unique(order[np.concatenate([left, right])], return_inverse=True)
        taken = take_rows(sets, rows)["shingles"].combine_chunks()
        similarity = measure(taken.offsets.to_numpy(), taken.values.to_numpy(), *np.split(place, 2))
        is_similar = similarity >= config.min_similarity
        if config.verify == "containment":  # a known excerpt does not drop what contains it
            is_own = doc_ids[left] >= 0
            is_similar &= is_own | (num_shingles[left] >= num_shingles[right])
        ends = {"left": doc_ids[left], "right": doc_ids[right]}
        told = pa.table(ends | {"similarity": similarity, "is_duplicate": is_similar})
        drawn.append(draw_pairs(told))
        compared += count_bands(similarity)
        verified += count_bands(similarity[is_similar])
        kept_ends.append(np.stack(list(ends.values()), axis=1)[is_similar])
        values.append(similarity[is_similar])
    write_part(sample, draw_pairs(concat_tables(drawn, COMPARED)))
    similar, similarity = np.concatenate(kept_ends), np.concatenate(values)
    ranked = table.select(RANKED.names).filter(np.isin(doc_ids, similar))
    order = order_best_first(ranked, containers_first=config.verify == "containment")
    largest = _decide(ranked["doc_id"].to_numpy()[order], similar, similarity, drops, clusters)
    return {
        "candidates": len(keys),
        "verified": len(similar),
        "bands": {"compared": compared.tolist(), "verified": verified.tolist()},
        "largest_clusters": largest,
    }


def _some_at_a_time(
    keys: np.ndarray, num_shingles: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Left and right of pairs (keys left * documents + right), of so many that their sets fit into
    memory together."""
    begin = 0
    while begin < len(keys):
        left, right = np.divmod(keys[begin : begin + _PAIRS_AT_A_TIME], len(num_shingles))
        held = np.cumsum(num_shingles[left] + num_shingles[right])
        end = max(1, int(np.searchsorted(held, _SHINGLES_AT_A_TIME, side="right")))
        yield left[:end], right[:end]
        begin += end


def _decide(
    ranked: np.ndarray, pairs: np.ndarray, similarity: np.ndarray, drops: Path, clusters: Path
) -> list[dict[str, int]]:
    """Write what follows of similar `pairs` of documents; `ranked` are their ids, best first.

    Known documents (negative ids) are before all others and stay; they are in no cluster, though
    they may join one together. Returns the largest clusters.
    """
    by_id = np.argsort(ranked)
    nodes = by_id[np.searchsorted(ranked, pairs, sorter=by_id)].astype(np.int64)
    left, right = np.ascontiguousarray(nodes[:, 0]), np.ascontiguousarray(nodes[:, 1])
    component = find_components(len(ranked), left, right)
    keeper = choose_keepers(len(ranked), left, right)
    edges = np.minimum(left, right) * len(ranked) + np.maximum(left, right)
    in_order = np.argsort(edges)
    dropped = by_id[keeper[by_id] != KEPT]  # nodes, by doc_id
    wanted = keeper[dropped] * len(ranked) + dropped
    value = similarity[in_order][np.searchsorted(edges[in_order], wanted)]
    write_run(
        drops,
        pa.table(
            {
                "doc_id": ranked[dropped],
                "evidence_doc_id": ranked[keeper[dropped]],
                "value": value,
            }
        ),
    )
    own = np.flatnonzero(ranked >= 0)
    smallest = np.full(len(ranked), np.iinfo(np.int64).max)
    np.minimum.at(smallest, component[own], ranked[own])
    num_docs = np.bincount(component[own], minlength=len(ranked))
    table = pa.table(
        {
            "doc_id": ranked,
            "cluster_id": smallest[component],
            "cluster_docs": num_docs[component].astype(np.int32),
            "is_keeper": keeper == KEPT,
        },
        schema=CLUSTER,
    ).take(by_id[ranked[by_id] >= 0])
    write_run(clusters, table)
    return largest_clusters(table)


def largest_clusters(clusters: pa.Table) -> list[dict[str, int]]:
    """The clusters with most documents, the largest first: `cluster_id` and `docs`.

    A document that is alone in its cluster is like known documents only, and none is told of it.
    """
    is_first = pc.equal(clusters["doc_id"], clusters["cluster_id"])
    one_each = clusters.filter(pc.and_(is_first, pc.greater(clusters["cluster_docs"], 1)))
    by_size = one_each.sort_by([("cluster_docs", "descending"), ("cluster_id", "ascending")])
    return [
        {"cluster_id": row["cluster_id"], "docs": row["cluster_docs"]}
        for row in by_size.slice(0, NUM_LARGEST).to_pylist()
    ]


def _columns(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = gather([path], 0)
    return table["left"].to_numpy(), table["right"].to_numpy()
