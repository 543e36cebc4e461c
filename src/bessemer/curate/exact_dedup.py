"""Stage `exact`: of documents with equal bytes, the one with the smallest doc_id stays.

Smallest doc_id means: the earliest source of the run file, then the first path. The ledger names
the document that was kept.

Hashes of all shards come together in parts (bessemer.engine.shuffle), so that no task holds more
than a part of them, however large the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.core.layout import DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.core.storage import SCRATCH
from bessemer.curate.ledger import (
    count_rows,
    count_shard,
    drops,
    list_shards,
    read_survivors,
    sum_shards,
    write_decisions,
)
from bessemer.engine.shuffle import count_parts, gather, read_range, scatter, write_run
from bessemer.engine.tasks import Engine, Task

STAGE = "exact"
RULE = "exact_duplicate"
_ROW_BYTES = 24  # a hash and a doc_id


def exact(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    folder: Path,
    engine: Engine,
    part_bytes: int = 2**27,
) -> StageResult:
    """Drop all but one of each group of equal documents that `ledgers` left."""
    shards = list_shards(ingest / DOCUMENTS)
    num_parts = count_parts(count_rows(ingest) * _ROW_BYTES, part_bytes)
    common = {"ingest": ingest, "ledgers": tuple(ledgers), "folder": folder}
    engine.map(
        STAGE,
        folder,
        [
            Task(
                key=f"hash-{shard.removesuffix('.parquet')}",
                function=hash_shard,
                arguments={**common, "shard": shard, "num_parts": num_parts},
            )
            for shard in shards
        ],
    )
    hashes = [_hashes(folder, shard) for shard in shards]
    engine.map(
        "equal",
        folder,
        [
            Task(
                key=f"match-{part:05d}",
                function=match_part,
                arguments={"hashes": hashes, "part": part, "out": _matches(folder, part)},
            )
            for part in range(num_parts)
        ],
    )
    counts = engine.map(
        "ledger",
        folder,
        [
            Task(
                key=f"decide-{shard.removesuffix('.parquet')}",
                function=decide_shard,
                arguments={**common, "shard": shard, "num_parts": num_parts},
            )
            for shard in shards
        ],
    )
    return StageResult(conservation=sum_shards(sources, counts))


def hash_shard(
    ingest: Path, ledgers: Sequence[Path], folder: Path, shard: str, num_parts: int
) -> dict[str, Any]:
    """Part the content hashes of one shard's surviving documents."""
    table = read_survivors(ingest, ledgers, shard, ["doc_id", "content_hash"])
    key = np.frombuffer(b"".join(table["content_hash"].to_pylist()), "<u8")[::2]
    scatter(_hashes(folder, shard), table, key, num_parts)
    return {"docs": len(table)}


def match_part(hashes: Sequence[Path], part: int, out: Path) -> dict[str, Any]:
    """Find the documents of one part that have an equal with a smaller doc_id: a run of these."""
    table = gather(hashes, part).combine_chunks()
    halves = np.frombuffer(b"".join(table["content_hash"].to_pylist()), "<u8").reshape(-1, 2)
    doc_id = table["doc_id"].to_numpy()
    order = np.lexsort((doc_id, halves[:, 0], halves[:, 1]))
    doc_id, halves = doc_id[order], halves[order]
    is_first = np.ones(len(doc_id), np.bool_)
    is_first[1:] = (halves[1:] != halves[:-1]).any(axis=1)
    keeper = doc_id[is_first][np.cumsum(is_first) - 1]
    found = np.flatnonzero(~is_first)
    found = found[np.argsort(doc_id[found])]
    write_run(out, pa.table({"doc_id": doc_id[found], "keeper": keeper[found]}))
    return {"duplicates": len(found)}


def decide_shard(
    ingest: Path, ledgers: Sequence[Path], folder: Path, shard: str, num_parts: int
) -> dict[str, Any]:
    """Write the ledger of one shard from the runs of all parts."""
    documents = read_survivors(ingest, ledgers, shard, ["doc_id", "source", "num_bytes"])
    doc_ids = documents["doc_id"].to_numpy()
    dropped = documents.slice(0, 0)
    keeper = np.empty(0, np.int64)
    if len(doc_ids):
        runs = [_matches(folder, part) for part in range(num_parts)]
        found = read_range(runs, doc_ids[0], doc_ids[-1])
        dropped = documents.take(np.searchsorted(doc_ids, found["doc_id"].to_numpy()))
        keeper = found["keeper"].to_numpy()
    write_decisions(folder, shard, [], drops(dropped, STAGE, RULE, evidence_doc_id=keeper))
    return count_shard(documents, folder, shard)


def _hashes(folder: Path, shard: str) -> Path:
    return folder / SCRATCH / "hashes" / f"{shard.removesuffix('.parquet')}.arrow"


def _matches(folder: Path, part: int) -> Path:
    return folder / SCRATCH / "matches" / f"{part:05d}.arrow"
