"""Ranks on this machine, started by one process that stays with them and starts them anew.

What torchrun does on one machine, and besides: signals reach the ranks, which save and leave; an
error that would come again ends the job, with its own exit code; what happened is told in a line.
The ranks cannot tell it from torchrun, which starts them on several machines.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from uuid import uuid4

from torch._C._distributed_c10d import TCPStore

from bessemer.core.errors import (
    ConfigError,
    DataError,
    LostRankError,
    MachineError,
    RequeueError,
    TrainingError,
)
from bessemer.train.interrupt import signals_to_catch
from bessemer.train.launch import LAUNCHER

_LOG = logging.getLogger(__name__)
_HOST = "localhost"
_POLL_S = 0.05
_TO_END_S = 5.0  # for ranks that cannot go on without another, to notice, tell and end
# Whatever is said on purpose would be said again, after a requeue as well: it comes first.
_FINAL = tuple(
    kind.exit_code for kind in (ConfigError, DataError, MachineError, TrainingError, RequeueError)
)


class Supervisor:
    """Starts as many processes with `command` as there are ranks, until they have come to an end.

    `progress` says how far the job is: each time it says something new, restarts are counted anew.
    """

    def __init__(
        self,
        command: Sequence[str],
        num_ranks: int,
        *,
        restarts: int,
        grace_s: float,
        progress: Callable[[], object],
    ) -> None:
        self._command, self._num_ranks = list(command), num_ranks
        self._restarts, self._grace_s, self._progress = restarts, grace_s, progress
        self._ranks: list[subprocess.Popen[bytes]] = []
        self._name = str(uuid4())  # of this start
        self._asked = ""  # the signal that asked all to leave

    def run(self) -> int:
        """The exit code of the job: 0, or that of the error which ended it; 75 if a signal asked
        for its end and nothing worse came of it; 1 if no restart helped. Call it in the main
        thread."""
        number = used = 0
        reached = self._progress()
        with self._signals_passed_on():
            while True:
                # In this process it is there for ranks that ask why another is not; each start has
                # its own, without the addresses of ranks that are gone.
                store = TCPStore(_HOST, 0, is_master=True, wait_for_workers=False)
                self._start(store.port, number)
                codes = self._wait()
                if not any(codes):
                    return 0
                for code in _FINAL:
                    if code in codes:
                        return code
                before, reached = reached, self._progress()
                if self._asked:
                    return RequeueError.exit_code
                used = used + 1 if reached == before else 1
                what = _tell(codes)
                if used > self._restarts:
                    _LOG.error("%s; cluster.restarts = %d are used up", what, self._restarts)
                    return 1
                number += 1
                _LOG.warning(
                    "%s; all ranks start anew from the last checkpoint (restart %d of %d)",
                    *(what, used, self._restarts),
                )

    def _start(self, port: int, number: int) -> None:
        shared = {
            "MASTER_ADDR": _HOST,
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(self._num_ranks),
            "LOCAL_WORLD_SIZE": str(self._num_ranks),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": str(number),
            "TORCHELASTIC_RUN_ID": self._name,
            LAUNCHER: str(os.getpid()),
        }
        self._ranks = []
        for rank in range(self._num_ranks):
            self._ranks.append(
                subprocess.Popen(
                    self._command,
                    env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                    start_new_session=True,  # Ctrl-C reaches it through this process alone
                )
            )
        if self._asked:  # by a signal that came since the ranks before: not all of these had it
            for each in self._ranks:
                each.kill()  # nothing is to be saved yet

    def _wait(self) -> list[int]:
        """The exit codes of all ranks, once all have succeeded or one has failed. No process of
        theirs is left then."""
        while self._are_left() and not any(rank.returncode for rank in self._ranks):
            time.sleep(_POLL_S)
        is_leaving = any(rank.returncode == RequeueError.exit_code for rank in self._ranks)
        deadline = time.monotonic() + _TO_END_S + is_leaving * self._grace_s
        while self._are_left() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        # One that waited in vain is no cause.
        codes = [LostRankError.exit_code if (c := r.poll()) is None else c for r in self._ranks]
        for rank in self._ranks:
            with suppress(ProcessLookupError):
                os.killpg(rank.pid, signal.SIGKILL)  # and the processes that it has started
            rank.wait()
        return codes

    def _are_left(self) -> bool:
        return any([rank.poll() is None for rank in self._ranks])  # noqa: C419  (poll all of them)

    @contextmanager
    def _signals_passed_on(self) -> Iterator[None]:
        def pass_on(number: int, _: FrameType | None) -> None:
            self._asked = signal.Signals(number).name
            for rank in self._ranks:
                if rank.poll() is None:
                    rank.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in signals_to_catch()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _tell(codes: Sequence[int]) -> str:
    """What became of the ranks that failed; those that only noticed that another did are not
    mentioned if there is such another."""
    failed = {rank: code for rank, code in enumerate(codes) if code}
    causes = {rank: code for rank, code in failed.items() if code != LostRankError.exit_code}
    return ", ".join(f"rank {rank} {_how(code)}" for rank, code in (causes or failed).items())


def _how(code: int) -> str:
    if code < 0:
        known = -code in {each.value for each in signal.Signals}  # those of real time have no names
        return f"was killed by {signal.Signals(-code).name if known else f'signal {-code}'}"
    if code == LostRankError.exit_code:
        return "could not go on without the others"
    return f"failed with exit code {code}"
