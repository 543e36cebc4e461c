"""How many ranks of this machine a run is for, and to have them run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bessemer.config.axes import planned_axes
from bessemer.config.check import faults_with_replicas
from bessemer.config.run import RunConfig
from bessemer.core.errors import BessemerError
from bessemer.line.runner import needs_all_ranks
from bessemer.line.workspace import Workspace


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
    from bessemer.train.checkpoints.checkpoint import complete_checkpoints
    from bessemer.train.checkpoints.remote import open_store
    from bessemer.train.supervise import Supervisor

    store = open_store(workspace.folder("train"), cluster.checkpoints)

    def progress() -> list[str]:
        try:
            return complete_checkpoints(store)
        except BessemerError:  # the ranks will say so, too
            return []

    return Supervisor(
        command,
        num_ranks,
        restarts=cluster.restarts,
        grace_s=cluster.grace_s,
        progress=progress,
    ).run()


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
