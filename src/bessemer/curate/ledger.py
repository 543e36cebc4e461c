"""The decision ledger: one row per document dropped, edited or quarantined, and why.

Each stage writes `decisions/<shard>.parquet`; shard k of any stage covers the same doc_ids, which
`shards.parquet` of ingest tells. What is left of a shard after some stages is its documents minus
those with a decisive row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.layout import DECISIONS, DOCUMENTS, SHARD_RANGES
from bessemer.core.manifest import Conservation
from bessemer.core.schema import DECISION, DROP, QUARANTINE
from bessemer.core.storage import concat_tables, read_table, write_table

Counts = Mapping[str, Sequence[int]]  # source -> (documents, bytes)


def shard_name(shard: int) -> str:
    """The file name of shard number `shard` in any table."""
    return f"{shard:05d}.parquet"


def list_shards(folder: Path) -> list[str]:
    """File names of the shards of one table, in order."""
    return sorted(path.name for path in folder.glob("*.parquet"))


def decision(
    *, doc_id: int, source: str, stage: str, rule: str, action: str, num_bytes: int, **rest: Any
) -> dict[str, Any]:
    """One row of the ledger; what is not given is null, and a lost document is lost decisively."""
    row = dict.fromkeys(DECISION.names)
    row |= {"decisive": action in (DROP, QUARANTINE), "doc_id": doc_id, "source": source}
    return row | {"stage": stage, "rule": rule, "action": action, "num_bytes": num_bytes} | rest


def drops(documents: pa.Table, stage: str, rule: str, **rest: np.ndarray) -> pa.Table:
    """Ledger rows (DECISION) that drop documents, given with doc_id, source and num_bytes.

    `rest` are more columns; what is not given is null.
    """
    return decisions(documents, stage, rule, DROP, **rest)


def decisions(
    documents: pa.Table, stage: str, rule: str, action: str, **rest: np.ndarray | pa.Array
) -> pa.Table:
    """The same for any action. A column of `rest` may take the place of one of the documents'."""
    num_rows = len(documents)
    given = {name: documents[name] for name in ("doc_id", "source", "num_bytes")} | rest
    is_decisive = action in (DROP, QUARANTINE)
    same = {"stage": stage, "rule": rule, "action": action, "decisive": is_decisive}
    given |= {name: pa.repeat(pa.scalar(value), num_rows) for name, value in same.items()}
    columns = [
        given[field.name] if field.name in given else pa.nulls(num_rows, field.type)
        for field in DECISION
    ]
    return pa.table(columns, names=DECISION.names).cast(DECISION)


def write_decisions(
    folder: Path, shard: str, rows: Sequence[dict[str, Any]], table: pa.Table | None = None
) -> None:
    """Write the ledger of one shard, in doc_id order (rows of one document in the order given).

    `table` (DECISION) has rows that were made as columns; of one document they come before `rows`.
    """
    parts = [table] if table is not None else []
    if rows or table is None:
        parts.append(pa.Table.from_pylist(list(rows), schema=DECISION))
    everything = concat_tables(parts, DECISION)
    doc_ids = everything["doc_id"].to_numpy()
    if (np.diff(doc_ids) < 0).any():
        everything = everything.take(np.argsort(doc_ids, kind="stable"))
    write_table(folder / DECISIONS / shard, everything)


def content_hashes(column: pa.ChunkedArray) -> np.ndarray:
    """The content hashes of documents as uint64 [documents, 2], the high half first."""
    halves = np.frombuffer(b"".join(column.to_pylist()), ">u8").reshape(-1, 2)
    return halves.astype(np.uint64)


def lost_doc_ids(folders: Iterable[Path], shard: str) -> np.ndarray:
    """Sorted ids (int64) of the documents of one shard that these stages dropped."""
    ids = [np.empty(0, np.int64)]
    for folder in folders:
        path = folder / DECISIONS / shard
        if path.exists():
            table = read_table(path, columns=["doc_id", "action", "decisive"])
            lost = table.filter(pc.and_(table["decisive"], pc.equal(table["action"], DROP)))
            ids.append(lost["doc_id"].to_numpy())
    return np.unique(np.concatenate(ids))


def read_survivors(
    ingest: Path, ledgers: Iterable[Path], shard: str, columns: list[str] | None = None
) -> pa.Table:
    """The documents of one shard that none of the stages in `ledgers` dropped."""
    table = read_table(ingest / DOCUMENTS / shard, columns)
    lost = lost_doc_ids(ledgers, shard)
    if not len(lost):
        return table
    return table.filter(~np.isin(table["doc_id"].to_numpy(), lost))


def count_by_source(table: pa.Table) -> dict[str, tuple[int, int]]:
    """source -> (documents, bytes) of a table that has `source` and `num_bytes`."""
    groups = table.group_by("source", use_threads=False).aggregate(
        [("num_bytes", "count"), ("num_bytes", "sum")]
    )
    return {
        row["source"]: (row["num_bytes_count"], row["num_bytes_sum"]) for row in groups.to_pylist()
    }


def count_drops(folder: Path, shard: str) -> dict[str, tuple[int, int]]:
    """source -> (documents, bytes) that the ledger of one shard, as it was written, says are lost.

    A document that it loses twice is counted twice, so that the sums show it.
    """
    table = read_table(folder / DECISIONS / shard, ["source", "num_bytes", "decisive"])
    return count_by_source(table.filter(table["decisive"]))


def count_shard(documents: pa.Table, folder: Path, shard: str) -> dict[str, Any]:
    """What came into a stage that only drops, and what became of it, in one shard.

    `documents` has the doc_id, source and num_bytes of those that came; the ledger in `folder` must
    be written. What is dropped is counted from its rows, what is left from the documents whose ids
    they do not name: the two counts share no number, so `Conservation.check` finds a wrong row.
    """
    lost = lost_doc_ids([folder], shard)
    left = documents.filter(~np.isin(documents["doc_id"].to_numpy(), lost))
    return {
        "before": count_by_source(documents),
        "after": count_by_source(left),
        "dropped": count_drops(folder, shard),
    }


def sum_shards(
    sources: Sequence[str], results: Sequence[Mapping[str, Any]]
) -> tuple[Conservation, ...]:
    """The sums of a stage whose tasks return what `count_shard` does."""
    return sum_up(
        sources,
        *([result[name] for result in results] for name in ("before", "after", "dropped")),
    )


def sum_up(
    sources: Sequence[str],
    before: Iterable[Counts],
    after: Iterable[Counts],
    dropped: Iterable[Counts] = (),
) -> tuple[Conservation, ...]:
    """One Conservation per source from counts of parts."""
    went_in, came_out, fell = _add_up(before), _add_up(after), _add_up(dropped)
    return tuple(
        Conservation(
            source=source,
            docs_in=went_in[source][0],
            docs_out=came_out[source][0],
            docs_dropped=fell[source][0],
            bytes_in=went_in[source][1],
            bytes_out=came_out[source][1],
            bytes_dropped=fell[source][1],
        )
        for source in sources
    )


def _add_up(parts: Iterable[Counts]) -> defaultdict[str, tuple[int, int]]:
    total: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for part in parts:
        for source, (docs, num_bytes) in part.items():
            total[source] = (total[source][0] + docs, total[source][1] + num_bytes)
    return total


def shard_of(ingest: Path, doc_ids: np.ndarray) -> np.ndarray:
    """The shard number (int64) that holds each of `doc_ids`, in their shape.

    An id of no document gets the shard in which it is missing.
    """
    table = read_table(ingest / SHARD_RANGES, columns=["shard", "first_doc_id"])
    place = np.searchsorted(table["first_doc_id"].to_numpy(), doc_ids, side="right") - 1
    shards: np.ndarray = table["shard"].to_numpy()[np.maximum(place, 0)].astype(np.int64)
    return shards


def sources_of_shards(ingest: Path) -> dict[str, str]:
    """shard -> the source it is of, in order."""
    table = read_table(ingest / SHARD_RANGES, columns=["shard", "source"])
    return {shard_name(row["shard"]): row["source"] for row in table.to_pylist()}


def shard_ranges(ingest: Path) -> list[tuple[int, int]]:
    """First and last doc_id of each shard, in order."""
    table = read_table(ingest / SHARD_RANGES, columns=["first_doc_id", "last_doc_id"])
    return [(row["first_doc_id"], row["last_doc_id"]) for row in table.to_pylist()]
