"""Files that are either whole or absent: atomic writes, Parquet tables, JSON.

A write goes to a temporary name in the same folder, is flushed to disk, and takes its final name
by rename; a process killed at any moment leaves no half file under a final name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bessemer.core.errors import DataError, IntegrityError, MachineError

TEMPORARY = ".tmp-"  # begins the name of a file being written
SCRATCH = ".scratch"  # folder of what a stage needs only while it runs
_REBUILD = "delete its stage's folder and run again"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which no other writer has, be it in another pod with the same
    process id; renamed to `path` when the block ends without an error."""
    temporary = path.parent / f"{TEMPORARY}{uuid4().hex}-{path.name}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(path)
    except OSError as error:
        raise MachineError(
            f"cannot write {path}: {error.strerror or error}; "
            "free disk space or check permissions, then run again: finished work is kept"
        ) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary.exists():
            temporary.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON in `path`; IntegrityError if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise IntegrityError(f"{path} is missing; {_REBUILD}") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(
            f"{path} is damaged ({error}); delete its folder, run again"
        ) from error


def read_jsonl(path: Path) -> list[Any]:
    """The rows of a growing file of JSON lines; a last line that a kill cut short is left out.

    IntegrityError if another line is damaged. Lines end with a line feed and with nothing else.
    """
    if not path.exists():
        return []
    rows = []
    *whole, last = path.read_bytes().split(b"\n")
    for number, line in enumerate(whole, 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise IntegrityError(f"{path} is damaged in line {number} ({error})") from error
    with contextlib.suppress(ValueError):
        rows.append(json.loads(last))
    return rows


def write_table(path: Path, table: pa.Table, row_group_rows: int = 1 << 16) -> None:
    """Write a Parquet file (zstd, every page with its checksum); equal tables give equal bytes."""
    write_tables(path, [table], table.schema, row_group_rows)


def write_tables(
    path: Path, tables: Iterable[pa.Table], schema: pa.Schema, row_group_rows: int = 1 << 16
) -> None:
    """Write tables below each other into one Parquet file, as they come; else as `write_table`."""
    # Texts of documents are seldom equal: to look for a dictionary of them takes a quarter of the
    # time that writing takes. What is in lists (spans, turns) has none either.
    repetitive = [field.name for field in schema if not pa.types.is_large_string(field.type)]
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            use_dictionary=repetitive,
            write_page_checksum=True,
        ) as writer,
    ):
        for table in tables:  # pages end where chunks do
            writer.write_table(table.combine_chunks(), row_group_size=row_group_rows)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say what is wrong with a file of a table that cannot be read, and what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise IntegrityError(f"{path} is missing; {_REBUILD}") from error
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise IntegrityError(
            f"{path} is damaged ({error}); delete its folder, run again"
        ) from error


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file, whole or some columns; IntegrityError if it is missing or damaged."""
    with readable(path):
        return pq.read_table(
            path, columns=columns, memory_map=True, page_checksum_verification=True
        )


def read_between(path: Path, columns: list[str], first: int, last: int) -> pa.Table:
    """The rows of a Parquet file whose first column of `columns` is `first` to `last`.

    Row groups that hold none are not read, if the file is sorted by it. IntegrityError as
    `read_table`.
    """
    id_ = pc.field(columns[0])
    with readable(path):
        return pq.read_table(
            path,
            columns=columns,
            filters=(id_ >= first) & (id_ <= last),
            memory_map=True,
            page_checksum_verification=True,
        )


def read_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet file and their types; IntegrityError as `read_table`."""
    with readable(path):
        return pq.read_schema(path)


def count_rows(path: Path) -> int:
    """The rows of a Parquet file, by its footer; IntegrityError as `read_table`."""
    with readable(path):
        return int(pq.read_metadata(path).num_rows)


def read_batches(
    path: Path, columns: list[str], batch_bytes: int = 4 * 2**20
) -> Iterator[pa.RecordBatch]:
    """Read a Parquet file piece by piece, of about `batch_bytes` (or one larger row) each.

    What is in memory at a time does not grow with the file. IntegrityError as `read_table`.
    """
    with (
        readable(path),
        pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file,
    ):
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        size = sum(group.total_byte_size for group in groups)
        rows = max(1, batch_bytes * file.metadata.num_rows // max(1, size))
        yield from file.iter_batches(min(rows, 1 << 16), columns=columns)


def concat_tables(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """The tables below each other; an empty table of `schema` if there are none."""
    if not tables:
        return schema.empty_table()
    for table in tables:
        if table.schema != schema:
            raise DataError(f"table has schema {table.schema}, expected {schema}")
    return pa.concat_tables(tables)


def clear_temporaries(folder: Path) -> None:
    """Delete what writers that were killed left behind under `folder`."""
    for path in folder.rglob(f"{TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    """fsync one file, or every file of a folder: a rename must not outlive its data."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
