"""Rows of known documents (known_index.py) among those of a run's own: tasks of the stages `exact`
and `fuzzy`, one for each shard of an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.storage import read_table
from bessemer.curate.duplicates.keepers import RANKED
from bessemer.curate.duplicates.known_index import KnownShard
from bessemer.curate.duplicates.near_verify import part_of
from bessemer.curate.ledger import content_hashes
from bessemer.engine.shuffle import gather, read_range, scatter, write_run

BEFORE_ALL = -1  # as the place of a source: known documents are better than any of a run


def take_hashes(shard: KnownShard, num_parts: int, out: Path) -> dict[str, Any]:
    """Part the content hashes of known documents as `exact.hash_shard` does those of own."""
    column = read_table(shard.intact("documents"), ["content_hash"])["content_hash"]
    rows = {
        "doc_id": _ids(shard),
        "content_hash": column,
        "source_place": np.full(shard.docs, BEFORE_ALL, np.int32),
    }
    scatter(out, pa.table(rows), content_hashes(column)[:, 0], num_parts)
    return {"docs": shard.docs}


def take_bands(shard: KnownShard, num_parts: int, bands: Path, ranked: Path) -> dict[str, Any]:
    """Part the band hashes of known documents as `near_pairs.sign_shard` does those of own ones."""
    stored = gather([shard.intact("bands")], 0)
    rows = {"doc_id": stored["doc_id"].to_numpy() + shard.first_id, "hash": stored["hash"]}
    scatter(bands, pa.table(rows), stored["hash"].to_numpy(), num_parts)
    about = read_table(shard.intact("documents"), ["num_bytes", "num_shingles"])
    columns = {
        "doc_id": _ids(shard),
        "num_shingles": about["num_shingles"],
        "score": np.full(shard.docs, np.inf, np.float32),
        "num_bytes": about["num_bytes"],
        "source_place": np.full(shard.docs, BEFORE_ALL, np.int32),
    }
    write_run(ranked, pa.table(columns, schema=RANKED))
    return {"docs": shard.docs, "shingles": int(pc.sum(about["num_shingles"]).as_py() or 0)}


def place_known(
    shard: KnownShard, ranked: Path, components: Path, num_parts: int, out: Path
) -> dict[str, Any]:
    """Part the shingles of known documents that are in a pair, by their components, as
    `near_verify.place_documents` does those of own ones."""
    known = read_range([components], shard.first_id, shard.first_id + shard.docs - 1)
    rows = pa.array(known["doc_id"].to_numpy() - shard.first_id)
    path = shard.intact("shingles") if len(rows) else shard.file("shingles")
    sets = gather([path], 0)["shingles"].take(rows)
    table = gather([ranked], 0).take(rows).append_column("shingles", sets)
    scatter(out, table, part_of(known["component"].to_numpy()), num_parts)
    return {"docs": len(table)}


def _ids(shard: KnownShard) -> np.ndarray:
    """The ids of its documents in this run."""
    return np.arange(shard.first_id, shard.first_id + shard.docs)
