"""Writes the dedup index of a run (known_index.py), a task for each shard."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.duplicates import FuzzyConfig
from bessemer.core.errors import DataError
from bessemer.core.fingerprint import digest_file
from bessemer.core.layout import DOCUMENTS
from bessemer.core.storage import SCRATCH, read_json, write_json, write_table
from bessemer.curate.duplicates.known_index import (
    FILES,
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
    made_of: Sequence[str],
    folder: Path,
    engine: Engine,
) -> int:
    """Write the index of the documents that `ledgers` left into `folder`; returns how many.

    `made_of` are fingerprints of what the documents come of: a killed index of the same goes on
    where it was. Raises DataError if the folder holds anything else.
    """
    about = {"format": FORMAT, "name": name, "signing": signing_of(config, seed)}
    _claim(folder, about | {"made_of": list(made_of)})
    shards = [shard_key(shard) for shard in list_shards(ingest / DOCUMENTS)]
    tiny = shingle_sets(pa.array(["a"], pa.large_string()), config)
    bands_of(*tiny, config, key=0)  # compile before the workers
    common = {"ingest": ingest, "ledgers": tuple(ledgers), "config": config}
    common |= {"key": signing_key(seed)}
    own = {
        shard: {
            "out": KnownShard(
                index=name, folder=folder, shard=shard, first_id=0, docs=0, digests={}
            )
        }
        for shard in shards
    }
    told = engine.map("index", folder, tasks_of("index", index_shard, common, own))
    listed = [{"shard": shard} | each for shard, each in zip(shards, told, strict=True)]
    write_json(folder / HEADER, about | {"shards": listed})
    shutil.rmtree(folder / SCRATCH)
    return sum(each["docs"] for each in told)


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    """Make `folder` that of the index with this identity, or find it so; DataError otherwise."""
    path = folder / SCRATCH / "identity.json"
    if (folder / HEADER).exists():
        raise DataError(f"{folder} holds an index already; give a new folder")
    if path.exists():
        if read_json(path) != identity:
            raise DataError(f"{folder} holds the beginning of another index; give a new folder")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; give a new folder")
    prepare_folder(folder)
    write_json(path, identity)


def index_shard(
    ingest: Path, ledgers: Sequence[Path], config: FuzzyConfig, key: int, out: KnownShard
) -> dict[str, Any]:
    """Write one shard of an index."""
    table = read_survivors(ingest, ledgers, f"{out.shard}.parquet", [*_IDENTITY, "text"])
    offsets, hashes = shingle_sets(table["text"].combine_chunks(), config)
    num_shingles = np.diff(offsets)
    write_table(
        out.file("documents"),
        table.select(_IDENTITY).append_column("num_shingles", pa.array(num_shingles)),
    )
    row = np.arange(len(table))
    sets = pa.LargeListArray.from_arrays(offsets, hashes)
    write_run(out.file("shingles"), pa.table({"doc_id": row, "shingles": sets}))
    bands = bands_of(offsets, hashes, config, key)
    has_any = np.flatnonzero(num_shingles)
    rows = {"doc_id": np.repeat(row[has_any], config.num_bands), "hash": bands[has_any].reshape(-1)}
    write_run(out.file("bands"), pa.table(rows))
    return {"docs": len(table), "digests": {kind: digest_file(out.file(kind)) for kind in FILES}}
