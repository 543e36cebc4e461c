"""The runner that works in this process, one task after the other: for tests and debuggers."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from bessemer.engine.tasks import Result, Task


def run_inline(tasks: Sequence[Task], workers: int) -> Generator[tuple[int, Result]]:  # noqa: ARG001
    """Yield (position, result) in list order."""
    for position, task in enumerate(tasks):
        try:
            yield position, task.function(**task.arguments)
        except Exception as error:
            error.add_note(f"in task {task.key}")
            raise
