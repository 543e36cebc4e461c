"""Relational steps (sort, group, join, anti-join) that may be larger than memory: DuckDB's work.

DuckDB spills to the stage's scratch folder. Every query orders its result: without an order the
rows of a parallel query come as they finish, and outputs would differ from run to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from bessemer.core.storage import SCRATCH


@contextmanager
def relations(folder: Path, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A private in-memory database whose spills go below `folder`; telemetry and autoload off."""
    spill = folder / SCRATCH / "duckdb"
    spill.mkdir(parents=True, exist_ok=True)
    settings = {
        "threads": threads,
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        yield connection
    finally:
        connection.close()


def query(
    connection: duckdb.DuckDBPyConnection, sql: str, tables: Mapping[str, pa.Table]
) -> pa.Table:
    """The result of `sql` over named Arrow tables."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        return connection.sql(sql).to_arrow_table()
    finally:
        for name in tables:
            connection.unregister(name)
