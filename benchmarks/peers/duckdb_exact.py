"""DuckDB's grouping of equal texts, one thread: the speed that a query engine reaches.

Run with a Parquet file; the last line of output is JSON: seconds and processor seconds, the rows
that were removed (all but the first of equal ones), the most memory held.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import duckdb

from benchmarks.peak import peak_bytes

QUERY = """
copy (
    with texts as (select file_row_number as row, text from read_parquet($1, file_row_number=true)),
    kept as (select min(row) as row from texts group by text)
    select row from texts anti join kept using (row) order by row
) to '{out}' (format parquet)
"""


def main() -> None:
    documents = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"threads": 1}) as engine:
        out = Path(folder, "removed.parquet")
        begin, begin_cpu = time.perf_counter(), sum(os.times()[:4])
        engine.execute(QUERY.format(out=out), [documents])
        seconds, cpu_seconds = time.perf_counter() - begin, sum(os.times()[:4]) - begin_cpu
        rows = engine.execute("select row from read_parquet($1)", [str(out)]).fetchall()
    found = {
        "steps": {"query": {"seconds": seconds, "cpu_seconds": cpu_seconds}},
        "removed": [row for (row,) in rows],
        "peak_bytes": peak_bytes(),
        "version": version("duckdb"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
