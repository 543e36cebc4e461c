"""Stage `ingest`: every source file is read once; every row becomes a document or a quarantine.

Files of one source are grouped into shards by size, a task per shard. Output:
`documents/<shard>.parquet`, `decisions/<shard>.parquet` (edits and quarantines), `files.parquet`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from bessemer.config.data import CurateConfig, SourceConfig
from bessemer.core.errors import DataError
from bessemer.core.ids import MAX_ROW, pack_doc_id
from bessemer.core.layout import DOCUMENTS, FILES
from bessemer.core.manifest import Conservation, StageResult
from bessemer.core.schema import DOCUMENT, EDIT, QUARANTINE, SOURCE_FILE
from bessemer.core.storage import write_table
from bessemer.curate.decode import UndecodableError
from bessemer.curate.extractor import Extractor
from bessemer.curate.inventory import SourceFile
from bessemer.curate.ledger import decision, shard_name, write_decisions
from bessemer.curate.readers import read_rows
from bessemer.curate.rows import RawRow
from bessemer.engine.tasks import Engine, Task

STAGE = "ingest"


def ingest(
    files: Sequence[SourceFile],
    sources: Sequence[SourceConfig],
    curate: CurateConfig,
    folder: Path,
    engine: Engine,
) -> StageResult:
    """Read all `files` into `folder`; the sums come from what the readers counted."""
    by_name = {source.name: source for source in sources}
    shards = plan_shards(files, curate.shard_bytes)
    tasks = [
        Task(
            key=shard_name(shard).removesuffix(".parquet"),
            function=ingest_shard,
            arguments={
                "files": group,
                "source": by_name[group[0].source],
                "curate": curate,
                "shard": shard_name(shard),
                "folder": folder,
            },
        )
        for shard, group in enumerate(shards)
    ]
    results = engine.map(STAGE, folder, tasks)
    rows_of_file = {int(id_): rows for result in results for id_, rows in result["rows"].items()}
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
                "shard": shard,
            }
            for shard, group in enumerate(shards)
            for file in group
        ],
        schema=SOURCE_FILE,
    )
    write_table(folder / FILES, table)
    sums = [_sum_up(name, results) for name in by_name]
    if not any(total.docs_out for total in sums):
        raise DataError("no document could be read; see the quarantine in " + str(folder))
    return StageResult(
        conservation=tuple(sums),
        summary={"num_files": len(files), "num_shards": len(shards)},
    )


def plan_shards(files: Sequence[SourceFile], shard_bytes: int) -> list[list[SourceFile]]:
    """Consecutive files of one source, together at most `shard_bytes` (or one larger file)."""
    shards: list[list[SourceFile]] = []
    filled = 0
    for file in files:
        fits = shards and shards[-1][0].source == file.source
        if not fits or filled + file.size_bytes > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(file)
        filled += file.size_bytes
    return shards


def ingest_shard(
    files: Sequence[SourceFile],
    source: SourceConfig,
    curate: CurateConfig,
    shard: str,
    folder: Path,
) -> dict[str, Any]:
    """Read one shard's files, in order; returns the sums and the rows found in each file."""
    documents: list[dict[str, Any]] = []
    decisions: list[dict[str, Any]] = []
    rows_of_file = {}
    bytes_in = 0
    with Extractor(source.kind, curate) as extractor:
        for file in files:
            num_rows = 0
            for row in read_rows(file, source, curate):
                if num_rows > MAX_ROW:
                    raise DataError(f"{file.path}: more than {MAX_ROW} rows; split the file")
                doc_id = pack_doc_id(file.file_id, num_rows)
                _take(row, doc_id, file, source, extractor, documents, decisions)
                num_rows += 1
                bytes_in += row.raw_bytes
            rows_of_file[str(file.file_id)] = num_rows
    write_table(folder / DOCUMENTS / shard, pa.Table.from_pylist(documents, schema=DOCUMENT))
    write_decisions(folder, shard, decisions)
    quarantined = [row for row in decisions if row["action"] == QUARANTINE]
    edits = [row for row in decisions if row["action"] == EDIT]
    edited = sum(row["num_bytes"] for row in edits)
    inserted = sum(row["inserted_bytes"] for row in edits)
    raw_kept = sum(document["raw_bytes"] for document in documents)
    text = sum(document["num_bytes"] for document in documents)
    return {
        "source": source.name,
        "rows": rows_of_file,
        "docs_out": len(documents),
        "docs_quarantined": len(quarantined),
        "bytes_in": bytes_in,
        "bytes_out": text,
        "bytes_quarantined": sum(row["num_bytes"] for row in quarantined),
        "bytes_edited": edited,
        "bytes_inserted": inserted,
        "bytes_markup": raw_kept + inserted - text - edited,
    }


def _take(
    row: RawRow,
    doc_id: int,
    file: SourceFile,
    source: SourceConfig,
    extractor: Extractor,
    documents: list[dict[str, Any]],
    decisions: list[dict[str, Any]],
) -> None:
    """Turn one row into a document (with its edits) or into a quarantine; appends to the lists."""
    about: dict[str, Any] = {"doc_id": doc_id, "source": source.name, "stage": STAGE}
    error = row.error
    if error is None:
        try:
            found = extractor.extract(row)
        except UndecodableError as problem:
            error = str(problem)
    if error is not None:
        decisions.append(
            decision(
                **about,
                rule="unreadable",
                action=QUARANTINE,
                num_bytes=row.raw_bytes,
                evidence=error,
            )
        )
        return
    data = found.text.encode()
    metadata = found.hints | row.metadata
    documents.append(
        {
            "doc_id": doc_id,
            "text": found.text,
            "content_hash": xxhash.xxh3_128_digest(data),
            "num_bytes": len(data),
            "raw_bytes": row.raw_bytes,
            "source": source.name,
            "url": row.url or file.path,
            "metadata": json.dumps(metadata, sort_keys=True, ensure_ascii=False),
        }
    )
    decisions += [
        decision(
            **about,
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
