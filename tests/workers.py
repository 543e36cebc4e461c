"""Engines whose workers are all up, for tests of what several processes do to an output.

Processes are started only for what one has not done by itself in a while (engine/processes.py), so
a small test would do everything in one, whatever number of workers it asks for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bessemer.engine.tasks import Engine, Task


def meet(folder: Path, num_workers: int) -> dict[str, int]:
    """A task that ends when as many processes have begun one."""
    (folder / str(os.getpid())).touch()
    end = time.monotonic() + 120
    while len(list(folder.iterdir())) < num_workers:
        assert time.monotonic() < end, "the other workers never came"
        time.sleep(0.005)
    return {"process": os.getpid()}


def bring_up(engine: Engine) -> Engine:
    """The engine, with all its workers waiting for tasks: each did one while all others had one."""
    assert engine.workers is not None
    with TemporaryDirectory() as name:
        place = Path(name) / "met"
        place.mkdir()
        arguments = {"folder": place, "num_workers": engine.workers}
        tasks = [Task(key=str(n), function=meet, arguments=arguments)
                 for n in range(engine.workers)]  # fmt: skip
        met = engine.map("meet", Path(name) / "stage", tasks)
    assert len({each["process"] for each in met}) == engine.workers
    return engine


@contextmanager
def workers(num_workers: int) -> Iterator[Engine]:
    """An engine of so many processes, this one among them, until the block is left."""
    with closing(Engine(runner="processes", workers=num_workers)) as engine:
        yield bring_up(engine)
