"""The shards that ingest writes: of bounded size, while it reads, in the order of doc_ids.

A task writes its shards below the stage's scratch folder, for nobody knows yet how many the tasks
before it will have. When all are done, shards get their numbers and places by renaming. What a
killed task left is written again, byte for byte, or thrown away with the scratch folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.errors import DataError
from bessemer.core.layout import DECISIONS, DOCUMENTS
from bessemer.core.schema import DECISION, DOCUMENT, EDIT, QUARANTINE, SHARD_RANGE
from bessemer.core.storage import SCRATCH, write_table
from bessemer.curate.ledger import shard_name

# Python objects are turned into Arrow's after so many bytes or rows: strings take up to four times
# their UTF-8, and a row of the ledger a kilobyte.
_BATCH_BYTES = 4 * 2**20
_BATCH_ROWS = 4096
_ROW_BYTES = 64  # of a document beside its text, URL and metadata, about
_DECISION_BYTES = 128  # of a row of the ledger beside its evidence, about
_SPAN_BYTES = 32  # of a span of an edit, about; there may be a thousand in a row
_SPAN_OBJECT_BYTES = 300  # of the same as Python has it
_MOST_SHARDS = 99_999  # the names of more would not sort


class Document(NamedTuple):
    """A row of a table of documents, its source aside."""

    doc_id: int
    text: bytes  # UTF-8
    content_hash: bytes
    raw_bytes: int
    url: str
    metadata: str


class ShardWriter:
    """Writes the shards of one task; in memory is one shard at most.

    A shard ends behind the row with which it reaches `shard_bytes`, counted as columns take them
    before compression.
    """

    def __init__(self, folder: Path, task: str, source: str, shard_bytes: int) -> None:
        self._folder, self._task, self._source = folder, task, source
        self._shard_bytes = shard_bytes
        self._documents: list[Document] = []
        self._decisions: list[dict[str, Any]] = []
        self._document_batches: list[pa.RecordBatch] = []
        self._decision_batches: list[pa.RecordBatch] = []
        self._batch_bytes = self._num_bytes = 0
        self._ids: tuple[int, int] | None = None
        self.ranges: list[tuple[int, int]] = []
        """First and last doc_id of each shard that is written."""
        self.sums = dict.fromkeys(
            (
                *("docs_out", "docs_quarantined", "bytes_out", "bytes_quarantined"),
                *("bytes_edited", "bytes_inserted", "bytes_markup"),
            ),
            0,
        )
        """Of what is written, as `Conservation` has them."""

    def add(
        self, doc_id: int, document: Document | None, decisions: Sequence[dict[str, Any]]
    ) -> None:
        """Write what became of a row; ids must ascend."""
        if self._num_bytes >= self._shard_bytes:
            self._end_shard()
        self._ids = (self._ids[0] if self._ids else doc_id, doc_id)
        size = num_spans = 0
        if document is not None:
            self._documents.append(document)
            size = len(document.text) + len(document.url) + len(document.metadata) + _ROW_BYTES
        for row in decisions:
            self._decisions.append(row)
            size += len(row["evidence"] or "") + _DECISION_BYTES
            num_spans += len(row["spans"] or ())
        self._num_bytes += size + num_spans * _SPAN_BYTES
        self._batch_bytes += size + num_spans * _SPAN_OBJECT_BYTES
        if self._batch_bytes >= _BATCH_BYTES or len(self._documents) >= _BATCH_ROWS:
            self._end_batch()

    def close(self, first_doc_id: int) -> None:
        """Write the last shard; if no row came, an empty one from `first_doc_id` on."""
        if self._ids is None and not self.ranges:
            self._ids = (first_doc_id, first_doc_id - 1)
        if self._ids is not None:
            self._end_shard()

    def _end_batch(self) -> None:
        if self._documents:
            self._document_batches.append(_document_batch(self._documents, self._source))
        if self._decisions:
            batch = pa.RecordBatch.from_pylist(self._decisions, schema=DECISION)
            self._decision_batches.append(batch)
        self._documents, self._decisions = [], []
        self._batch_bytes = 0

    def _end_shard(self) -> None:
        assert self._ids is not None
        self._end_batch()
        name = _scratch_name(self._task, len(self.ranges))
        documents = pa.Table.from_batches(self._document_batches, DOCUMENT)
        decisions = pa.Table.from_batches(self._decision_batches, DECISION)
        write_table(self._folder / SCRATCH / DOCUMENTS / name, documents)
        write_table(self._folder / SCRATCH / DECISIONS / name, decisions)
        self._count(documents, decisions)
        self.ranges.append(self._ids)
        self._document_batches, self._decision_batches = [], []
        self._num_bytes, self._ids = 0, None

    def _count(self, documents: pa.Table, decisions: pa.Table) -> None:
        lost = decisions.filter(pc.equal(decisions["action"], QUARANTINE))
        edits = decisions.filter(pc.equal(decisions["action"], EDIT))
        text, edited = _total(documents["num_bytes"]), _total(edits["num_bytes"])
        self.sums["docs_out"] += len(documents)
        self.sums["docs_quarantined"] += len(lost)
        self.sums["bytes_out"] += text
        self.sums["bytes_quarantined"] += _total(lost["num_bytes"])
        self.sums["bytes_edited"] += edited
        inserted = _total(edits["inserted_bytes"])
        self.sums["bytes_inserted"] += inserted
        self.sums["bytes_markup"] += _total(documents["raw_bytes"]) + inserted - text - edited


def place_shards(folder: Path, tasks: Iterable[tuple[str, Mapping[str, Any]]]) -> pa.Table:
    """Give the shards of all tasks (key, result) their numbers and places; the table of ranges.

    A result has the `source` and the `ranges` of a task. Harmless where it was begun before.
    Raises DataError if there are more shards than names.
    """
    moves: list[tuple[str, str]] = []
    rows: list[dict[str, Any]] = []
    for task, result in tasks:
        for place, (first, last) in enumerate(result["ranges"]):
            moves.append((_scratch_name(task, place), shard_name(len(rows))))
            rows.append(
                {
                    "shard": len(rows),
                    "source": result["source"],
                    "first_doc_id": first,
                    "last_doc_id": last,
                }
            )
    refuse_too_many(len(rows))
    for table in (DOCUMENTS, DECISIONS):
        (folder / table).mkdir(parents=True, exist_ok=True)
        for begun, final in moves:
            if (folder / SCRATCH / table / begun).exists():
                (folder / SCRATCH / table / begun).replace(folder / table / final)
    return pa.Table.from_pylist(rows, schema=SHARD_RANGE)


def refuse_too_many(num_shards: int) -> None:
    """DataError if there are, or will be, more shards than names."""
    if num_shards > _MOST_SHARDS:
        raise DataError(
            f"{num_shards} shards, only {_MOST_SHARDS} have names; set curate.shard_bytes higher"
        )


def _scratch_name(task: str, place: int) -> str:
    return f"{task}-{place}.parquet"


def _document_batch(rows: Sequence[Document], source: str) -> pa.RecordBatch:
    doc_id, text, content_hash, raw_bytes, url, metadata = zip(*rows, strict=True)
    columns = [
        pa.array(doc_id, pa.int64()),
        pa.array(text, pa.large_binary()).cast(pa.large_string()),
        pa.array(content_hash, pa.binary(16)),
        pa.array([len(data) for data in text], pa.int64()),
        pa.array(raw_bytes, pa.int64()),
        pa.repeat(pa.scalar(source, pa.string()), len(rows)),
        pa.array(url, pa.string()),
        pa.array(metadata, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENT)


def _total(column: pa.ChunkedArray) -> int:
    return pc.sum(column).as_py() or 0
