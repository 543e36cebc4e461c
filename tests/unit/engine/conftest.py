"""Tasks for the tests of engines: a module of its own, so that a spawned worker can import it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

WORK = '''
"""Tasks that leave a file behind, wait for the file of another, fail, or die."""

import os
import signal
import time


def wait_for(path, deadline_s=60.0):
    end = time.monotonic() + deadline_s
    while not os.path.exists(path):
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.002)


def work(folder, number, after=None):
    """Leave `<number>.<process>` in `folder`, once `after` is there."""
    if after:
        wait_for(after)
    with open(os.path.join(folder, f"{number}.{os.getpid()}"), "a") as file:
        file.write("x")
    open(os.path.join(folder, f"done-{number}"), "w").close()
    return {"number": number, "process": os.getpid()}


def fail(folder, number, unless=None, after=None):
    if unless and os.path.exists(unless):
        return work(folder, number)
    if after:
        wait_for(after)
    raise ValueError(f"number {number} is unlucky")


def stay(folder, number, until):
    """Say which process this is, and work once `until` is there."""
    open(os.path.join(folder, f"staying-{os.getpid()}"), "w").close()
    return work(folder, number, until)


def die(path, spared):
    """End this process as the kernel would, unless it is `spared`: that waits for `path`."""
    if os.getpid() == spared:
        wait_for(path)
    else:
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)


def meet(folder, number, count):
    """Wait until `count` tasks are done at once."""
    open(os.path.join(folder, f"here-{number}"), "w").close()
    for other in range(count):
        wait_for(os.path.join(folder, f"here-{other}"))
    return {"number": number, "process": os.getpid()}


class Unportable(Exception):
    """Pickle calls __init__ with the message alone."""

    def __init__(self, part, whole):
        super().__init__(f"{part} of {whole} is bad")


def fail_unportably(number):
    raise Unportable(number, "everything")


def quick(number):
    return {"number": number}
'''


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module above, importable here and, since its folder is on the path, in workers."""
    name = "tasks_of_engine_tests"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / f"{name}.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    yield importlib.import_module(name)
    del sys.modules[name]
