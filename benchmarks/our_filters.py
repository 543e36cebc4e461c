"""Our stages ingest, signals and rules by themselves: JSONL in, Parquet and a ledger out.

Run with a JSONL file, a number of workers, "bounded" or "all" for the families of signals to be
measured, and names of presets; the last line of output is JSON: seconds of the stages,
and for each document (by its row) the rule for which it was dropped. Kernels are compiled before.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import UNTRAINED
from bessemer.core.layout import DECISIONS
from bessemer.core.storage import read_table
from bessemer.line.api import run
from bessemer.line.workspace import Workspace

RUN_FILE = (
    """
[run]
name = "filters"
root = "run"
[[source]]
name = "web"
kind = "web"
path = {path}
presets = {presets}
[curate]
{measure}
[cluster.engine]
workers = {workers}
"""
    + UNTRAINED
)


def main() -> None:
    texts, workers, families, *presets = sys.argv[1:]
    measure = "measure = []" if families == "bounded" else ""
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "first.jsonl")
        first.write_text('{"text": "a warm-up of the kernels"}\n')
        curate(first, presets, measure, "1", Path(folder, "warm"))
        begin, begin_cpu = time.perf_counter(), os.times()
        workspace = curate(Path(texts).resolve(), presets, measure, workers, Path(folder, "real"))
        seconds, end_cpu = time.perf_counter() - begin, os.times()
        dropped = {}
        for path in sorted((workspace.folder("rules") / DECISIONS).glob("*.parquet")):
            for row in read_table(path).to_pylist():
                if row["decisive"]:
                    dropped[str(row["doc_id"])] = row["rule"]
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": sum(end_cpu[:4]) - sum(begin_cpu[:4]),
                "dropped": dropped,
            }
        )
    )


def curate(texts: Path, presets: list[str], measure: str, workers: str, folder: Path) -> Workspace:
    """Run the stages over one file."""
    folder.mkdir()
    run_file = folder / "run.toml"
    run_file.write_text(
        RUN_FILE.format(
            path=json.dumps(str(texts)),
            presets=json.dumps(presets),
            measure=measure,
            workers=workers,
        )
    )
    workspace, _ = run(run_file, [], last="rules")
    return workspace


if __name__ == "__main__":
    main()
