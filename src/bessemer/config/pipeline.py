"""How the layers of a model and the microbatches of a step meet the ranks along `pp`.

A stage is some layers in a row. Ranks have one each, or two: in a loop, rank r has stages r and
pp + r; in a V, r and the r-th from the end.
"""

from __future__ import annotations

from typing import get_args

from bessemer.config.cluster import PipelineSchedule

SCHEDULES: tuple[PipelineSchedule, ...] = get_args(PipelineSchedule)


def num_stages(pp: int, schedule: str) -> int:
    """Stages that all layers are cut into."""
    return pp if schedule == "1f1b" else 2 * pp


def stages_of_rank(rank: int, pp: int, schedule: str) -> tuple[int, ...]:
    """Those that a rank along `pp` computes, in order."""
    if schedule == "1f1b":
        return (rank,)
    return (rank, 2 * pp - 1 - rank) if schedule == "dualpipe-v" else (rank, pp + rank)


def why_not_so_many(num_microbatches: int, pp: int, schedule: str) -> str:
    """Why a schedule cannot run so many microbatches per step; empty if it can (the conditions of
    torch.distributed.pipelining)."""
    if schedule in ("1f1b", "dualpipe-v"):
        least = num_stages(pp, schedule)
        return f"needs at least {least} microbatches" if num_microbatches < least else ""
    rounds = max(1, num_microbatches // pp)
    if num_microbatches % rounds:
        return f"needs a number of microbatches that {rounds} rounds of {pp} ranks divide"
    return ""
