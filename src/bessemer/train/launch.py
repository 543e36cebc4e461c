"""Which rank this process is: what torchrun says through environment variables. No torch here."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """This process's place among those that train together."""

    rank: int = 0
    local_rank: int = 0
    num_ranks: int = 1
    num_local_ranks: int = 1
    restart: int = 0  # how often torchrun has started all ranks anew


def read_launch() -> Launch:
    """What torchrun told this process; a lone process is rank 0 of 1."""
    return Launch(
        rank=int(os.environ.get("RANK", "0")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        num_ranks=int(os.environ.get("WORLD_SIZE", "1")),
        num_local_ranks=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        restart=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
    )
