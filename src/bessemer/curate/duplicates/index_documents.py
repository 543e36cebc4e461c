"""Writes the dedup index of a run (known_index.py), a task for each shard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.data import FuzzyConfig
from bessemer.core.errors import DataError
from bessemer.core.fingerprint import digest_file
from bessemer.core.layout import DOCUMENTS
from bessemer.core.storage import write_json, write_table
from bessemer.curate.duplicates.known_index import (
    FORMAT,
    HEADER,
    KnownShard,
    signing_key,
    signing_of,
)
from bessemer.curate.duplicates.near_signatures import bands_of, shingle_sets
from bessemer.curate.ledger import list_shards, read_survivors
from bessemer.curate.whole_corpus import shard_key
from bessemer.engine.shuffle import write_run
from bessemer.engine.tasks import Engine, prepare_folder, tasks_of

_IDENTITY = ["doc_id", "source", "url", "num_bytes", "content_hash"]


def write_index(
    name: str,
    ingest: Path,
    ledgers: Sequence[Path],
    config: FuzzyConfig,
    seed: int,
    folder: Path,
    engine: Engine,
) -> int:
    """Write the index of the documents that `ledgers` left into `folder`; returns how many.

    A killed one goes on where it was. Raises DataError if the folder has a finished index.
    """
    if (folder / HEADER).exists():
        raise DataError(f"{folder} holds an index already; give another folder, or delete it")
    prepare_folder(folder)
    shards = [shard_key(shard) for shard in list_shards(ingest / DOCUMENTS)]
    tiny = shingle_sets(pa.array(["a"], pa.large_string()), config)
    bands_of(*tiny, config, key=0)  # compile before the workers
    common = {"ingest": ingest, "ledgers": tuple(ledgers), "config": config}
    common |= {"key": signing_key(seed)}
    own = {
        shard: {"out": KnownShard(index=name, folder=folder, shard=shard, first_id=0, docs=0)}
        for shard in shards
    }
    told = engine.map("index", folder, tasks_of("index", index_shard, common, own))
    files = [
        {"path": str(path.relative_to(folder)), "digest": digest_file(path)}
        for kind in ("bands", "documents", "shingles")
        for path in sorted((folder / kind).iterdir())
    ]
    header = {
        "format": FORMAT,
        "name": name,
        "signing": signing_of(config, seed),
        "shards": [
            {"shard": shard, "docs": each["docs"]} for shard, each in zip(shards, told, strict=True)
        ],
        "files": files,
    }
    write_json(folder / HEADER, header)
    return sum(each["docs"] for each in told)


def index_shard(
    ingest: Path, ledgers: Sequence[Path], config: FuzzyConfig, key: int, out: KnownShard
) -> dict[str, Any]:
    """Write one shard of an index."""
    table = read_survivors(ingest, ledgers, f"{out.shard}.parquet", [*_IDENTITY, "text"])
    offsets, hashes = shingle_sets(table["text"].combine_chunks(), config)
    num_shingles = np.diff(offsets)
    write_table(
        out.documents,
        table.select(_IDENTITY).append_column("num_shingles", pa.array(num_shingles)),
    )
    row = np.arange(len(table))
    sets = pa.LargeListArray.from_arrays(offsets, hashes)
    write_run(out.shingles, pa.table({"doc_id": row, "shingles": sets}))
    bands = bands_of(offsets, hashes, config, key)
    has_any = np.flatnonzero(num_shingles)
    rows = {"doc_id": np.repeat(row[has_any], config.num_bands), "hash": bands[has_any].reshape(-1)}
    write_run(out.bands, pa.table(rows))
    return {"docs": len(table)}
