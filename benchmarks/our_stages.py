"""Our line from its beginning to a stage, in one process and its workers, step by step.

Run with a run file and the last stage. A line of JSON for each step as it ends: stage, title, begin
and end by time.monotonic, processor seconds of this process and its workers. What a stage does
between its steps is its step "rest". The last line has what each stage dropped.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bessemer.core.events import Bar, Silent
from bessemer.line.api import run
from bessemer.line.stages import STAGES

REST = "rest"


class Steps(Silent):
    """Prints a line for each piece of work that would have a bar."""

    stage = ""
    in_steps_s = 0.0  # processor seconds of the steps of this stage

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        begin, begin_cpu = time.monotonic(), cpu_seconds()
        with super().bar(title, total, done) as bar:
            yield bar
        used = cpu_seconds() - begin_cpu
        self.in_steps_s += used
        tell(self.stage, title, begin, used)


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def tell(stage: str, step: str, begin: float, used: float) -> None:
    """Print what a step took."""
    times = {"begin": begin, "end": time.monotonic(), "cpu_seconds": used}
    print(json.dumps({"stage": stage, "step": step} | times), flush=True)


def main() -> None:
    run_file, last = Path(sys.argv[1]), sys.argv[2]
    names = [stage.name for stage in STAGES]
    display = Steps()
    found = {}
    for name in names[: names.index(last) + 1]:
        display.stage, display.in_steps_s = name, 0.0
        begin, begin_cpu = time.monotonic(), cpu_seconds()
        workspace, _ = run(run_file, [], first=name, last=name, display=display)
        tell(name, REST, begin, cpu_seconds() - begin_cpu - display.in_steps_s)
        manifest = workspace.manifest(name)
        assert manifest is not None
        found[name] = {
            "docs_dropped": sum(sums.docs_dropped for sums in manifest.conservation),
            "bytes_in": sum(sums.bytes_in for sums in manifest.conservation),
        }
    print(json.dumps({"stages": found}), flush=True)


if __name__ == "__main__":
    main()
