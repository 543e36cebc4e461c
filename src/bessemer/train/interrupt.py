"""Signals that ask a training run to leave: Slurm, Kubernetes and spot machines send them ahead.

A run that is asked finishes its step, saves a checkpoint, and ends with an exit code that says
"start me again".
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Interruption:
    """Whether a signal has come, and which."""

    def __init__(self) -> None:
        self.signal_name = ""

    @property
    def is_asked(self) -> bool:
        """Whether this process was asked to leave."""
        return bool(self.signal_name)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name


@contextmanager
def noticed() -> Iterator[Interruption]:
    """Notice signals for the time of the block instead of dying of them.

    Outside the main thread signals cannot be caught, and stay as they are.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interruption._note) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
