"""The runner that works in a pool of processes on this machine: the default, without a daemon.

Workers are spawned, not forked: a fork would copy the locks of threads that numba and Arrow hold.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from bessemer.core.errors import MachineError
from bessemer.engine.tasks import Result, Task


def run_in_processes(tasks: Sequence[Task], workers: int) -> Generator[tuple[int, Result]]:
    """Yield (position, result) as tasks finish; raise MachineError if a worker is killed."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        max_workers=workers, mp_context=context, initializer=_end_with_parent
    )
    try:
        futures: dict[Future[Result], int] = {
            pool.submit(_call, task): position for position, task in enumerate(tasks)
        }
        for future in as_completed(futures):
            position = futures[future]
            try:
                result = future.result()
            except BrokenProcessPool:
                raise
            except Exception as error:
                error.add_note(f"in task {tasks[position].key}")
                raise
            yield position, result
    except BrokenProcessPool as error:  # of a result, or of a task handed in too late
        raise MachineError(
            "a worker process was killed from outside, most often for want of memory; "
            "run again to go on from the finished shards, with fewer workers "
            "(cluster.engine.workers) or smaller shards (curate.shard_bytes)"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _call(task: Task) -> Result:
    """Do `task`. An error that would not survive the way to the parent is told in words instead:
    the pool would take it for the death of this worker."""
    try:
        return task.function(**task.arguments)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001  (an error's own code may raise any)
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise


def _end_with_parent() -> None:
    """Make this worker end when its parent is killed: it would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
