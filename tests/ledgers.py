"""The decision ledger of whole stages, for tests to look at; the line reads it shard by shard."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from bessemer.core.layout import DECISIONS
from bessemer.core.schema import DECISION
from bessemer.core.storage import concat_tables, read_table
from bessemer.curate.ledger import list_shards


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
