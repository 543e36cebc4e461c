"""Stage `ingest`: every source file is read once; every row becomes a document or a quarantine.

Large files are split where their format allows it, small ones of one source are taken together: a
task each, which writes one shard or, where more text comes out than went in, several. Output:
`documents/<shard>.parquet`, `decisions/<shard>.parquet` (edits and quarantines), `shards.parquet`
(which documents are in which), `files.parquet`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import DataError
from bessemer.core.ids import MAX_ROW, pack_doc_id
from bessemer.core.layout import FILES, SHARD_RANGES
from bessemer.core.manifest import Conservation, StageResult
from bessemer.core.schema import EDIT, QUARANTINE, SOURCE_FILE
from bessemer.core.storage import write_table
from bessemer.curate.decode import UndecodableError
from bessemer.curate.extractor import Extractor
from bessemer.curate.inventory import SourceFile
from bessemer.curate.ledger import decision
from bessemer.curate.parts import Part
from bessemer.curate.readers import read_part
from bessemer.curate.rows import RawRow
from bessemer.curate.shards import Document, ShardWriter, place_shards, refuse_too_many
from bessemer.curate.splitting import split_files
from bessemer.engine.tasks import Engine, Task

STAGE = "ingest"

_METADATA = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


def ingest(
    files: Sequence[SourceFile],
    sources: Sequence[SourceConfig],
    curate: CurateConfig,
    folder: Path,
    engine: Engine,
) -> StageResult:
    """Read all `files` into `folder`; what went in is what the readers counted."""
    by_name = {source.name: source for source in sources}
    groups = plan_tasks(split_files(files, by_name, curate, folder, engine), curate.shard_bytes)
    refuse_too_many(len(groups))
    tasks = [
        Task(
            key=f"read-{number:05d}",
            function=ingest_parts,
            arguments={
                "parts": group,
                "source": by_name[group[0].source],
                "curate": curate,
                "task": f"{number:05d}",
                "folder": folder,
            },
        )
        for number, group in enumerate(groups)
    ]
    # The largest first, for what cannot be split may be the last to end.
    sizes = [sum(part.size_bytes for part in group) for group in groups]
    order = sorted(range(len(tasks)), key=lambda number: -sizes[number])
    done = engine.map(STAGE, folder, [tasks[number] for number in order])
    results = [result for _, result in sorted(zip(order, done, strict=True), key=itemgetter(0))]
    keys = [task.arguments["task"] for task in tasks]
    ranges = place_shards(folder, zip(keys, results, strict=True))
    write_table(folder / SHARD_RANGES, ranges)
    rows_of_file: Counter[int] = Counter()
    for result in results:
        rows_of_file.update({int(file_id): rows for file_id, rows in result["rows"].items()})
    table = pa.Table.from_pylist(
        [
            {
                "file_id": file.file_id,
                "source": file.source,
                "path": file.path,
                "size_bytes": file.size_bytes,
                "digest": file.digest,
                "num_rows": rows_of_file[file.file_id],
                "license": by_name[file.source].license,
            }
            for file in files
        ],
        schema=SOURCE_FILE,
    )
    write_table(folder / FILES, table)
    sums = [_sum_up(name, results) for name in by_name]
    if not any(total.docs_out for total in sums):
        raise DataError("no document could be read; see the quarantine in " + str(folder))
    return StageResult(
        conservation=tuple(sums),
        summary={"num_files": len(files), "num_shards": len(ranges)},
    )


def plan_tasks(parts: Sequence[Part], task_bytes: int) -> list[list[Part]]:
    """Consecutive parts of one source, together at most `task_bytes` (or one larger part)."""
    tasks: list[list[Part]] = []
    filled = 0
    for part in parts:
        fits = tasks and tasks[-1][0].source == part.source
        if not fits or filled + part.size_bytes > task_bytes:
            tasks.append([])
            filled = 0
        tasks[-1].append(part)
        filled += part.size_bytes
    return tasks


def ingest_parts(
    parts: Sequence[Part], source: SourceConfig, curate: CurateConfig, task: str, folder: Path
) -> dict[str, Any]:
    """Read parts of one source, in order, into shards named for `task`; returns their ranges, the
    sums and the rows found in each file."""
    writer = ShardWriter(folder, task, source.name, curate.shard_bytes)
    rows_of_file: Counter[str] = Counter()
    bytes_in = 0
    with Extractor(source.kind, curate) as extractor:
        for part in parts:
            file, number = part.file, part.first_row
            for row in read_part(part, source, curate):
                if number > MAX_ROW:
                    raise DataError(f"{file.path}: more than {MAX_ROW} rows; split the file")
                doc_id = pack_doc_id(file.file_id, number)
                writer.add(doc_id, *_take(row, doc_id, file, source, extractor))
                number += 1
                bytes_in += row.raw_bytes
            rows_of_file[str(file.file_id)] += number - part.first_row
    writer.close(pack_doc_id(parts[0].file.file_id, parts[0].first_row))
    return {
        "source": source.name,
        "rows": dict(rows_of_file),
        "ranges": writer.ranges,
        "bytes_in": bytes_in,
        **writer.sums,
    }


def _take(
    row: RawRow, doc_id: int, file: SourceFile, source: SourceConfig, extractor: Extractor
) -> tuple[Document | None, list[dict[str, Any]]]:
    """What becomes of a row: a document with its edits, or a quarantine."""
    error = row.error
    if error is None:
        try:
            found = extractor.extract(row, file.path)
        except UndecodableError as problem:
            error = str(problem)
    if error is not None:
        lost = decision(
            doc_id=doc_id,
            source=source.name,
            stage=STAGE,
            rule="unreadable",
            action=QUARANTINE,
            num_bytes=row.raw_bytes,
            evidence=error,
        )
        return None, [lost]
    text = found.encoded
    document = Document(
        doc_id=doc_id,
        text=text,
        content_hash=xxhash.xxh3_128_digest(text),
        raw_bytes=row.raw_bytes,
        url=row.url or file.path,
        metadata=_METADATA.encode(found.hints | row.metadata),
    )
    edits = [
        decision(
            doc_id=doc_id,
            source=source.name,
            stage=STAGE,
            rule=edit.rule,
            action=EDIT,
            value=float(edit.num_places),
            num_bytes=edit.removed_bytes,
            inserted_bytes=edit.inserted_bytes,
            evidence=edit.evidence,
            spans=[span._asdict() for span in edit.spans] or None,
        )
        for edit in found.edits
    ]
    return document, edits


def _sum_up(source: str, results: Sequence[dict[str, Any]]) -> Conservation:
    """The sums of one source over its shards; rows counted by the readers are what went in."""
    parts = [result for result in results if result["source"] == source]
    names = (
        *("docs_out", "docs_quarantined", "bytes_in", "bytes_out"),
        *("bytes_quarantined", "bytes_edited", "bytes_inserted", "bytes_markup"),
    )
    totals = {name: sum(part[name] for part in parts) for name in names}
    docs_in = sum(sum(part["rows"].values()) for part in parts)
    return Conservation(source=source, docs_in=docs_in, **totals)
