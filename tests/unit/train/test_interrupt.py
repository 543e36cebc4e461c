"""Which signals ask a process to leave, and which it was told to ignore."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bessemer.train.interrupt import noticed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_noticed(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with noticed(60.0) as interruption:
        assert not interruption.is_asked
        os.kill(os.getpid(), number)
        deadline = time.monotonic() + 10
        while not interruption.is_asked:
            assert time.monotonic() < deadline, "it was not"
            time.sleep(0.01)
    assert interruption.signal_name == number.name
    assert signal.getsignal(number) == before


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with noticed(60.0) as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.2)
        assert not interruption.is_asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
