"""Stage `fuzzy`: near-duplicates by MinHash-LSH, each pair verified by true Jaccard similarity.

Signatures are made per shard; documents that share a band are candidate pairs (a DuckDB join);
the word-shingle sets of each pair are compared; pairs that reach `min_jaccard` make the clusters.
The longest document is best, then the smallest doc_id. Output: the ledger, and `clusters.parquet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.data import FuzzyConfig
from bessemer.core.keyed import derive_key
from bessemer.core.layout import CLUSTERS, DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import CLUSTER, DROP
from bessemer.core.storage import SCRATCH, read_table, write_table
from bessemer.curate.clusters import KEPT, choose_keepers, find_components
from bessemer.curate.ledger import (
    conserve_drops,
    count_by_source,
    decision,
    list_shards,
    read_survivors,
    shard_name,
    shard_of,
    write_by_shard,
)
from bessemer.engine.relations import query, relations
from bessemer.engine.tasks import Engine, Task
from bessemer.text.minhash import band_hashes, jaccard, shingles, signatures

STAGE = "fuzzy"
RULE = "near_duplicate"
_PAIRS_PER_DOC = 64  # within one bucket; a template page shares its band with thousands

_CANDIDATES = f"""
    WITH ranked AS (
        SELECT doc_id, band, hash,
               row_number() OVER (PARTITION BY band, hash ORDER BY doc_id) AS place
        FROM bands
    )
    SELECT DISTINCT a.doc_id AS "left", b.doc_id AS "right"
    FROM ranked a JOIN ranked b
      ON a.band = b.band AND a.hash = b.hash
     AND a.place < b.place AND a.place <= {_PAIRS_PER_DOC}
    ORDER BY 1, 2
"""
_PASSED_OVER = f"""
    SELECT coalesce(sum((docs - {_PAIRS_PER_DOC}) * (docs - {_PAIRS_PER_DOC} - 1) // 2), 0)::BIGINT
           AS pairs
    FROM (SELECT count(*) AS docs FROM bands GROUP BY band, hash)
    WHERE docs > {_PAIRS_PER_DOC}
"""


def fuzzy(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    config: FuzzyConfig,
    seed: int,
    folder: Path,
    engine: Engine,
) -> StageResult:
    """Drop documents that are nearly equal to a better one that is kept."""
    shards = list_shards(ingest / DOCUMENTS)
    pairs, similarity = _empty_pairs()
    num_passed_over = 0
    if config.enabled:
        bands = _sign(ingest, ledgers, config, seed, shards, folder, engine)
        with relations(folder, engine.workers) as connection:
            candidates = query(connection, _CANDIDATES, {"bands": bands})
            num_passed_over = query(connection, _PASSED_OVER, {"bands": bands})["pairs"][0].as_py()
        pairs, similarity = _verify(ingest, candidates, config, folder, engine)
    num_candidates = len(pairs)
    is_similar = similarity >= config.min_jaccard
    pairs, similarity = pairs[is_similar], similarity[is_similar]
    rows, clusters = _decide(ingest, ledgers, shards, pairs, similarity, config)
    write_table(folder / CLUSTERS, clusters)
    write_by_shard(ingest, folder, rows)
    return StageResult(
        conservation=conserve_drops(
            sources, [_count_before_and_after(ingest, ledgers, folder, shards)], folder
        ),
        summary={
            "num_candidates": num_candidates,
            "num_verified": len(pairs),
            "num_passed_over": num_passed_over,  # for want of room in buckets, band by band
        },
    )


def sign_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    config: FuzzyConfig,
    seed: int,
    shard: str,
    folder: Path,
) -> dict[str, Any]:
    """Band hashes of one shard's surviving documents, into the stage's scratch folder."""
    table = read_survivors(ingest, ledgers, shard, ["doc_id", "text"])
    offsets, hashes = shingles(table["text"].combine_chunks(), config.words_per_shingle)
    num_hashes = config.num_bands * config.rows_per_band
    bands = band_hashes(
        signatures(offsets, hashes, num_hashes, seed=derive_key(seed, STAGE)), config.num_bands
    )
    has_words = np.flatnonzero(np.diff(offsets))  # without a word a document is like no other
    doc_ids = table["doc_id"].to_numpy()[has_words]
    write_table(
        folder / SCRATCH / "bands" / shard,
        pa.table(
            {
                "doc_id": np.repeat(doc_ids, config.num_bands),
                "band": np.tile(np.arange(config.num_bands, dtype=np.int16), len(doc_ids)),
                "hash": bands[has_words].reshape(-1),
            }
        ),
    )
    return {"docs": len(doc_ids)}


def verify_pairs(
    ingest: Path, pairs: Path, words_per_shingle: int, shards: Sequence[str], out: Path
) -> dict[str, Any]:
    """True Jaccard similarity (float64) of the pairs in one file, written to `out`."""
    table = read_table(pairs)
    left, right = table["left"].to_numpy(), table["right"].to_numpy()
    wanted = np.unique(np.concatenate([left, right]))
    documents = pa.concat_tables(
        [_pick(read_table(ingest / DOCUMENTS / s, ["doc_id", "text"]), wanted) for s in shards]
    ).sort_by("doc_id")
    offsets, hashes = shingles(documents["text"].combine_chunks(), words_per_shingle)
    doc_ids = documents["doc_id"].to_numpy()
    similarity = jaccard(
        offsets, hashes, np.searchsorted(doc_ids, left), np.searchsorted(doc_ids, right)
    )
    write_table(out, pa.table({"jaccard": similarity}))
    return {"pairs": len(similarity)}


def _sign(
    ingest: Path,
    ledgers: Sequence[Path],
    config: FuzzyConfig,
    seed: int,
    shards: Sequence[str],
    folder: Path,
    engine: Engine,
) -> pa.Table:
    """Band hashes of all surviving documents."""
    tiny_offsets, tiny_hashes = shingles(pa.array(["a"], pa.large_string()), 1)
    band_hashes(signatures(tiny_offsets, tiny_hashes, 1, seed=0), 1)  # compile before the workers
    common = {"ingest": ingest, "ledgers": ledgers, "config": config, "seed": seed}
    tasks = [
        Task(
            key=f"sign-{shard.removesuffix('.parquet')}",
            function=sign_shard,
            arguments={**common, "shard": shard, "folder": folder},
        )
        for shard in shards
    ]
    engine.map(STAGE, folder, tasks)
    return pa.concat_tables([read_table(folder / SCRATCH / "bands" / shard) for shard in shards])


def _verify(
    ingest: Path, candidates: pa.Table, config: FuzzyConfig, folder: Path, engine: Engine
) -> tuple[np.ndarray, np.ndarray]:
    """The candidate pairs and their similarity; a task per pair of shards."""
    if not len(candidates):
        return _empty_pairs()
    pairs = np.stack([candidates["left"].to_numpy(), candidates["right"].to_numpy()], axis=1)
    shards = shard_of(ingest, pairs)  # same shape as pairs
    order = np.lexsort((pairs[:, 1], pairs[:, 0], shards[:, 1], shards[:, 0]))
    pairs, shards = pairs[order], shards[order]
    cuts = np.flatnonzero(np.any(np.diff(shards, axis=0) != 0, axis=1)) + 1
    tasks, outputs = [], []
    for block, both in zip(np.split(pairs, cuts), np.split(shards, cuts), strict=True):
        name = f"{both[0, 0]:05d}-{both[0, 1]:05d}"
        source = folder / SCRATCH / "pairs" / f"{name}.parquet"
        outputs.append(folder / SCRATCH / "jaccard" / f"{name}.parquet")
        write_table(source, pa.table({"left": block[:, 0], "right": block[:, 1]}))
        tasks.append(
            Task(
                key=f"verify-{name}",
                function=verify_pairs,
                arguments={
                    "ingest": ingest,
                    "pairs": source,
                    "words_per_shingle": config.words_per_shingle,
                    "shards": [shard_name(shard) for shard in np.unique(both[0]).tolist()],
                    "out": outputs[-1],
                },
            )
        )
    engine.map("verify", folder, tasks)
    similarity = np.concatenate([read_table(path)["jaccard"].to_numpy() for path in outputs])
    return pairs, similarity


def _decide(
    ingest: Path,
    ledgers: Sequence[Path],
    shards: Sequence[str],
    pairs: np.ndarray,
    similarity: np.ndarray,
    config: FuzzyConfig,
) -> tuple[list[dict[str, Any]], pa.Table]:
    """Ledger rows of the documents to drop, and the table of clusters."""
    in_pairs = np.unique(pairs)
    columns = ["doc_id", "source", "num_bytes"]
    documents = pa.concat_tables(
        [_pick(read_survivors(ingest, ledgers, shard, columns), in_pairs) for shard in shards]
    ).sort_by([("num_bytes", "descending"), ("doc_id", "ascending")])
    ranked = documents["doc_id"].to_numpy()  # node -> doc_id, best first
    by_id = np.argsort(ranked)
    nodes = by_id[np.searchsorted(ranked, pairs, sorter=by_id)].astype(np.int64)
    left, right = np.ascontiguousarray(nodes[:, 0]), np.ascontiguousarray(nodes[:, 1])
    component = find_components(len(ranked), left, right)
    keeper = choose_keepers(len(ranked), left, right)
    measured = {
        (min(a, b), max(a, b)): score
        for a, b, score in zip(left.tolist(), right.tolist(), similarity.tolist(), strict=True)
    }
    sources, sizes = documents["source"].to_pylist(), documents["num_bytes"].to_pylist()
    rows = [
        decision(
            doc_id=int(ranked[node]),
            source=sources[node],
            stage=STAGE,
            rule=RULE,
            action=DROP,
            num_bytes=sizes[node],
            value=measured[int(keeper[node]), node],
            bound=config.min_jaccard,
            evidence_doc_id=int(ranked[keeper[node]]),
        )
        for node in np.flatnonzero(keeper != KEPT).tolist()
    ]
    return rows, _cluster_table(ranked, component, keeper)


def _cluster_table(ranked: np.ndarray, component: np.ndarray, keeper: np.ndarray) -> pa.Table:
    """One row per clustered document, by doc_id; a cluster is named by its smallest doc_id."""
    smallest = np.full(len(ranked), np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, ranked)
    num_docs = np.bincount(component, minlength=len(ranked))
    return pa.table(
        {
            "doc_id": ranked,
            "cluster_id": smallest[component],
            "cluster_docs": num_docs[component].astype(np.int32),
            "is_keeper": keeper == KEPT,
        },
        schema=CLUSTER,
    ).sort_by("doc_id")


def _count_before_and_after(
    ingest: Path, ledgers: Sequence[Path], folder: Path, shards: Sequence[str]
) -> dict[str, Any]:
    """Documents and bytes by source, without and with the decisions of the stage in `folder`."""
    columns = ["doc_id", "source", "num_bytes"]
    found = {}
    for name, folders in (("before", ledgers), ("after", [*ledgers, folder])):
        parts = [read_survivors(ingest, folders, shard, columns) for shard in shards]
        found[name] = count_by_source(pa.concat_tables(parts))
    return found


def _pick(table: pa.Table, doc_ids: np.ndarray) -> pa.Table:
    return table.filter(np.isin(table["doc_id"].to_numpy(), doc_ids))


def _empty_pairs() -> tuple[np.ndarray, np.ndarray]:
    return np.empty((0, 2), np.int64), np.empty(0, np.float64)
