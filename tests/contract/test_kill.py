"""SIGKILL at any moment loses nothing: the next start ends with the bytes of an undisturbed run."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bessemer.line.stages import STAGES
from bessemer.line.workspace import Workspace, plan_workspace

SETTINGS = ("--set", 'cluster.engine.runner="processes"', "--set", "cluster.engine.workers=2")


def start(run_file: Path, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "bessemer", "run", str(run_file), *SETTINGS],
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )


def kill_when(run_file: Path, moment: Callable[[Path], bool], then_s: float = 0.0) -> None:
    """Start a run and kill it when `moment(root)` has come (plus a little), if it has not ended."""
    process = start(run_file)
    deadline = time.monotonic() + 120
    root = run_file.parent / "out"
    while process.poll() is None and not moment(root):
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.005)
    try:
        process.wait(timeout=then_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.wait()


def digests(workspace: Workspace) -> dict[str, str]:
    found = {}
    for stage in STAGES:
        manifest = workspace.manifest(stage.name)
        assert manifest is not None, stage.name
        found[stage.name] = manifest.outputs_digest()
    return found


def has_step(step: int) -> Callable[[Path], bool]:
    return lambda root: any(root.glob(f"train/*/checkpoints/step-{step:08d}/checkpoint.json"))


def is_complete(stage: str) -> Callable[[Path], bool]:
    return lambda root: any(root.glob(f"{stage}/*/manifest.json"))


def test_killed_in_curation_in_training_and_after_it(
    run_file: Path, finished_run: Path, bessemer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    kill_when(run_file, lambda root: any(root.glob("ingest/*/.scratch/documents/*.parquet")))
    kill_when(run_file, is_complete("rules"), then_s=0.3)
    kill_when(run_file, has_step(4), then_s=0.02)
    kill_when(run_file, has_step(8))
    kill_when(run_file, is_complete("train"), then_s=0.5)
    last = bessemer("run", str(run_file), *SETTINGS)
    assert last.returncode == 0, last.stderr
    expected = digests(plan_workspace(finished_run))
    assert digests(plan_workspace(run_file)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments(
    run_file: Path,
    finished_run: Path,
    seed: int,
    bessemer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    moments = random.Random(seed)
    for _ in range(3):
        kill_when(run_file, lambda root: root.exists(), then_s=moments.uniform(0.2, 6.0))
    last = bessemer("run", str(run_file))
    assert last.returncode == 0, last.stderr
    assert digests(plan_workspace(run_file)) == digests(plan_workspace(finished_run))
    assert not list((run_file.parent / "out").rglob(".tmp-*"))


def test_killed_in_the_search_for_repeats(
    run_file: Path, bessemer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    with run_file.open("a") as file:
        file.write("[curate.substrings]\nenabled = true\nmin_length = 10\n")
    undisturbed = ["run", str(run_file), "--to", "substrings"]
    assert bessemer("run", str(run_file), "--to", "lines", *SETTINGS).returncode == 0
    moment = "substrings/*/.scratch/parts-of-*/keys/*.arrow"
    kill_when(run_file, lambda root: any(root.glob(moment)))
    found = []
    for root in ("out", "whole"):
        last = bessemer(*undisturbed, "--set", f'run.root="{root}"')
        assert last.returncode == 0, last.stderr
        manifest = plan_workspace(run_file, [f'run.root="{root}"']).manifest("substrings")
        assert manifest is not None
        assert manifest.summary["sources"]["notes"]["edit_docs"] > 40
        found.append(manifest.outputs_digest())
    assert found[0] == found[1]


def test_asked_to_leave_it_saves_and_says_start_me_again(
    curated_run: Path,
    finished_run: Path,
    bessemer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    process = start(curated_run, stderr=subprocess.PIPE)
    root = curated_run.parent / "out"
    while not has_step(4)(root):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75, said
    found = re.search(r"SIGTERM asked to leave: step (\d+) of 20 is saved", said.decode())
    assert found is not None, said
    assert has_step(int(found[1]))(root)
    last = bessemer("run", str(curated_run))
    assert last.returncode == 0, last.stderr
    assert f"going on from step {found[1]} of 20" in last.stderr
    assert digests(plan_workspace(curated_run)) == digests(plan_workspace(finished_run))


def test_a_second_run_in_the_same_root_is_refused(
    run_file: Path, bessemer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    process = start(run_file)
    try:
        while not (run_file.parent / "out" / "run.json").exists():
            assert process.poll() is None
            time.sleep(0.005)
        second = bessemer("run", str(run_file))
    finally:
        process.kill()
        process.wait()
    assert second.returncode == 4
    assert "another bessemer works in" in second.stderr
    assert "Traceback" not in second.stderr
