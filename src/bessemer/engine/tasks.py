"""A stage's work as a list of pure tasks, run by any runner, resumed by task key.

A task is a module-level function and picklable arguments: paths, ids and settings, never text.
It writes its own files (atomically) and returns a small JSON object. That object is kept under
`<stage folder>/.scratch/tasks/<key>.json` as the task ends; a task whose object is there is not
run again. Keys name the input shard, so neither the number of workers nor the order in which
they finish can change a result. Running a task twice is harmless.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bessemer.core.events import Display, Silent
from bessemer.core.hardware import peak_memory_bytes
from bessemer.core.storage import SCRATCH, clear_temporaries, read_json, write_json

Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One unit of work; `function(**arguments)` is pure and returns a JSON object."""

    key: str
    function: Callable[..., Result]
    arguments: dict[str, Any]


def tasks_of(
    prefix: str,
    function: Callable[..., Result],
    common: Mapping[str, Any],
    own: Mapping[str, Mapping[str, Any]],
) -> list[Task]:
    """A task for each of `own`: its key behind the prefix, its arguments beside the common ones."""
    return [
        Task(key=f"{prefix}-{key}", function=function, arguments={**common, **arguments})
        for key, arguments in own.items()
    ]


class Done(NamedTuple):
    """A task that has ended."""

    position: int  # in the list
    result: Result
    peak_bytes: int  # the most memory that the process which did it ever held


class Runner(Protocol):
    """Who does the tasks; its workers live from list to list. Made of the engine's settings."""

    def run(self, tasks: Sequence[Task], folder: Path) -> Generator[Done]:
        """Yield results in whatever order tasks end, and raise what a task raised, its key as a
        note. All that tasks share is in `folder`, or read from where it is."""

    def close(self) -> None:
        """End the workers; `run` would start new ones."""


RUNNERS = {
    "inline": "bessemer.engine.inline:Inline",
    "processes": "bessemer.engine.processes:Processes",
    "ray": "bessemer.engine.on_ray:OnRay",
}


@dataclass(kw_only=True, slots=True)
class Engine:
    """Who runs tasks, and where progress is shown.

    Workers start with the first tasks and serve all that follow, until `close`.
    """

    runner: str = "inline"
    workers: int | None = None  # at once; None means one per core of the machine or the cluster
    address: str | None = None  # of the cluster, for Ray
    display: Display = field(default_factory=Silent)
    peak_bytes: int = field(default=0, init=False)  # the most memory that a worker ever held
    _open: Runner | None = field(default=None, init=False, repr=False)

    def map(self, title: str, folder: Path, tasks: Sequence[Task]) -> list[Result]:
        """Run what is not done yet; results in the order of `tasks`.

        Raises whatever a task raised, with the task's key as a note; what other tasks finished
        by then is kept for the next start.
        """
        done_folder = folder / SCRATCH / "tasks"
        results: list[Result | None] = [None] * len(tasks)
        open_positions = []
        for position, task in enumerate(tasks):
            record = done_folder / f"{task.key}.json"
            if record.exists():
                results[position] = read_json(record)
            else:
                open_positions.append(position)
        if open_positions:
            self._open = self._open or _load_runner(self.runner)(self)
            open_tasks = [tasks[position] for position in open_positions]
            num_done = len(tasks) - len(open_positions)
            with (
                self.display.bar(title, total=len(tasks), done=num_done) as bar,
                closing(self._open.run(open_tasks, folder)) as finished,
            ):
                for index, result, peak_bytes in finished:
                    position = open_positions[index]
                    write_json(done_folder / f"{tasks[position].key}.json", result)
                    results[position] = result
                    self.peak_bytes = max(self.peak_bytes, peak_bytes)
                    bar.advance()
        return [result for result in results if result is not None]

    def close(self) -> None:
        """End the workers and let their memory go; the next `map` starts new ones."""
        if self._open is not None:
            self._open.close()
            self._open = None


def work(task: Task) -> tuple[Result, int]:
    """Do `task` in a worker; its result, and the most memory that this process ever held.

    An error that would not survive the way back is told in words instead: it would be taken for the
    death of the worker.
    """
    try:
        return task.function(**task.arguments), peak_memory_bytes()
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001  (an error's own code may raise any)
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise


def prepare_folder(folder: Path) -> None:
    """Make a stage's folder ready to start or to go on: half-written files are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    clear_temporaries(folder)


def _load_runner(name: str) -> Callable[[Engine], Runner]:
    module, _, attribute = RUNNERS[name].partition(":")
    runner: Callable[[Engine], Runner] = getattr(import_module(module), attribute)
    return runner
