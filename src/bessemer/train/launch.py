"""Which rank this process is: what torchrun says through environment variables. No torch here."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass

LAUNCHER = "BESSEMER_LAUNCHER"  # the process that started this one as a rank, if bessemer did
NAMELESS = "none"  # what torchrun says without --rdzv-id
_PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """This process's place among those that train together."""

    rank: int = 0
    local_rank: int = 0
    num_ranks: int = 1
    num_local_ranks: int = 1
    restart: int = 0  # how often all ranks have been started anew
    start: str | None = None
    """The name of what was started, the same whenever that is started again; NAMELESS if it has
    none. None for a lone process, each of which is a start of its own."""


def is_started_as_rank() -> bool:
    """Whether something that starts ranks has started this process."""
    return "RANK" in os.environ


def read_launch() -> Launch:
    """What torchrun told this process; a lone process is rank 0 of 1."""
    return Launch(
        rank=int(os.environ.get("RANK", "0")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        num_ranks=int(os.environ.get("WORLD_SIZE", "1")),
        num_local_ranks=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        restart=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
        start=os.environ.get("TORCHELASTIC_RUN_ID", NAMELESS) if is_started_as_rank() else None,
    )


def end_with_parent() -> None:
    """Have the system kill this process when the one that started it dies, however: ranks without
    it would train on, and hold the folder that the next start needs. Linux alone can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.environ.get(LAUNCHER, str(os.getppid())) != str(os.getppid()):  # it died before
            os.kill(os.getpid(), signal.SIGKILL)
