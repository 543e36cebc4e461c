"""Stage `split`: which documents training sees and which it never does.

The draw is by cluster: near-duplicates never stand on both sides. It is a keyed hash of what the
documents say (the smallest content hash of the cluster), so that files added, renamed or put in
another order move no document that was drawn before. Every source that has two clusters or more
gives at least one to each side. Output: `splits/<shard>.parquet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.keyed import derive_key, uniform
from bessemer.core.layout import CLUSTERS, DOCUMENTS, SPLITS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import HELDOUT, SPLIT, TRAIN
from bessemer.core.storage import read_table, write_table
from bessemer.curate.ledger import (
    content_hashes,
    count_by_source,
    list_shards,
    read_survivors,
    sum_up,
)

STAGE = "split"


def split(
    ingest: Path,
    ledgers: Sequence[Path],
    fuzzy: Path,
    sources: Sequence[str],
    heldout_frac: float,
    seed: int,
    folder: Path,
) -> StageResult:
    """Write, shard by shard, the documents that all stages left and the side each is on."""
    columns = ["doc_id", "source", "num_bytes", "content_hash"]
    shards = list_shards(ingest / DOCUMENTS)
    tables = [read_survivors(ingest, ledgers, shard, columns) for shard in shards]
    everything = pa.concat_tables(tables)
    clusters = read_table(fuzzy / CLUSTERS, columns=["doc_id", "cluster_id"])
    cluster_id = _cluster_ids(everything["doc_id"].to_numpy(), clusters)
    content = content_hashes(everything["content_hash"])[:, 0]
    is_heldout = draw_heldout(
        _smallest_of_cluster(content, cluster_id),
        cluster_id,
        np.array(everything["source"].to_pylist()),
        heldout_frac,
        seed,
    )
    everything = everything.append_column("cluster_id", pa.array(cluster_id)).append_column(
        "split", pa.array(np.where(is_heldout, HELDOUT, TRAIN), pa.string())
    )
    first = 0
    for shard, table in zip(shards, tables, strict=True):
        part = everything.slice(first, len(table)).select(SPLIT.names).cast(SPLIT)
        write_table(folder / SPLITS / shard, part.combine_chunks())
        first += len(table)
    written = pa.concat_tables([read_table(folder / SPLITS / shard) for shard in shards])
    summary = {
        side: {
            source: {"docs": docs, "bytes": num_bytes}
            for source, (docs, num_bytes) in count_by_source(
                written.filter(pc.equal(written["split"], side))
            ).items()
        }
        for side in (TRAIN, HELDOUT)
    }
    before, after = count_by_source(everything), count_by_source(written)
    return StageResult(conservation=sum_up(sources, [before], [after]), summary=summary)


def draw_heldout(
    lot: np.ndarray, cluster_id: np.ndarray, source: np.ndarray, heldout_frac: float, seed: int
) -> np.ndarray:
    """bool per document: held out or not. `lot` (uint64), the number that is hashed for the draw,
    is one per cluster, so documents of one cluster get one answer."""
    draw = uniform(derive_key(seed, STAGE), lot)
    is_heldout: np.ndarray = draw < heldout_frac
    for name in np.unique(source):
        mine = source == name
        clusters, first = np.unique(cluster_id[mine], return_index=True)
        sides, draws = is_heldout[mine][first], draw[mine][first]
        if len(clusters) < 2 or (sides.any() and not sides.all()):
            continue
        # All on one side: the cluster whose draw came nearest to the other goes there, one of this
        # source alone if there is any, for the move would undo what another source was given.
        is_own = ~np.isin(clusters, cluster_id[~mine])
        able = np.flatnonzero(is_own if is_own.any() else np.ones(len(clusters), np.bool_))
        moved = able[np.argmax(draws[able]) if sides.all() else np.argmin(draws[able])]
        is_heldout[cluster_id == clusters[moved]] = not sides.all()
    return is_heldout


def _smallest_of_cluster(values: np.ndarray, cluster_id: np.ndarray) -> np.ndarray:
    """For each document the smallest of the values of its cluster's documents."""
    _, cluster = np.unique(cluster_id, return_inverse=True)
    smallest = np.full(len(values), np.iinfo(values.dtype).max, values.dtype)
    np.minimum.at(smallest, cluster, values)
    return smallest[cluster]


def _cluster_ids(doc_ids: np.ndarray, clusters: pa.Table) -> np.ndarray:
    """The cluster of each document: its own id if it is like no other."""
    clustered = clusters["doc_id"].to_numpy()
    cluster_id = doc_ids.copy()
    position = np.searchsorted(clustered, doc_ids)
    found = position < len(clustered)
    found[found] = clustered[position[found]] == doc_ids[found]
    cluster_id[found] = clusters["cluster_id"].to_numpy()[position[found]]
    return cluster_id
