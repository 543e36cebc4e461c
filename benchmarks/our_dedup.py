"""Our stages up to `exact` or `fuzzy` by themselves: JSONL or Parquet in, decisions out.

Run with a file, the last stage and lines for `[curate.fuzzy]`; the last line of output is JSON:
seconds and processor seconds of each stage, the rows that were dropped, the most memory held, and
for `fuzzy` how long signatures alone take of the same texts. Kernels are compiled before.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.common import UNTRAINED
from benchmarks.peak import peak_bytes
from bessemer.config.duplicates import FuzzyConfig
from bessemer.core.layout import DECISIONS, DOCUMENTS
from bessemer.core.storage import read_table
from bessemer.curate.duplicates.near_signatures import bands_of, shingle_sets
from bessemer.curate.ledger import list_shards
from bessemer.line.api import run
from bessemer.line.workspace import Workspace

RUN_FILE = (
    """
[run]
name = "dedup"
root = "run"
[[source]]
name = "web"
kind = "web"
path = {path}
presets = ["none"]
[curate]
measure = []
[curate.pii]
web = []
[curate.normalise]
navigation = []
gutenberg_frame = []
[curate.fuzzy]
{setting}
[cluster.engine]
workers = {workers}
"""
    + UNTRAINED
)
# The line from its beginning to each of these, in turn; what was done is not done again.
STEPS = {"exact": ("ingest", "mask", "exact"), "fuzzy": ("ingest", "mask", "exact", "fuzzy")}


def main() -> None:
    documents, last, setting = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "first.jsonl")
        texts = ["a warm-up of the kernels", "a warm-up of the kernels", "and one of its kind"]
        first.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        dedup(first, last, setting, Path(folder, "warm"))
        workspace, steps = dedup(documents.resolve(), last, setting, Path(folder, "real"))
        found: dict[str, Any] = {"steps": steps, "peak_bytes": peak_bytes()}
        found["removed"] = sorted(
            row["doc_id"]
            for stage in ("exact", "fuzzy")[: 1 + (last == "fuzzy")]
            for path in sorted((workspace.folder(stage) / DECISIONS).glob("*.parquet"))
            for row in read_table(path).to_pylist()
            if row["decisive"]
        )
        if last == "fuzzy":
            found["signatures_cpu_s"] = time_signatures(workspace)
    print(json.dumps(found))


def dedup(
    documents: Path, last: str, setting: str, folder: Path, workers: int = 1
) -> tuple[Workspace, dict[str, dict[str, float]]]:
    """Run the stages over one file, and tell how long each took."""
    folder.mkdir()
    run_file = folder / "run.toml"
    text = RUN_FILE.format(path=json.dumps(str(documents)), setting=setting, workers=workers)
    run_file.write_text(text)
    steps = {}
    for step in STEPS[last]:
        begin, begin_cpu = time.perf_counter(), sum(os.times()[:4])
        workspace, _ = run(run_file, [], last=step)
        steps[step] = {
            "seconds": time.perf_counter() - begin,
            "cpu_seconds": sum(os.times()[:4]) - begin_cpu,
        }
    return workspace, steps


def time_signatures(workspace: Workspace) -> float:
    """Processor seconds from texts in memory to band hashes, the best of three times."""
    documents = workspace.folder("ingest") / DOCUMENTS
    config: FuzzyConfig = workspace.config.curate.fuzzy
    texts = [read_table(documents / shard, ["text"])["text"] for shard in list_shards(documents)]
    columns = [text.combine_chunks() for text in texts]
    return min(sum(_time_once(column, config) for column in columns) for _ in range(3))


def _time_once(column: pa.Array, config: FuzzyConfig) -> float:
    begin = time.process_time()
    offsets, hashes = shingle_sets(column, config)
    bands_of(offsets, hashes, config, key=0)
    return time.process_time() - begin


if __name__ == "__main__":
    main()
