"""The job that a drill disturbs: a real `bessemer run` on two ranks, seen from outside."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bessemer.core.errors import MachineError
from bessemer.core.layout import CHECKPOINTS, METRICS, STATE_DIGESTS, STEPS
from bessemer.core.storage import read_json, read_jsonl
from bessemer.line.workspace import plan_workspace
from bessemer.train.drill_faults import VARIABLE

LIMIT_S = 600.0  # for anything that has to come
_LOOK_EVERY_S = 0.002


class DrillJob:
    """A run of the train stage in a root folder of its own, begun from a prepared one."""

    def __init__(self, run_file: Path, prepared: Path, root: Path) -> None:
        shutil.copytree(prepared, root, symlinks=True)
        setting = f'run.root="{root}"'
        self._command = [sys.executable, "-m", "bessemer", "run", str(run_file), "--to", "train"]
        self._command += ["--set", setting]
        self.folder = plan_workspace(run_file, (setting,)).folder("train")
        self.said: list[tuple[float, str]] = []  # when, and what
        self.moment = 0.0  # of the fault
        self.lines_before = 0  # that were said before it
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None

    def start(self, fault: str = "") -> None:
        """Give the command; `fault` is one of train.drill_faults."""
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {VARIABLE: fault, "OMP_NUM_THREADS": "1"},
        )
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()

    def finish(self) -> int:
        """The exit code, when the command has come to its end."""
        assert self._process is not None
        assert self._listener is not None
        try:
            code = self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise self._in_vain("its end") from None
        self._listener.join(LIMIT_S)  # what is left of what it said
        return code

    def kill(self) -> None:
        """End the command and its ranks, and return when all of them are gone."""
        if self._process is None:
            return
        ranks = [Path("/proc") / str(rank) for rank in self.ranks()]
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + LIMIT_S
        while any(each.exists() for each in ranks):
            if time.monotonic() > deadline:
                raise self._in_vain("the end of its ranks")
            time.sleep(_LOOK_EVERY_S)

    def kill_rank(self, rank: int) -> None:
        """SIGKILL, now."""
        pid = self.ranks()[rank]
        self.strike(lambda: os.kill(pid, signal.SIGKILL))

    def strike(self, blow: Callable[[], None]) -> None:
        """Do `blow`, and remember when."""
        self.lines_before, self.moment = len(self.said), time.monotonic()
        blow()

    @property
    def pid(self) -> int:
        """Of the command, which starts the ranks."""
        assert self._process is not None
        return self._process.pid

    def ranks(self) -> list[int]:
        """Process ids of the ranks that there are, by rank."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = re.search(r"^PPid:\t(\d+)$", (folder / "status").read_text(), re.M)
                if parent is None or int(parent[1]) != self.pid:
                    continue
                rank = re.search(rb"\0RANK=(\d+)\0", b"\0" + (folder / "environ").read_bytes())
            except OSError:
                continue  # it has ended meanwhile
            if rank is not None:
                found[int(rank[1])] = int(folder.name)
        return [found[rank] for rank in sorted(found)]

    def checkpoints(self) -> list[Path]:
        """Complete ones, oldest first."""
        found = (self.folder / CHECKPOINTS).glob("step-*/checkpoint.json")
        return sorted(each.parent for each in found)

    def saved_step(self) -> int:
        """That of the newest complete checkpoint."""
        found = self.checkpoints()
        return int(found[-1].name.removeprefix("step-")) if found else 0

    def steps_done(self) -> int:
        """As the metrics have it."""
        rows = self._rows()
        return rows[-1][0] if rows else 0

    def steps_written_ns(self) -> int:
        """When the metrics of steps were last written; 0 if there are none. A start writes them
        anew, without the steps that it will compute again."""
        path = self.folder / METRICS / STEPS
        return path.stat().st_mtime_ns if path.exists() else 0

    def outcome(self) -> tuple[object, object]:
        """What the run came to: digests of every tensor at its end, and the loss of every step."""
        path = self.folder / STATE_DIGESTS
        return (read_json(path) if path.exists() else None), self._rows()

    def wait_for_step(self, step: int) -> None:
        """Return when the checkpoint of a step is complete."""
        self.wait_until(lambda: self.saved_step() >= step, f"step {step}")

    def wait_for_line(self, pattern: str) -> float:
        """When it first said what matches after the fault."""
        self.wait_until(lambda: self.find_line(pattern) is not None, f"a line with {pattern!r}")
        found = self.find_line(pattern)
        assert found is not None
        return found[0]

    def find_line(self, pattern: str) -> tuple[float, re.Match[str]] | None:
        """The first line after the fault that matches: when it was said, and the match."""
        for when, line in self.said[self.lines_before :]:
            if match := re.search(pattern, line):
                return when, match
        return None

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Return when a condition holds; MachineError if it never does, or the job ends before."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            ended = self._process is not None and self._process.poll() is not None
            if (ended and not condition()) or time.monotonic() > deadline:
                raise self._in_vain(what)
            time.sleep(_LOOK_EVERY_S)

    def _in_vain(self, what: str) -> MachineError:
        said = "\n".join(line for _, line in self.said[-20:])
        return MachineError(f"the drill waited in vain for {what}; the job said last:\n{said}")

    def _rows(self) -> list[tuple[int, float]]:
        rows = read_jsonl(self.folder / METRICS / STEPS)
        return [(row["step"], row["loss"]) for row in rows]

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.said.append((time.monotonic(), line.rstrip("\n")))
