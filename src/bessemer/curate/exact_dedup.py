"""Stage `exact`: of documents with equal bytes, the one with the smallest doc_id stays.

Smallest doc_id means: the earliest source of the run file, then the first path. The ledger names
the document that was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.core.layout import DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import DROP
from bessemer.curate.ledger import (
    conserve_drops,
    count_by_source,
    decision,
    list_shards,
    read_survivors,
    write_by_shard,
)
from bessemer.engine.relations import query, relations
from bessemer.engine.tasks import Engine

STAGE = "exact"
RULE = "exact_duplicate"

_DUPLICATES = """
    SELECT doc_id, source, num_bytes,
           min(doc_id) OVER (PARTITION BY content_hash) AS keeper
    FROM documents
    QUALIFY keeper <> doc_id
    ORDER BY doc_id
"""


def exact(
    ingest: Path, ledgers: Sequence[Path], sources: Sequence[str], folder: Path, engine: Engine
) -> StageResult:
    """Drop all but one of each group of equal documents that `ledgers` left."""
    columns = ["doc_id", "source", "num_bytes", "content_hash"]
    shards = list_shards(ingest / DOCUMENTS)
    documents = pa.concat_tables(
        [read_survivors(ingest, ledgers, shard, columns) for shard in shards]
    )
    with relations(folder, engine.workers) as connection:
        duplicates = query(connection, _DUPLICATES, {"documents": documents})
    rows = [
        decision(
            doc_id=row["doc_id"],
            source=row["source"],
            stage=STAGE,
            rule=RULE,
            action=DROP,
            num_bytes=row["num_bytes"],
            evidence_doc_id=row["keeper"],
        )
        for row in duplicates.to_pylist()
    ]
    write_by_shard(ingest, folder, rows)
    return StageResult(
        conservation=conserve_drops(
            sources, [count_before_and_after(ingest, ledgers, folder, shards)], folder
        )
    )


def count_before_and_after(
    ingest: Path, ledgers: Sequence[Path], folder: Path, shards: Sequence[str]
) -> dict[str, Any]:
    """Documents and bytes by source, without and with the decisions of the stage in `folder`."""
    columns = ["doc_id", "source", "num_bytes"]
    found = {}
    for name, folders in (("before", ledgers), ("after", [*ledgers, folder])):
        parts = [read_survivors(ingest, folders, shard, columns) for shard in shards]
        found[name] = count_by_source(pa.concat_tables(parts))
    return found
