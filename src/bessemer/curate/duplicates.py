"""What both stages of duplicates share: where parts of the corpus lie, and tables and the ledger
from runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.core.layout import DOCUMENTS
from bessemer.core.manifest import Conservation
from bessemer.core.storage import SCRATCH, count_rows
from bessemer.curate.ledger import (
    count_shard,
    drops,
    list_shards,
    read_survivors,
    shard_ranges,
    sum_shards,
    write_decisions,
)
from bessemer.engine.shuffle import read_range
from bessemer.engine.tasks import Engine, tasks_of


def parts_folder(folder: Path, part_bytes: int) -> Path:
    """Where a stage keeps its parts. It is named for their size: a stage that was killed must not
    go on with parts of another."""
    return folder / SCRATCH / f"parts-of-{part_bytes}"


def shard_key(shard: str) -> str:
    """What a shard is called in keys of tasks and in names of other files than Parquet."""
    return shard.removesuffix(".parquet")


def part_key(part: int) -> str:
    """What a part is called there."""
    return f"{part:05d}"


def count_documents(ingest: Path) -> int:
    """Documents of all shards, dropped ones included."""
    return sum(count_rows(ingest / DOCUMENTS / shard) for shard in list_shards(ingest / DOCUMENTS))


def rows_of_runs(runs: Sequence[Path], ingest: Path) -> Iterator[pa.Table]:
    """The rows of runs of all parts, by doc_id, a shard's at a time; nothing if there is no run."""
    for first, last in shard_ranges(ingest) if runs else ():
        yield read_range(runs, first, last)


def write_ledger(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    folder: Path,
    engine: Engine,
    **told: Any,
) -> tuple[Conservation, ...]:
    """Write the ledger of all shards, and sum it up; `told` is what `decide_shard` is told."""
    shards = list_shards(ingest / DOCUMENTS)
    common = {"ingest": ingest, "ledgers": tuple(ledgers), "folder": folder, **told}
    own = {shard_key(shard): {"shard": shard} for shard in shards}
    counts = engine.map("ledger", folder, tasks_of("decide", decide_shard, common, own))
    return sum_shards(sources, counts)


def decide_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    folder: Path,
    shard: str,
    runs: Sequence[Path],
    stage: str,
    rule: str,
    bound: float | None = None,
) -> dict[str, Any]:
    """Write the ledger of one shard: the documents that runs of all parts drop.

    Columns of runs beside doc_id are columns of the ledger.
    """
    documents = read_survivors(ingest, ledgers, shard, ["doc_id", "source", "num_bytes"])
    doc_ids = documents["doc_id"].to_numpy()
    table = None
    if len(doc_ids) and runs:
        found = read_range(runs, doc_ids[0], doc_ids[-1])
        rest = {name: found[name] for name in found.column_names if name != "doc_id"}
        if bound is not None:
            rest["bound"] = np.full(len(found), bound)
        dropped = documents.take(np.searchsorted(doc_ids, found["doc_id"].to_numpy()))
        table = drops(dropped, stage, rule, **rest)
    write_decisions(folder, shard, [], table)
    return count_shard(documents, folder, shard)
