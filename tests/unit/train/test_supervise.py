"""What the supervisor makes of ranks that fail and of signals, with small scripts as ranks."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bessemer.train.supervise import Supervisor, _how

WAITS = "import time; time.sleep(60)"


def supervisor(
    script: str, *, restarts: int = 1, progress: Callable[[], object] = lambda: None
) -> Supervisor:
    command = [sys.executable, "-S", "-c", script]
    return Supervisor(command, 2, restarts=restarts, grace_s=5.0, progress=progress)


def raise_here(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0)  # its handler runs here at the latest


def test_a_signal_between_a_fault_and_the_restart_ends_the_job() -> None:
    """The ranks that failed are gone, and those to come would never be told."""
    asked = []

    def progress() -> None:
        if asked:  # the second time: after the fault
            raise_here(signal.SIGTERM)
        asked.append(True)

    script = f"import os; os.environ['TORCHELASTIC_RESTART_COUNT'] == '0' and os._exit(1); {WAITS}"
    begin = time.monotonic()
    assert supervisor(script, progress=progress).run() == 75
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("before_rank", [0, 1])
def test_a_signal_while_ranks_are_started_ends_the_job(
    before_rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bessemer.train import supervise

    class Popen(supervise.subprocess.Popen):  # type: ignore[name-defined,misc]
        def __init__(self, *arguments: object, **options: dict[str, str]) -> None:
            super().__init__(*arguments, **options)
            if options["env"]["RANK"] == str(before_rank):
                raise_here(signal.SIGTERM)  # it runs, and nobody knows of it yet

    monkeypatch.setattr(supervise.subprocess, "Popen", Popen)
    begin = time.monotonic()
    assert supervisor(WAITS).run() == 75
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize(
    ("of_rank_0", "of_rank_1", "code"),
    [(75, 75, 75), (75, 4, 4), (5, 75, 5), (75, 6, 75), (75, 1, 75), (75, 0, 75), (0, 0, 0)],
)
def test_asked_to_leave_what_would_come_again_is_told(
    of_rank_0: int, of_rank_1: int, code: int, tmp_path: Path
) -> None:
    """A disk that is full would be so after every requeue."""
    script = (
        "import os, pathlib, signal, time\n"
        "rank = int(os.environ['RANK'])\n"
        f"code = {of_rank_0, of_rank_1}[rank]\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(code))\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "(here / str(rank)).touch()\n"
        "while len(list(here.iterdir())) < 2: time.sleep(0.01)\n"
        "if rank == 0: os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(60)\n"
    )
    assert supervisor(script).run() == code


def test_signals_without_a_name_are_told_by_their_number() -> None:
    assert _how(-signal.SIGKILL) == "was killed by SIGKILL"
    assert _how(-(signal.SIGRTMIN + 1)) == f"was killed by signal {signal.SIGRTMIN + 1}"
