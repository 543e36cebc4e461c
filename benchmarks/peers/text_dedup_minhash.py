"""text-dedup's MinHash script with the settings that it comes with, in one process.

Run by the peers' Python with a JSONL file; the last line of output is JSON: seconds and processor
seconds, the ids that were removed, the most memory held. Imports are not timed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from datasets import load_from_disk
from text_dedup.minhash import main as script

from benchmarks.peak import peak_bytes


def main() -> None:
    documents = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, "out"))
        options = ["--path", "json", "--data_files", documents, "--split", "train"]
        options += ["--cache_dir", str(Path(folder, "cache")), "--output", out]
        options += ["--column", "text", "--num_proc", "1"]
        begin, begin_cpu = time.perf_counter(), sum(os.times()[:4])
        script(options, standalone_mode=False)
        seconds, cpu_seconds = time.perf_counter() - begin, sum(os.times()[:4]) - begin_cpu
        kept = {int(each) for each in load_from_disk(out)["id"]}
    with Path(documents).open("rb") as file:
        rows = range(sum(1 for _ in file))
    found = {
        "steps": {"script": {"seconds": seconds, "cpu_seconds": cpu_seconds}},
        "removed": [row for row in rows if row not in kept],
        "peak_bytes": peak_bytes(),
        "version": version("text-dedup"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
