"""What compares all documents with all runs in memory that a corpus of any size fits into."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from bessemer.line.stages import STAGES
from bessemer.line.workspace import plan_workspace

ROOM = 56 * 2**20  # beyond what a tiny run took
CORPUS_BYTES = 28 * 2**20  # with its shingles twice as much, and more than there is room for
LAST = "split"
# The kernel counts stacks and heaps of threads that are hardly touched.
FEW_THREADS = {
    "ARROW_IO_THREADS": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
}
RUN_FILE = """
[run]
name = "{name}"
root = "out-{name}"
[[source]]
name = "notes"
kind = "web"
path = "{name}/*.jsonl"
presets = ["none"]
[curate]
measure = []
shard_bytes = "2MB"
part_bytes = "2MB"
[curate.lines]
enabled = true
[curate.substrings]
enabled = true
[model]
size = "1m"
[train]
seq_len = 128
global_batch_tokens = 1024
total_tokens = 1024
[cluster.engine]
runner = "inline"
"""
PROGRAM = """
import resource, sys
from pathlib import Path
from bessemer.core.events import Silent
from bessemer.line.runner import run_stages
from bessemer.line.workspace import plan_workspace

tiny, large, last, room = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
run_stages(plan_workspace(tiny), Silent(), last=last)  # loads libraries and kernels
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
limit = int(fields["VmData"].split()[0]) * 1024 + room
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
if len(sys.argv) > 5:
    held = large.parent.joinpath("large").glob("*.jsonl")
    held = [bytearray(path.read_bytes()) * 4 for path in held]
run_stages(plan_workspace(large), Silent(), last=last)
"""


def write_corpus(folder: Path, num_bytes: int) -> None:
    """Texts of which a tenth stands twice, and a tenth nearly so, in files of about a megabyte."""
    draw = random.Random(11)
    words = ["".join(draw.choices("abcdefghijklmnop", k=2 + n % 7)) for n in range(4000)]
    folder.mkdir()
    texts: list[str] = []
    size = number = 0
    while size < num_bytes:
        while sum(map(len, texts)) < min(2**20, num_bytes):
            text = " ".join(draw.choices(words, k=600))
            texts.append(text)
            if draw.random() < 0.1:
                texts.append(text)
            elif draw.random() < 0.1:
                texts.append(f"{text} {draw.choice(words)}")
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{number:03d}.jsonl").write_text(rows)
        size, number, texts = size + len(rows), number + 1, []


def run_limited(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    shutil.rmtree(folder / "out-tiny", ignore_errors=True)  # it is made again: to load all
    arguments = (folder / "tiny.toml", folder / "large.toml", LAST, ROOM, *more)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | FEW_THREADS,
    )


def test_all_of_curation_works_under_a_hard_limit(tmp_path: Path) -> None:
    for name, num_bytes in (("tiny", 20_000), ("large", CORPUS_BYTES)):
        write_corpus(tmp_path / name, num_bytes)
        (tmp_path / f"{name}.toml").write_text(RUN_FILE.format(name=name))
    holding = run_limited(tmp_path, "and hold the corpus")
    assert "MemoryError" in holding.stderr  # the limit is one
    done = run_limited(tmp_path)
    assert done.returncode == 0, done.stderr
    workspace = plan_workspace(tmp_path / "large.toml")
    dropped = {
        name: sum(sums.docs_dropped for sums in manifest.conservation)
        for name in [stage.name for stage in STAGES]
        if (manifest := workspace.manifest(name)) is not None
    }
    assert dropped["exact"] > 400
    assert dropped["fuzzy"] > 400
    assert LAST in dropped
