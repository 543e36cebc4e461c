"""The whole line with its checkpoints on another disk."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bessemer.core.layout import STATE_DIGESTS
from bessemer.line.workspace import plan_workspace

pytestmark = pytest.mark.e2e


def test_a_run_keeps_its_checkpoints_where_it_is_told_to(
    curated_run: Path,
    finished_run: Path,
    tmp_path: Path,
    bessemer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    disk = tmp_path / "disk"
    settings = ("--set", f'cluster.checkpoints="file://{disk}"')
    done = bessemer("run", str(curated_run), *settings)  # reads them in diagnosis and export, too
    assert done.returncode == 0, done.stderr
    folder = plan_workspace(curated_run).folder("train")
    assert not (folder / "checkpoints").exists()
    names = sorted(path.name for path in (disk / folder.name).iterdir())
    assert names[-1] == "step-00000020"
    expected = (plan_workspace(finished_run).folder("train") / STATE_DIGESTS).read_bytes()
    assert (folder / STATE_DIGESTS).read_bytes() == expected

    # Another root folder with the same run file: nothing is its own there until it goes on.
    other = folder.parents[2] / "other"
    shutil.copytree(folder.parents[1], other, symlinks=True)
    ours = other / "train" / folder.name
    (ours / "owner.json").unlink()
    (ours / "manifest.json").unlink()
    command = ("run", str(curated_run), "--to", "train", *settings, "--set", 'run.root="other"')
    refused = bessemer(*command, "--from", "train")
    assert refused.returncode == 4, refused.stderr
    assert f"are those of the run in {platform.node()}:{folder}" in refused.stderr
    assert sorted(path.name for path in (disk / folder.name).iterdir()) == names
    assert (ours / STATE_DIGESTS).exists()
    taken = bessemer(*command)
    assert taken.returncode == 0, taken.stderr
    assert "taking over the checkpoints" in taken.stderr
    assert "going on from step 20 of 20" in taken.stderr
    refused = bessemer("run", str(curated_run), "--from", "train", "--to", "train", *settings)
    assert refused.returncode == 4, refused.stderr
    (folder / "owner.json").unlink()
    (folder / "manifest.json").unlink()
    back = bessemer("run", str(curated_run), "--to", "train", *settings)
    assert back.returncode == 0, back.stderr
    assert (folder / STATE_DIGESTS).read_bytes() == expected

    again = bessemer("run", str(curated_run), "--from", "train", "--to", "train", *settings)
    assert again.returncode == 0, again.stderr
    assert "going on from step" not in again.stderr
    assert (folder / STATE_DIGESTS).read_bytes() == expected
