"""How the layers of a model and the microbatches of a step meet the ranks along `pp`.

A stage is some layers in a row. Ranks have one each, or two: in a loop, rank r has stages r and
pp + r; in a V, r and the r-th from the end.
"""

from __future__ import annotations

from typing import get_args

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig, PipelineSchedule
from bessemer.config.model import ModelConfig

SCHEDULES: tuple[PipelineSchedule, ...] = get_args(PipelineSchedule)
# Those that put off the gradients of weights: they pass backward twice.
TWO_PASSES: tuple[PipelineSchedule, ...] = ("zero-bubble", "dualpipe-v")


def num_stages(pp: int, schedule: str) -> int:
    """Stages that all layers are cut into."""
    return pp if schedule == "1f1b" else 2 * pp


def stages_of_rank(rank: int, pp: int, schedule: str) -> tuple[int, ...]:
    """Those that a rank along `pp` computes, in order."""
    if schedule == "1f1b":
        return (rank,)
    return (rank, 2 * pp - 1 - rank) if schedule == "dualpipe-v" else (rank, pp + rank)


def fewest_microbatches(cluster: ClusterConfig) -> int:
    """What a schedule needs per step, whatever else it asks of their number."""
    kind = cluster.pp_schedule
    return num_stages(cluster.pp, kind) if kind in ("1f1b", "dualpipe-v") else 1


def obstacle_to_schedule(num_microbatches: int, cluster: ClusterConfig) -> str:
    """Why so many microbatches per step cannot pass through the pipeline; empty if they can. The
    conditions are those of torch.distributed.pipelining."""
    least = fewest_microbatches(cluster)
    if num_microbatches < least:
        return f"needs at least {least}"
    if cluster.pp_schedule in ("1f1b", "dualpipe-v"):
        return ""
    rounds = max(1, num_microbatches // cluster.pp)
    return f"needs a multiple of {rounds}, or fewer" if num_microbatches % rounds else ""


def possible_microbatches(share: int, cluster: ClusterConfig) -> list[int]:
    """In how many sequences each a rank's share of a batch can be cut for the pipeline, ascending.
    There are some if the share has as many sequences as there must be microbatches."""
    return [
        size
        for size in range(1, share + 1)
        if share % size == 0 and not obstacle_to_schedule(share // size, cluster)
    ]


def obstacles_to_two_passes(cluster: ClusterConfig) -> list[str]:
    """Settings that do not go with a schedule that puts off the gradients of weights: they allow
    one backward pass through what a forward pass kept."""
    if cluster.pp == 1 or cluster.pp_schedule not in TWO_PASSES:
        return []
    is_selective = cluster.recompute == "selective"
    return ["compile"] * cluster.compile + ['recompute = "selective"'] * is_selective


def shards_what_two_stages_have(model: ModelConfig, cluster: ClusterConfig) -> bool:
    """Whether FSDP2 would have to share out one weight of two stages, which it cannot: where a rank
    has both ends of a model that ties them."""
    is_v = cluster.pp > 1 and cluster.pp_schedule == "dualpipe-v"
    return is_v and planned_axes(cluster).is_sharded and model.tie_embeddings
