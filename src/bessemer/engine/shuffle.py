"""Rows of all shards brought together by a key, in bounded memory: the shuffle of a stage.

A task per shard writes its rows parted by a hash (`scatter`); a task per part reads what all of
them wrote of it (`gather`). What a part finds goes back to the shards as runs sorted by doc_id
(`write_run`), of which a task per shard reads its range (`read_range`). Files are Arrow's own, not
compressed: a part of one is read without the rest.

Rows come in the order of the files, and how many parts there are depends on the rows alone: neither
the number of workers nor the order in which they finish can change what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from bessemer.core.storage import atomic_path, readable

_MOST_PARTS = 1 << 12


def count_parts(num_bytes: int, part_bytes: int) -> int:
    """How many parts hold rows of `num_bytes` together, `part_bytes` each: a power of two.

    A task sorts its part, which takes a few times as much memory.
    """
    num_parts = 1
    while num_parts < _MOST_PARTS and num_parts * part_bytes < num_bytes:
        num_parts *= 2
    return num_parts


def scatter(path: Path, table: pa.Table, key: np.ndarray, num_parts: int) -> None:
    """Write `table` so that part p holds the rows whose key (uint64, spread evenly) ends in p.

    Rows of a part keep their order. `num_parts` is a power of two.
    """
    part = (key & np.uint64(num_parts - 1)).astype(np.int64)
    table = table.take(np.argsort(part, kind="stable")).combine_chunks()
    ends = np.cumsum(np.bincount(part, minlength=num_parts)).tolist()
    begins = [0, *ends[:-1]]
    _write(path, [table.slice(b, e - b) for b, e in zip(begins, ends, strict=True)])


def gather(paths: Iterable[Path], part: int) -> pa.Table:
    """The rows of one part, file after file; IntegrityError if a file is missing or damaged."""
    batches = []
    for path in paths:
        with _opened(path) as reader:
            batches.append(reader.get_batch(part))
    return pa.Table.from_batches(batches)


def take_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Rows (ascending) of a table that `gather` returned; of the files no more is read than they
    take, while `pa.Table.take` first copies all."""
    batches = table.to_batches()
    ends = np.cumsum([batch.num_rows for batch in batches])
    taken = []
    for batch, end in zip(batches, ends.tolist(), strict=True):
        begin = end - batch.num_rows
        first, last = np.searchsorted(rows, [begin, end])
        taken.append(batch.take(pa.array(rows[first:last] - begin)))
    return pa.Table.from_batches(taken, table.schema)


def write_part(path: Path, table: pa.Table) -> None:
    """Write `table` as the one part of a file."""
    _write(path, [table])


def write_run(path: Path, table: pa.Table) -> None:
    """Write `table`, which is sorted by doc_id."""
    write_part(path, table)


def read_range(paths: Iterable[Path], first: int, last: int) -> pa.Table:
    """The rows whose doc_id is `first` to `last`, sorted by it; of equal ones, file after file.

    IntegrityError if a file is missing or damaged.
    """
    parts = []
    for path in paths:
        with _opened(path) as reader:
            batch = reader.get_batch(0)
            begin, end = np.searchsorted(batch["doc_id"].to_numpy(), [first, last + 1]).tolist()
            parts.append(batch.slice(begin, end - begin))
    table = pa.Table.from_batches(parts)
    return table.take(np.argsort(table["doc_id"].to_numpy(), kind="stable"))


def look_up(paths: Iterable[Path], doc_ids: np.ndarray) -> pa.Table:
    """The rows of runs with these ids (sorted, unique), sorted by doc_id; of a run no more is read
    than holds them.

    IntegrityError if a file is missing or damaged.
    """
    parts = []
    for path in paths:
        with _opened(path) as reader:
            batch = reader.get_batch(0)
            there = batch["doc_id"].to_numpy()
            begin, end = np.searchsorted(doc_ids, there[[0, -1]]) if len(there) else (0, 0)
            wanted = doc_ids[begin : end + 1]
            places = np.searchsorted(there, wanted)
            is_there = places < len(there)
            is_there[is_there] = there[places[is_there]] == wanted[is_there]
            parts.append(batch.take(pa.array(places[is_there])))
    table = pa.Table.from_batches(parts)
    return table.take(np.argsort(table["doc_id"].to_numpy(), kind="stable"))


def _write(path: Path, parts: Sequence[pa.Table]) -> None:
    """Write each table as one batch, an empty one too, so that its place is its number."""
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, parts[0].schema) as writer,
    ):
        for part in parts:
            columns = [column.combine_chunks() for column in part.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=part.schema))


@contextmanager
def _opened(path: Path) -> Iterator[pa.ipc.RecordBatchFileReader]:
    with readable(path), pa.ipc.open_file(pa.memory_map(str(path))) as reader:
        yield reader
