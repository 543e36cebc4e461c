"""Two ranks under torchrun train as one process does: the same batches, the same losses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bessemer.core.layout import METRICS, STEPS
from bessemer.core.storage import read_jsonl
from bessemer.line.stages import STAGES
from bessemer.line.workspace import plan_workspace

pytestmark = pytest.mark.dist


def torchrun(num_ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(num_ranks), "-m", "bessemer", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def losses(run_file: Path, *overrides: str) -> list[tuple[float, float, float]]:
    folder = plan_workspace(run_file, overrides).folder("train")
    rows = read_jsonl(folder / METRICS / STEPS)
    return [(row["loss"], row["bits_per_byte"], row["grad_norm"]) for row in rows]


def test_two_ranks_give_the_losses_of_one(
    run_file: Path, bessemer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    alone = bessemer("run", str(run_file), "--to", "train")
    assert alone.returncode == 0, alone.stderr
    root = 'run.root="two"'
    both = torchrun(2, "run", str(run_file), "--to", "train", "--set", root)
    assert both.returncode == 0, both.stderr
    one, two = losses(run_file), losses(run_file, root)
    assert len(one) == 20
    for step, (expected, found) in enumerate(zip(one, two, strict=True), start=1):
        # Float32 sums in another order, carried through up to twenty optimizer steps.
        assert found == pytest.approx(expected, rel=1e-5), f"step {step}"


def test_a_run_of_two_ranks_is_resumed_by_one(
    run_file: Path, bessemer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    both = torchrun(2, "run", str(run_file), "--to", "train")
    assert both.returncode == 0, both.stderr
    expected = losses(run_file)
    folder = plan_workspace(run_file).folder("train")
    (folder / "manifest.json").unlink()
    for late in ("step-00000020", "step-00000016"):
        checkpoint = folder / "checkpoints" / late
        for path in checkpoint.glob("*") if checkpoint.exists() else ():
            path.unlink()
    again = bessemer("run", str(run_file), "--to", "train")
    assert again.returncode == 0, again.stderr
    for found, wanted in zip(losses(run_file), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)


def test_two_ranks_reuse_and_remake_together(run_file: Path) -> None:
    first = torchrun(2, "run", str(run_file), "--to", "train")
    assert first.returncode == 0, first.stderr
    expected = losses(run_file)
    again = torchrun(2, "run", str(run_file), "--to", "train")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count(" reused ") == len(STAGES) - 3
    anew = torchrun(2, "run", str(run_file), "--from", "mix", "--to", "train")
    assert anew.returncode == 0, anew.stderr
    assert " reused " not in anew.stderr
    assert losses(run_file) == expected


def test_a_wrong_number_of_ranks_is_one_clear_error(run_file: Path) -> None:
    done = torchrun(2, "run", str(run_file), "--to", "train", "--set", "cluster.dp_replicate=4")
    assert done.returncode != 0
    assert "cluster.dp_replicate: 4 ranks are asked for, 2 were started" in done.stderr
