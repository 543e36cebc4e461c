"""How a process that was started as a rank begins and ends, without the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from bessemer.train.launch import LAUNCHER

FAILS = (
    "from bessemer.core.errors import DataError\n"
    "from bessemer.line.rank import run_as_rank\n"
    "def program(): raise DataError('no text')\n"
    "run_as_rank(program)\n"
)


def run_rank(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RANK": "1", "WORLD_SIZE": "2"} | variables
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )


@pytest.mark.parametrize(
    "store",
    [
        {},
        {"MASTER_ADDR": "localhost", "MASTER_PORT": "1", "TORCHELASTIC_USE_AGENT_STORE": "True"},
    ],
    ids=["nobody said where", "gone"],
)
def test_a_rank_tells_its_error_without_a_store(store: dict[str, str]) -> None:
    begin = time.monotonic()
    done = run_rank(FAILS, **store)
    assert done.returncode == 3, done.stderr
    assert "error: rank 1: no text" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begin < 60  # to load torch takes time; ten minutes are another matter


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells a death on Linux alone")
def test_a_rank_whose_launcher_is_gone_already_leaves() -> None:
    script = "from bessemer.train.launch import end_with_parent\nend_with_parent()\nprint('lives')"
    assert run_rank(script, **{LAUNCHER: str(os.getpid())}).stdout == "lives\n"
    gone = run_rank(script, **{LAUNCHER: "1"})  # which is not its parent
    assert (gone.returncode, gone.stdout) == (-signal.SIGKILL, "")
