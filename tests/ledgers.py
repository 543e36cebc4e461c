"""The decision ledger of whole stages, for tests to look at; the line reads it shard by shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.core.layout import DECISIONS, DOCUMENTS
from bessemer.core.schema import DECISION
from bessemer.core.storage import concat_tables, read_table
from bessemer.curate.ledger import list_shards, shard_name, shard_of, write_decisions


def read_decisions(folders: Iterable[Path]) -> pa.Table:
    """The ledger of the stages in `folders`, stage by stage and shard by shard."""
    return concat_tables(
        [
            read_table(folder / DECISIONS / shard)
            for folder in folders
            for shard in list_shards(folder / DECISIONS)
        ],
        DECISION,
    )


def write_by_shard(ingest: Path, folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write ledger rows of a stage that worked on all shards at once, each to its shard."""
    shards = shard_of(ingest, np.array([row["doc_id"] for row in rows], np.int64)).tolist()
    by_shard = defaultdict(list)
    for row, shard in zip(rows, shards, strict=True):
        by_shard[shard_name(shard)].append(row)
    for shard in list_shards(ingest / DOCUMENTS):
        write_decisions(folder, shard, by_shard[shard])
