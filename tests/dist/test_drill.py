"""The drill finds that runs lose nothing to faults, and does not find it where they do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bessemer.core.errors import MachineError
from bessemer.line.drill_job import DrillJob
from bessemer.line.drill_kinds import KINDS

pytestmark = pytest.mark.dist

CHOSEN = (  # the others are like one of them, or tested in test_launch.py
    "SIGKILL while saving",
    "SIGSTOP of rank 0",
    "half a checkpoint",
    "disk full",
)
LIMIT_S = 1500  # on a machine that is busy with much else


def drill(run_file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bessemer", "drill", str(run_file), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


@pytest.mark.timeout(LIMIT_S + 60)
def test_a_run_ends_equal_after_every_kind_of_fault(run_file: Path) -> None:
    faults = [word for name in CHOSEN for word in ("--fault", name)]
    done = drill(run_file, *faults)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.rstrip().endswith("equal")]
    assert len(rows) == len(CHOSEN), done.stdout
    ways = ("by itself", "by itself", "same command again", "went on")
    for name, how in zip(CHOSEN, ways, strict=True):
        assert any(name in row and how in row for row in rows), done.stdout
    assert not (run_file.parent / "out").exists()  # the run's own folder is not touched


@pytest.mark.timeout(LIMIT_S + 60)
def test_kills_at_random_moments_lose_nothing(run_file: Path) -> None:
    done = drill(run_file, "--kills", "2", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills, seed 5" in done.stdout


def test_an_unknown_fault_is_refused(run_file: Path) -> None:
    done = drill(run_file, "--fault", "flood")
    assert done.returncode == 2
    assert "flood" in done.stderr
    assert "truncated shard" in done.stderr


def test_kinds_are_many_and_have_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 12


def test_what_never_comes_is_an_error_that_shows_what_was_said(tmp_path: Path) -> None:
    from tests.conftest import RUN_FILE, write_corpus

    write_corpus(tmp_path)
    (tmp_path / "run.toml").write_text(RUN_FILE)
    (tmp_path / "prepared").mkdir()
    job = DrillJob(tmp_path / "run.toml", tmp_path / "prepared", tmp_path / "root")
    job.start("flood:0:0")  # no such fault: training refuses it
    with pytest.raises(MachineError, match="waited in vain for step 5"):
        job.wait_for_step(5)
    assert job.finish() == 2
    job.kill()
