"""What a run says while it works: log lines for prose, progress bars for long work.

On a terminal the bars are rich's; elsewhere a line every few seconds, so that a log file of a
batch job stays readable. Ranks other than 0 say only warnings.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bessemer.core.units import format_seconds

_LINE_EVERY_S = 10.0


def configure_logging(rank: int = 0) -> None:
    """Send bessemer's log to standard error: rank 0 from INFO on, other ranks warnings only."""
    logger = logging.getLogger("bessemer")
    handler = logging.StreamHandler(sys.stderr)
    prefix = "" if rank == 0 else f"rank {rank}: "
    handler.setFormatter(logging.Formatter(f"%(asctime)s {prefix}%(message)s", "%H:%M:%S"))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    logger.propagate = False


class Bar(Protocol):
    """One piece of long work that reports how far it is."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """`amount` more of the total is done; `note` says something about the present state."""


class Display(Protocol):
    """Where progress is shown."""

    def bar(self, title: str, total: int, done: int = 0) -> AbstractContextManager[Bar]:
        """Show a piece of work of `total` units, `done` of which were done before."""


class Silent:
    """Shows nothing: for tests, for other ranks, for use as a library."""

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:  # noqa: ARG002
        yield _SilentBar()


class _SilentBar:
    def advance(self, amount: int = 1, note: str = "") -> None:
        pass


class Terminal:
    """Progress bars on standard error if it is a terminal, plain lines otherwise."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        if not self._console.is_terminal:
            yield _LineBar(title, total, done)
            return
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=total, completed=done, note="")
            yield _RichBar(progress, task)


class _RichBar:
    def __init__(self, progress: Progress, task: object) -> None:
        self._progress = progress
        self._task = task

    def advance(self, amount: int = 1, note: str = "") -> None:
        self._progress.update(self._task, advance=amount, note=note)  # type: ignore[arg-type]


class _LineBar:
    def __init__(self, title: str, total: int, done: int) -> None:
        self._title, self._total, self._done, self._before = title, total, done, done
        self._started = self._spoken = time.monotonic()

    def advance(self, amount: int = 1, note: str = "") -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._spoken < _LINE_EVERY_S:
            return
        self._spoken = now
        elapsed = now - self._started
        fresh = max(self._done - self._before, 1)
        left = elapsed / fresh * (self._total - self._done)
        logging.getLogger(__name__).info(
            "%s: %d of %d, %s left  %s",
            *(self._title, self._done, self._total, format_seconds(left), note),
        )
