"""A stage's work as a list of pure tasks, run by any runner, resumed by task key.

A task is a module-level function and picklable arguments: paths, ids and settings, never text.
It writes its own files (atomically) and returns a small JSON object. That object is kept under
`<stage folder>/.scratch/tasks/<key>.json` as the task ends; a task whose object is there is not
run again. Keys name the input shard, so neither the number of workers nor the order in which
they finish can change a result. Running a task twice is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from bessemer.core.events import Display, Silent
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


# A runner yields (position in the list, result) in whatever order tasks finish, and raises what
# a task raised. `workers` is how many may run at once.
Runner = Callable[[Sequence[Task], int], Generator[tuple[int, Result]]]

RUNNERS = {
    "inline": "bessemer.engine.inline:run_inline",
    "processes": "bessemer.engine.processes:run_in_processes",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """Who runs tasks, and where progress is shown."""

    runner: str = "inline"
    workers: int = 1
    display: Display = field(default_factory=Silent)

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
            workers = min(self.workers, len(open_positions))
            # One worker is this process: another would have to start and to load its kernels.
            run = _load_runner(self.runner if workers > 1 else "inline")
            open_tasks = [tasks[position] for position in open_positions]
            num_done = len(tasks) - len(open_positions)
            with (
                self.display.bar(title, total=len(tasks), done=num_done) as bar,
                closing(run(open_tasks, workers)) as finished,
            ):
                for index, result in finished:
                    position = open_positions[index]
                    write_json(done_folder / f"{tasks[position].key}.json", result)
                    results[position] = result
                    bar.advance()
        return [result for result in results if result is not None]


def prepare_folder(folder: Path) -> None:
    """Make a stage's folder ready to start or to go on: half-written files are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    clear_temporaries(folder)


def _load_runner(name: str) -> Runner:
    module, _, attribute = RUNNERS[name].partition(":")
    runner: Runner = getattr(import_module(module), attribute)
    return runner
