"""`bessemer run` starts the ranks of its layout itself, and loses nothing when one of them fails."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bessemer.core.layout import CHECKPOINTS, GUARD, HANGS, METRICS, STATE_DIGESTS, STEPS
from bessemer.core.storage import read_json, read_jsonl
from bessemer.line.workspace import plan_workspace

pytestmark = pytest.mark.dist

Bessemer = Callable[..., subprocess.CompletedProcess[str]]
LAYOUT = ("--set", "cluster.dp_replicate=2")
LONG = ("--set", "train.total_tokens=25600", "--set", "train.checkpoint.every_steps=5")  # 100 steps
LIMIT_S = 240


class Job:
    """A run that was started, and what it said."""

    def __init__(self, process: subprocess.Popen[str], run_file: Path) -> None:
        self.process, self.run_file = process, run_file
        self.said = ""

    def wait_for_step(self, step: int) -> None:
        root = self.run_file.parent / "out"
        deadline = time.monotonic() + LIMIT_S
        while not any(root.glob(f"train/*/{CHECKPOINTS}/step-{step:08d}/checkpoint.json")):
            assert self.process.poll() is None, "it ended before"
            assert time.monotonic() < deadline, "the step never came"
            time.sleep(0.005)

    def rank(self, rank: int) -> int:
        """The process id of a rank: the child of the job that was told so."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.M)
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended meanwhile
            if parent and int(parent[1]) == self.process.pid and b"RANK=%d" % rank in environment:
                return int(folder.name)
        raise AssertionError(f"no rank {rank}")

    def finish(self) -> int:
        """The exit code, once it has ended."""
        _, self.said = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode


@contextmanager
def started(run_file: Path, *arguments: str, fault: str = "") -> Iterator[Job]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "BESSEMER_DRILL_FAULT": fault}
    command = [sys.executable, "-m", "bessemer", "run", str(run_file), "--to", "train"]
    process = subprocess.Popen(
        [*command, *LAYOUT, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Job(process, run_file)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def train_folder(run_file: Path, *arguments: str) -> Path:
    return plan_workspace(run_file, [each for each in arguments if each != "--set"]).folder("train")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, bessemer: Bessemer) -> Path:
    """The run file of a run of 100 steps on two ranks; not to be written to."""
    from tests.conftest import RUN_FILE, write_corpus

    folder = tmp_path_factory.mktemp("undisturbed")
    write_corpus(folder)
    path = folder / "run.toml"
    path.write_text(RUN_FILE)
    with started(path, *LONG) as job:
        assert job.finish() == 0, job.said
    return path


@pytest.fixture
def prepared(undisturbed: Path, run_file: Path) -> Path:
    """The run file of the same run, of which all but the training is done."""
    root = run_file.parent / "out"
    shutil.copytree(undisturbed.parent / "out", root, symlinks=True)
    shutil.rmtree(root / "train")
    return run_file


def assert_equal_ends(run_file: Path, undisturbed: Path) -> None:
    ours, theirs = train_folder(run_file, *LONG), train_folder(undisturbed, *LONG)
    assert read_json(ours / STATE_DIGESTS) == read_json(theirs / STATE_DIGESTS)
    kept = [
        [(row["step"], row["loss"]) for row in read_jsonl(folder / METRICS / STEPS)]
        for folder in (ours, theirs)
    ]
    assert kept[0] == kept[1]
    assert [step for step, _ in kept[0]] == list(range(1, 101))


def test_a_killed_rank_costs_nothing_but_time(prepared: Path, undisturbed: Path) -> None:
    with started(prepared, *LONG) as job:
        job.wait_for_step(10)
        os.kill(job.rank(0), signal.SIGKILL)
        assert job.finish() == 0, job.said
    assert "rank 0 was killed by SIGKILL; all ranks start anew" in job.said
    assert "error: rank 1: rank 0 is gone" in job.said
    assert re.search(r"going on from step \d+ of 100", job.said)
    assert "Traceback" not in job.said
    assert_equal_ends(prepared, undisturbed)


def test_made_anew_once_restarts_go_on(prepared: Path, undisturbed: Path) -> None:
    with started(prepared, *LONG, "--from", "train") as job:
        job.wait_for_step(10)
        os.kill(job.rank(1), signal.SIGKILL)
        assert job.finish() == 0, job.said
    assert re.search(r"going on from step [1-9]\d* of 100", job.said)
    assert_equal_ends(prepared, undisturbed)


def test_a_hanging_rank_is_named_with_its_stack(prepared: Path, undisturbed: Path) -> None:
    with started(prepared, *LONG, "--set", "cluster.hang_timeout_s=8", fault="hang:1:33") as job:
        assert job.finish() == 0, job.said
    assert "missing: rank 1" in job.said
    folder = train_folder(prepared, *LONG) / METRICS / HANGS
    hung, waiting = ((folder / f"rank-{rank}.txt").read_text() for rank in (1, 0))
    assert "step 33: forward and backward" in hung
    assert "time.sleep" in hung  # the line that it hangs in
    assert "waits in" in waiting
    assert_equal_ends(prepared, undisturbed)


def test_a_rank_that_fails_to_start_is_started_again(prepared: Path, undisturbed: Path) -> None:
    with started(prepared, *LONG, fault="start:1:0") as job:
        assert job.finish() == 0, job.said
    assert job.said.count("Traceback") == 1
    assert "rank 1: RuntimeError: this rank was to fail at its start" in job.said
    assert "rank 1 failed with exit code 1; all ranks start anew" in job.said
    assert_equal_ends(prepared, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT])
def test_asked_to_leave_all_ranks_save_and_the_same_command_goes_on(
    prepared: Path, undisturbed: Path, number: signal.Signals
) -> None:
    with started(prepared, *LONG) as job:
        job.wait_for_step(10)
        job.process.send_signal(number)
        assert job.finish() == 75, job.said
    assert job.said.count(f"{number.name} asked to leave") == 1
    assert "start anew" not in job.said
    with started(prepared, *LONG) as job:
        assert job.finish() == 0, job.said
    assert_equal_ends(prepared, undisturbed)


def test_what_hangs_when_asked_to_leave_leaves_when_its_time_is_over(prepared: Path) -> None:
    grace = ("--set", "cluster.grace_s=3")
    with started(prepared, *LONG, *grace, fault="hang:1:11") as job:
        job.wait_for_step(10)
        job.process.send_signal(signal.SIGTERM)
        assert job.finish() == 75, job.said
    assert "not finished and saved within cluster.grace_s = 3 s" in job.said


def test_ranks_end_with_whoever_started_them(prepared: Path, undisturbed: Path) -> None:
    with started(prepared, *LONG) as job:
        job.wait_for_step(10)
        ranks = [job.rank(0), job.rank(1)]
        job.process.kill()
        job.process.wait()
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in ranks):
            assert time.monotonic() < deadline, "ranks are left"
            time.sleep(0.01)
    with started(prepared, *LONG) as job:
        assert job.finish() == 0, job.said
    assert_equal_ends(prepared, undisturbed)


def test_an_error_that_would_come_again_ends_the_job_with_its_exit_code(prepared: Path) -> None:
    with started(prepared, *LONG, fault="nan:1:12") as job:
        assert job.finish() == 5, job.said
    assert len(re.findall("error: .*step 12: gradient norm is nan", job.said)) == 1
    assert "start anew" not in job.said


@pytest.mark.parametrize("kind", ["nan", "spike"])
def test_what_goes_wrong_on_any_one_rank_all_decide_alike(prepared: Path, kind: str) -> None:
    """Whichever rank it is, all leave out the same batch, and end with the same weights."""
    guard = ("--set", 'train.guard.nonfinite="skip"', "--set", 'train.guard.spike="skip"')
    settings = (*LONG, *guard, "--set", "train.guard.min_steps=8")
    ends = []
    for rank in (0, 1):
        with started(prepared, *settings, fault=f"{kind}:{rank}:12") as job:
            assert job.finish() == 0, job.said
        folder = train_folder(prepared, *settings)
        (row,) = read_jsonl(folder / METRICS / GUARD)
        assert (row["step"], row["action"]) == (12, "skip")
        ends.append(read_json(folder / STATE_DIGESTS))
        shutil.rmtree(folder)
    assert ends[0] == ends[1]


def test_when_no_restart_helps_the_job_ends(prepared: Path) -> None:
    with started(prepared, *LONG, "--set", "cluster.restarts=0", fault="start:0:0") as job:
        assert job.finish() == 1, job.said
    assert "cluster.restarts = 0 are used up" in job.said


def test_a_layout_of_one_rank_is_one_process(run_file: Path, bessemer: Bessemer) -> None:
    done = bessemer("run", str(run_file), "--to", "train")
    assert done.returncode == 0, done.stderr
    (manifest,) = (run_file.parent / "out").glob("train/*/manifest.json")
    assert read_json(manifest)["summary"]["num_ranks"] == 1
