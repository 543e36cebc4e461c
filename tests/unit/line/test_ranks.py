"""How many ranks a run takes on this machine, and which numbers it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bessemer.core.errors import ConfigError, MachineError
from bessemer.core.events import Silent
from bessemer.line import launch
from bessemer.line.runner import run_stages
from bessemer.line.workspace import plan_workspace
from bessemer.train.checkpoints.store import DiskStore
from bessemer.train.launch import Launch


def test_ranks_that_cannot_share_a_batch_evenly_are_refused_before_any_work(run_file: Path) -> None:
    workspace = plan_workspace(run_file)  # 8 sequences per batch, replicas as many as there are
    with pytest.raises(ConfigError, match="3 ranks cannot share a batch of 8 sequences evenly"):
        run_stages(workspace, Silent(), Launch(num_ranks=3))
    assert not workspace.folder("ingest").exists()


class _Flaky(DiskStore):
    """Does not answer while it is told not to."""

    is_silent = False

    def list(self, folder: str = "") -> list[str]:
        if self.is_silent:
            raise MachineError("no answer")
        return super().list(folder)


def test_a_store_that_does_not_answer_for_once_is_no_progress(tmp_path: Path) -> None:
    """It would be so twice: when checkpoints are gone, and when they are back."""
    (tmp_path / "step-00000005").mkdir()
    (tmp_path / "step-00000005" / "checkpoint.json").touch()
    store = _Flaky(tmp_path)
    progress = launch._progress_in(store)
    assert progress() == ["step-00000005"]
    store.is_silent = True
    assert progress() == ["step-00000005"]
    store.is_silent = False
    (tmp_path / "step-00000009").mkdir()
    assert progress() == ["step-00000005"]
    (tmp_path / "step-00000009" / "checkpoint.json").touch()
    assert progress() == ["step-00000005", "step-00000009"]


@pytest.mark.parametrize(
    ("num_gpus", "settings", "num_ranks"),
    [
        (0, (), 1),
        (8, (), 8),
        (7, (), 4),  # of 8 sequences 7 ranks would leave one out
        (8, ("cluster.dp_replicate=1",), 1),
        (8, ("cluster.dp_shard=4",), 8),
        (6, ("cluster.dp_shard=4",), 4),
        (8, ('cluster.device="cpu"',), 1),
        (0, ("cluster.dp_shard=2",), 2),
    ],
)
def test_gpus_become_replicas(
    run_file: Path,
    num_gpus: int,
    settings: tuple[str, ...],
    num_ranks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    monkeypatch.setattr(launch, "_may_have_gpus", lambda: num_gpus > 0)
    config = plan_workspace(run_file, ('cluster.device="auto"', *settings)).config
    assert launch._num_local_ranks(config) == num_ranks
