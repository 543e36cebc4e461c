"""The watchdog ends its rank whatever storage does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bessemer.core.layout import HANGS

HANGS_ALONE = """
import sys, time
from pathlib import Path
from torch.distributed import HashStore
from bessemer.train import watchdog
from bessemer.train.launch import Launch

watchdog.connect_to_store = lambda launch: HashStore()
with watchdog.watched(Launch(num_ranks=2), Path(sys.argv[1]), 1.0):
    time.sleep(60)
"""


def hang(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HANGS_ALONE, folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_it_puts_the_stack_and_the_report_on_file(tmp_path: Path) -> None:
    done = hang(tmp_path)
    assert done.returncode == 6, done.stderr
    assert "no progress for 1 s" in done.stderr
    told = (tmp_path / HANGS / "rank-0.txt").read_text()
    assert told.index("rank 0 of 2 does: begin") < told.index("no progress for 1 s")
    assert "rank 1 never began" in told


def test_it_ends_the_rank_when_storage_hangs(tmp_path: Path) -> None:
    (tmp_path / HANGS).mkdir()
    os.mkfifo(tmp_path / HANGS / "rank-0.txt")  # to open it waits for a reader
    done = hang(tmp_path)
    assert done.returncode == 6, done.stderr
    assert "rank 1 never began" in done.stderr


WAITS = """
import sys, threading, time
from pathlib import Path
from torch.distributed import HashStore
from bessemer.train import watchdog
from bessemer.train.heartbeats import Heartbeats
from bessemer.train.launch import Launch

store, launch = HashStore(), Launch(num_ranks=2)
watchdog.connect_to_store = lambda launch: store
with watchdog.watched(launch, Path(sys.argv[1]), 1.0):
    other = Heartbeats(store, Launch(rank=1, num_ranks=2))
    until = time.monotonic() + 3
    while time.monotonic() < until:
        store.set(other._name("latest"), f"1: {time.monotonic()}")  # it works, this one waits
        time.sleep(0.1)
    print("waited", flush=True)
    time.sleep(60)
"""


def test_a_rank_may_wait_for_one_that_works_as_long_as_that_takes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITS, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.stdout == "waited\n"
    assert done.returncode == 6, done.stderr  # once neither leaves a mark
    assert "no progress for 1 s" in done.stderr
