"""Signals that ask a training run to leave: Slurm, Kubernetes and spot machines send them ahead.

A run that is asked finishes its step, saves a checkpoint, and ends with an exit code that says
"start me again". If that does not come about in time, it ends all the same.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bessemer.core.errors import RequeueError

LEAVE_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
# SIGQUIT is none of them: whoever presses Ctrl-\ wants an end at once.


def signals_to_catch() -> list[signal.Signals]:
    """LEAVE_SIGNALS without those that whoever started this process has it ignore, as nohup does
    with SIGHUP."""
    return [each for each in LEAVE_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]


class Interruption:
    """Whether a signal has come, and which."""

    def __init__(self, grace_s: float) -> None:
        self.signal_name = ""
        self._grace_s = grace_s
        self._is_over = threading.Event()

    @property
    def is_asked(self) -> bool:
        """Whether this process was asked to leave."""
        return bool(self.signal_name)

    def _listen(self, numbers: socket.socket) -> None:
        """Take the first signal that matters, and see to it that this process leaves in time."""
        while not self.is_asked:
            (number,) = numbers.recv(1) or (0,)
            if not number:
                return  # the block is over
            if number in LEAVE_SIGNALS:
                self.signal_name = signal.Signals(number).name
        if not self._is_over.wait(self._grace_s):
            sys.stderr.write(
                f"error: {self.signal_name} asked to leave, and the step at hand was not finished "
                f"and saved within cluster.grace_s = {self._grace_s:g} s; the same command, "
                "without --from, goes on from the last checkpoint\n"
            )
            sys.stderr.flush()
            os._exit(RequeueError.exit_code)


def _go_on(number: int, _: FrameType | None) -> None:
    """Python writes the number to the wake-up socket; a second Ctrl-C is as if there were none."""
    if number == signal.SIGINT:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def noticed(grace_s: float) -> Iterator[Interruption]:
    """Notice signals for the time of the block instead of dying of them; end the process if the
    block is not over `grace_s` seconds after the first.

    A thread of its own listens: the main thread runs no handler while it waits for another rank.
    Outside the main thread signals cannot be caught, and stay as they are.
    """
    interruption = Interruption(grace_s)
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    here, there = socket.socketpair()
    there.setblocking(False)
    wakeup_before = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, _go_on) for number in signals_to_catch()}
    listener = threading.Thread(target=interruption._listen, args=(here,), daemon=True)
    listener.start()
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        interruption._is_over.set()
        there.close()
        listener.join()
        here.close()
