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
from bessemer.curate.duplicates import (
    count_documents,
    part_key,
    parts_folder,
    shard_key,
    write_ledger,
)
from bessemer.curate.ledger import content_hashes, list_shards, read_survivors
from bessemer.engine.shuffle import count_parts, gather, scatter, write_run
from bessemer.engine.tasks import Engine, tasks_of

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
    parts = parts_folder(folder, part_bytes)
    num_parts = count_parts(count_documents(ingest) * _ROW_BYTES, part_bytes)
    shards = list_shards(ingest / DOCUMENTS)
    hashes = [parts / "hashes" / f"{shard_key(shard)}.arrow" for shard in shards]
    runs = [parts / "drops" / f"{part_key(part)}.arrow" for part in range(num_parts)]
    common = {"ingest": ingest, "ledgers": tuple(ledgers), "num_parts": num_parts}
    by_shard = {
        shard_key(shard): {"shard": shard, "out": out}
        for shard, out in zip(shards, hashes, strict=True)
    }
    engine.map(STAGE, parts, tasks_of("hash", hash_shard, common, by_shard))
    by_part = {part_key(part): {"part": part, "out": out} for part, out in enumerate(runs)}
    engine.map("equal", parts, tasks_of("match", match_part, {"hashes": hashes}, by_part))
    told = {"runs": runs, "stage": STAGE, "rule": RULE}
    return StageResult(conservation=write_ledger(ingest, ledgers, sources, folder, engine, **told))


def hash_shard(
    ingest: Path, ledgers: Sequence[Path], shard: str, num_parts: int, out: Path
) -> dict[str, Any]:
    """Part the content hashes of one shard's surviving documents."""
    table = read_survivors(ingest, ledgers, shard, ["doc_id", "content_hash"])
    scatter(out, table, content_hashes(table["content_hash"])[:, 0], num_parts)
    return {"docs": len(table)}


def match_part(hashes: Sequence[Path], part: int, out: Path) -> dict[str, Any]:
    """Find the documents of one part that have an equal with a smaller doc_id: a run of these."""
    table = gather(hashes, part)
    halves = content_hashes(table["content_hash"])
    doc_id = table["doc_id"].to_numpy()
    order = np.lexsort((doc_id, halves[:, 1], halves[:, 0]))
    doc_id, halves = doc_id[order], halves[order]
    is_first = np.ones(len(doc_id), np.bool_)
    is_first[1:] = (halves[1:] != halves[:-1]).any(axis=1)
    keeper = doc_id[is_first][np.cumsum(is_first) - 1]
    found = np.flatnonzero(~is_first)
    found = found[np.argsort(doc_id[found])]
    write_run(out, pa.table({"doc_id": doc_id[found], "evidence_doc_id": keeper[found]}))
    return {"duplicates": len(found)}
