"""The Parquet tables of a run as DuckDB views, so that millions of rows are counted where they lie.

Views: `ledger` (the decisions of all stages), `files`, `ranges` (which documents a shard holds).
Only counts and the rows of sampled documents ever become Python objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from bessemer.core.errors import IntegrityError
from bessemer.core.hardware import num_usable_cores
from bessemer.core.layout import DECISIONS, DOCUMENTS, FILES, SHARD_RANGES
from bessemer.core.schema import DECISION, SHARD_RANGE, SOURCE_FILE
from bessemer.curate.ledger import shard_name
from bessemer.engine.relations import relations

_SHARDS = """
    SELECT DISTINCT shard
    FROM ranges JOIN (SELECT unnest(?) AS doc_id) ON doc_id BETWEEN first_doc_id AND last_doc_id
    ORDER BY shard
"""
_DOCUMENTS = """
    SELECT doc_id, source, url, metadata, num_bytes, hex(content_hash) AS content_hash,
           substr(text, 1, num_chars) AS text
    FROM read_parquet(?) JOIN wanted USING (doc_id)
    ORDER BY doc_id
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """An open connection over the tables of one run."""

    connection: duckdb.DuckDBPyConnection
    documents: Path  # folder of the document shards
    ledgers: tuple[Path, ...]  # shards of the ledger, stage by stage

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """The result of `sql`, whose question marks stand for `values`, as Python objects."""
        found: list[dict[str, Any]] = self.stream(sql, *values).read_all().to_pylist()
        return found

    def stream(self, sql: str, *values: Any) -> pa.RecordBatchReader:
        """The result of `sql`, batch by batch."""
        return pa.RecordBatchReader.from_stream(self.connection.sql(sql, params=list(values)))

    def read_documents(self, num_chars: Mapping[int, int]) -> dict[int, dict[str, Any]]:
        """doc_id -> document (`_DOCUMENTS`) with so many characters of its text, of those named."""
        shards = self.rows(_SHARDS, list(num_chars))
        paths = [self.documents / shard_name(row["shard"]) for row in shards]
        paths = [path for path in paths if path.exists()]
        if not paths:
            return {}
        wanted = pa.table(
            {"doc_id": list(num_chars), "num_chars": list(num_chars.values())},
            schema=pa.schema([("doc_id", pa.int64()), ("num_chars", pa.int64())]),
        )
        self.connection.register("wanted", wanted)
        found = self.rows(_DOCUMENTS, [str(path) for path in paths])
        self.connection.unregister("wanted")
        return {row["doc_id"]: row for row in found}


@contextmanager
def open_tables(folders: Mapping[str, Path], scratch: Path) -> Iterator[Tables]:
    """Views over the tables in the stage folders `folders`; spills go below `scratch`.

    Raises IntegrityError if one of them cannot be read.
    """
    ledgers = [path for folder in folders.values() for path in _shards(folder / DECISIONS)]
    with relations(scratch, num_usable_cores()) as connection:
        try:
            _view(connection, "ledger", ledgers, DECISION)
            _view(connection, "files", [folders["ingest"] / FILES], SOURCE_FILE)
            _view(connection, "ranges", [folders["ingest"] / SHARD_RANGES], SHARD_RANGE)
            yield Tables(
                connection=connection,
                documents=folders["ingest"] / DOCUMENTS,
                ledgers=tuple(ledgers),
            )
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise IntegrityError(
                f"a table of the run cannot be read ({error}); delete its stage's folder and run "
                "again"
            ) from error


def list_shards_by_source(tables: Tables, sources: Sequence[str]) -> dict[str, list[str]]:
    """source -> file names of its shards, in order; a source without any has none."""
    shards: dict[str, list[str]] = {source: [] for source in sources}
    for row in tables.rows("SELECT source, shard FROM ranges ORDER BY shard"):
        shards.setdefault(row["source"], []).append(shard_name(row["shard"]))
    return shards


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _view(
    connection: duckdb.DuckDBPyConnection, name: str, paths: list[Path], schema: pa.Schema
) -> None:
    """A view over Parquet files; over an empty table of `schema` if there are none."""
    if paths:
        connection.read_parquet([str(path) for path in paths]).create_view(name)
    else:
        connection.register(name, schema.empty_table())
