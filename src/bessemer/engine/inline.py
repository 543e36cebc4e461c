"""The runner that works in this process, one task after the other: for tests and debuggers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from bessemer.core.hardware import peak_memory_bytes
from bessemer.engine.tasks import Done, Engine, Task


class Inline:
    """Does tasks in list order."""

    def __init__(self, engine: Engine) -> None:
        pass

    def run(self, tasks: Sequence[Task], folder: Path) -> Generator[Done]:  # noqa: ARG002
        """Yield results in list order."""
        for position, task in enumerate(tasks):
            try:
                result = task.function(**task.arguments)
            except Exception as error:
                error.add_note(f"in task {task.key}")
                raise
            yield Done(position, result, peak_memory_bytes())

    def close(self) -> None:
        """Nothing is held."""
