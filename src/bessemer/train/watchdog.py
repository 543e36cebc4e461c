"""Whether all ranks get on: each tells the others what it does, and all end if one does not.

A thread of each rank sends a heartbeat with the latest mark of its main thread. If no rank leaves a
mark for too long (one that waits for another at work leaves none, either), every rank puts on
record where it is, the lowest one alive names those that the others wait for, and all end with the
exit code of LostRankError: whoever started them starts them anew. If a collective fails because a
rank is gone, the error says which.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from bessemer.core.errors import ConfigError, LostRankError, RequeueError, TrainingError
from bessemer.core.layout import HANGS
from bessemer.core.manifest import utc_now
from bessemer.train.heartbeats import DONE, Heartbeat, Heartbeats
from bessemer.train.launch import Launch
from bessemer.train.mesh import connect_to_store
from bessemer.train.progress import last_mark, main_place, main_stack, mark

_LOG = logging.getLogger(__name__)
_TO_LEARN_S = 2.5  # how long to ask who is gone before an error is taken for one's own
_TO_RECORD_S = 2.0  # for storage, which may be what hangs; short of what a launcher waits for ranks


@contextmanager
def watched(launch: Launch, folder: Path, hang_timeout_s: float) -> Iterator[None]:
    """Watch over the ranks for the time of the block; what is found out goes to `folder`.

    Raises LostRankError in place of an error that comes of another rank's being gone.
    """
    if launch.num_ranks == 1:
        yield
        return
    watchdog = _Watchdog(launch, folder, hang_timeout_s)
    watchdog.start()
    try:
        yield
    except (ConfigError, LostRankError, RequeueError, TrainingError) as error:
        watchdog.stop(_in_a_line(error))
        raise
    except Exception as error:
        gone = watchdog.learn_who_is_gone()
        watchdog.stop(_in_a_line(error))
        if gone:
            raise LostRankError(gone) from error
        raise
    else:
        watchdog.stop(DONE)


class _Watchdog:
    def __init__(self, launch: Launch, folder: Path, hang_timeout_s: float) -> None:
        self._launch, self._folder, self._timeout_s = launch, folder / HANGS, hang_timeout_s
        self._interval_s = min(max(hang_timeout_s / 100, 0.2), 5.0)
        self._heartbeats = Heartbeats(connect_to_store(launch), launch)
        self._latest, self._latest_at_s = "", time.monotonic()  # mark of any rank, when seen
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to send heartbeats and to look at marks."""
        mark("begin")
        self._heartbeats.send()
        self._thread.start()

    def stop(self, end: str) -> None:
        """Send the last heartbeat, which says how it ended."""
        self._is_over.set()
        self._thread.join()
        with suppress(RuntimeError):  # the store is gone: nobody is left to be told
            self._heartbeats.send(end)

    def learn_who_is_gone(self) -> str:
        """Which ranks are gone and how, in words; "" if that is not known soon."""
        self._is_over.set()
        self._thread.join()
        deadline = time.monotonic() + _TO_LEARN_S
        while time.monotonic() < deadline:
            found = self._heartbeats.read()
            gone = [each for each in found.values() if each is not None and each.is_gone]
            if gone:
                return "; ".join(_tell_gone(each) for each in gone)
            time.sleep(0.05)
        return ""

    def _watch(self) -> None:
        try:
            while not self._is_over.wait(self._interval_s):
                self._heartbeats.send()
                if self._is_stuck():
                    self._heartbeats.raise_alarm()
                if self._heartbeats.is_alarmed():
                    self._end_all()
        except RuntimeError as error:  # what torch raises when the store does not answer
            if not self._is_over.is_set():
                _end(f"the process that started the ranks is gone ({error})")

    def _is_stuck(self) -> bool:
        """Whether no rank has left a mark for too long."""
        now, latest = time.monotonic(), self._heartbeats.latest_mark()
        if latest != self._latest:
            self._latest, self._latest_at_s = latest, now
        return now - max(last_mark().at_s, self._latest_at_s) > self._timeout_s

    def _end_all(self) -> NoReturn:
        """Put this rank on record, have the lowest one alive say what is the matter, and end."""
        recording = _begin(self._record)
        before = self._heartbeats.read()
        until = time.monotonic() + 5 * self._interval_s
        while time.monotonic() < until:
            self._heartbeats.send()
            time.sleep(self._interval_s / 2)
        after = self._heartbeats.read()
        silent = [rank for rank, each in after.items() if _is_silent(each, before[rank])]
        live = [each for rank, each in after.items() if each is not None and rank not in silent]
        report = ""
        if live and live[0].rank == self._launch.rank:
            report = self._report(after, silent)
            _LOG.error("%s", report)
            for rank in silent:
                _kill(after[rank], host=live[0].host)
            self._heartbeats.say_reported()
        until = time.monotonic() + 5 * self._interval_s
        while not self._heartbeats.is_reported() and time.monotonic() < until:
            time.sleep(self._interval_s / 2)
        recording.join(_TO_RECORD_S)
        if report:
            _begin(lambda: self._append(report)).join(_TO_RECORD_S)
        _end("")

    def _report(self, found: Mapping[int, Heartbeat | None], silent: Sequence[int]) -> str:
        """What is the matter, in words: who is missing, and where the others wait."""
        missing = silent or _behind([each for each in found.values() if each is not None])
        lines = [
            f"no progress for {self._timeout_s:g} s (cluster.hang_timeout_s); "
            f"missing: {', '.join(f'rank {rank}' for rank in missing) or 'no rank in particular'}"
        ]
        for rank, each in found.items():
            if each is None:
                lines.append(f"  rank {rank} never began")
            elif rank in silent:
                lines.append(
                    f"  rank {rank} is silent (stopped, or its machine is gone): it last "
                    f"did: {each.doing}; and {each.place}"
                )
            else:
                lines.append(f"  rank {rank} does: {each.doing}; and {each.place}")
        lines.append(f"  their stacks are in {self._folder}")
        return "\n".join(lines)

    def _record(self) -> None:
        """Where this rank is: on standard error and on file."""
        done, rank = last_mark(), self._launch.rank
        text = (
            f"rank {rank} of {self._launch.num_ranks} does: {done.doing}, for "
            f"{time.monotonic() - done.at_s:.0f} s; and {main_place()}\n{main_stack()}"
        )
        sys.stderr.write("".join(f"rank {rank}: {line}\n" for line in text.splitlines()))
        self._append(f"{utc_now()}, restart {self._launch.restart}: {text}")

    def _append(self, text: str) -> None:
        with suppress(OSError):  # storage may be what is full
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / f"rank-{self._launch.rank}.txt").open("a") as file:
                file.write(text + "\n")


def _begin(work: Callable[[], None]) -> threading.Thread:
    """Do `work` in a thread that the process does not wait for when it ends."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _is_silent(now: Heartbeat | None, before: Heartbeat | None) -> bool:
    if now is None:
        return True
    return not now.end and before is not None and now.number == before.number


def _behind(beats: Sequence[Heartbeat]) -> list[int]:
    """The ranks that others wait for: of those that do not wait themselves, or else of all, the
    ones that have come least far."""
    running = [each for each in beats if not each.end]
    busy = [each for each in running if not each.waits]
    if busy and len(busy) < len(running):
        return [each.rank for each in busy]
    fewest = min((each.marks for each in running), default=0)
    behind = [each.rank for each in running if each.marks == fewest]
    return behind if len(behind) < len(running) else []


def _kill(beat: Heartbeat | None, *, host: str) -> None:
    """A stopped process takes no other signal, and whoever started it would wait for it."""
    if beat is not None and beat.host == host:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(beat.pid, signal.SIGKILL)


def _tell_gone(beat: Heartbeat) -> str:
    how = f"it ended with {beat.end}" if beat.end else "its process does not exist any more"
    return f"rank {beat.rank} is gone ({how}); it last did: {beat.doing}"


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _end(why: str) -> NoReturn:
    if why:
        sys.stderr.write(f"error: {why}\n")
    sys.stderr.flush()
    os._exit(LostRankError.exit_code)
