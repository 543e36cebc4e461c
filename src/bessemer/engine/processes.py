"""The runner that works in processes of this machine: the default, without a daemon.

The first worker is this process, in a thread of its own, so that results are kept as they come. The
others are processes, which live over all stages: to start one and to load its kernels takes
seconds. They are spawned, not forked: a fork would copy the locks of threads that numba and Arrow
hold.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from bessemer.core.errors import MachineError
from bessemer.core.hardware import num_usable_cores
from bessemer.engine.inline import Inline
from bessemer.engine.tasks import Done, Engine, Result, Task, work

# What this process has not done of a list by itself in this time is worth more processes.
_ALONE_S = 0.5
# How much rather the kernel ends a worker than this process when memory runs out (oom_score_adj).
_OOM_SCORE = 300


class Processes:
    """This process, and others that are started when there is enough to do."""

    def __init__(self, engine: Engine) -> None:
        self._workers = engine.workers or num_usable_cores()
        self._inline = Inline(engine)
        self._here: Executor | None = None
        self._others: ProcessPoolExecutor | None = None
        self._starting: set[Future[None]] = set()  # of the others: one for each that is not up yet

    def run(self, tasks: Sequence[Task], folder: Path) -> Generator[Done]:
        """Yield results as tasks end; raise MachineError if a worker is killed.

        After an error, or if it is closed early, no worker is left.
        """
        if min(self._workers, len(tasks)) == 1:
            yield from self._inline.run(tasks, folder)
            return
        try:
            yield from self._share_out(tasks)
        except BrokenProcessPool as error:
            never_up = len(self._starting) == self._workers - 1
            self.close()
            if never_up:
                raise MachineError(
                    "worker processes end as they start; a script that calls bessemer must do so "
                    'below `if __name__ == "__main__":`, for each worker reads it, too'
                ) from error
            raise MachineError(
                "a worker process was killed from outside, most often for want of memory; "
                "run again to go on from the finished shards, with fewer workers "
                "(cluster.engine.workers) or smaller shards (curate.shard_bytes)"
            ) from error
        except BaseException as error:
            self.close(wait=not isinstance(error, KeyboardInterrupt))
            raise

    def close(self, *, wait: bool = True) -> None:
        """End the workers, once they have done the task at hand; whoever does not wait for that
        leaves the one in this process to its end."""
        for pool in (self._others, self._here):
            if pool is not None:
                pool.shutdown(wait=wait, cancel_futures=True)
        self._others = self._here = None
        self._starting = set()

    def _share_out(self, tasks: Sequence[Task]) -> Generator[Done]:
        """Give each worker that is up a task, and the next when it has done that."""
        here = self._here = self._here or _Here()
        waiting = deque(range(len(tasks)))
        at_work: dict[Future[tuple[Result, int]], tuple[Executor, int]] = {}

        def give(pool: Executor, num_workers: int) -> None:
            busy = sum(owner is pool for owner, _ in at_work.values())
            for _ in range(min(num_workers - busy, len(waiting))):
                position = waiting.popleft()
                at_work[pool.submit(work, tasks[position])] = pool, position

        alone_until = time.monotonic() + _ALONE_S
        while waiting or at_work:
            give(here, 1)
            patience = None
            if self._others is not None:
                give(self._others, self._workers - 1 - len(self._starting))
            elif waiting and (patience := alone_until - time.monotonic()) <= 0:
                self._start_others()
                continue
            # Those that start are waited for only if there is something for them to do.
            events = {*at_work, *(self._starting if waiting else ())}
            ended = wait(events, patience, FIRST_COMPLETED).done
            for future in ended & self._starting:
                future.result()
                self._starting.remove(future)
            for future in ended & at_work.keys():
                _, position = at_work.pop(future)
                try:
                    result, peak_bytes = future.result()
                except BrokenProcessPool:
                    raise
                except Exception as error:
                    error.add_note(f"in task {tasks[position].key}")
                    raise
                yield Done(position, result, peak_bytes)

    def _start_others(self) -> None:
        count = self._workers - 1
        context = multiprocessing.get_context("spawn")
        self._others = ProcessPoolExecutor(
            max_workers=count, mp_context=context, initializer=_end_before_parent
        )
        self._starting = {self._others.submit(_say_it_is_up) for _ in range(count)}


class _Here(Executor):
    """A worker in a thread that nothing waits for when this process ends: for one of
    `ThreadPoolExecutor` Python waits even on Ctrl-C."""

    def __init__(self) -> None:
        self._handed: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do `fn` when what was handed in before is done."""
        future: Future[Any] = Future()
        self._handed.put((future, functools.partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread; what is at hand is done before."""
        while cancel_futures and not self._handed.empty():
            if (handed := self._handed.get()) is not None:
                handed[0].cancel()
        self._handed.put(None)
        if wait:
            self._thread.join()

    def _serve(self) -> None:
        while (handed := self._handed.get()) is not None:
            future, do = handed
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(do())
                except BaseException as error:  # noqa: BLE001  (whoever waits for it is told)
                    future.set_exception(error)


def _say_it_is_up() -> None:
    """The first task of a worker."""


def _end_before_parent() -> None:
    """Make this worker end when its parent is killed, for it would wait for tasks for ever; and
    before it, when there is not enough memory, for the parent can tell."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))
