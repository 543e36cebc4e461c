"""How many ranks of this machine a run is for, and to have them run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.config.axes import planned_axes
from bessemer.config.check import faults_with_replicas
from bessemer.config.run import RunConfig
from bessemer.core.errors import BessemerError
from bessemer.line.runner import needs_all_ranks
from bessemer.line.workspace import Workspace

if TYPE_CHECKING:
    from bessemer.train.checkpoints.store import Store


def supervise_ranks(
    workspace: Workspace, first: str | None, last: str | None, command: Sequence[str]
) -> int | None:
    """The exit code of `command`, done by as many ranks as the layout has; None, and nothing is
    done, if that is one, or if no stage from `first` to `last` takes several."""
    cluster = workspace.config.cluster
    if not needs_all_ranks(workspace, first, last):
        return None
    num_ranks = _num_local_ranks(workspace.config)
    if num_ranks == 1:
        return None
    from bessemer.train.checkpoints.remote import open_store
    from bessemer.train.supervise import Supervisor

    store = open_store(workspace.folder("train"), cluster.checkpoints)

    return Supervisor(
        command,
        num_ranks,
        restarts=cluster.restarts,
        grace_s=cluster.grace_s,
        progress=_progress_in(store),
    ).run()


def _progress_in(store: Store) -> Callable[[], list[str]]:
    """A function that says which checkpoints there are, as last seen: a store that does not answer
    for once has lost none."""
    from bessemer.train.checkpoints.checkpoint import complete_checkpoints

    seen: list[str] = []

    def progress() -> list[str]:
        nonlocal seen
        with suppress(BessemerError):  # the ranks will say so, too
            seen = complete_checkpoints(store)
        return seen

    return progress


def _num_local_ranks(config: RunConfig) -> int:
    """As many as the layout has; unless it says, with as many replicas as there are GPUs for and
    can share batches out evenly."""
    cluster = config.cluster
    axes = planned_axes(cluster)
    if cluster.dp_replicate is None and cluster.device != "cpu" and _may_have_gpus():
        import torch

        for replicas in range(torch.cuda.device_count() // axes.num_ranks, 1, -1):
            if not faults_with_replicas(config.model, config.train, cluster, replicas):
                return replace(axes, dp_replicate=replicas).num_ranks
    return axes.num_ranks


def _may_have_gpus() -> bool:
    """Without asking torch, which takes seconds to load: whether there is a device file of one."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()
