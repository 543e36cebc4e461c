"""The process that reads pages: a row comes in by the pipe, its text or an error goes out.

It is bounded from within, by the kernel: a timer of processor time per page, whose signal ends the
process in the midst of native code, and the address space. Processor time, not time by the clock:
so that a page's fate hangs on the page and not on what else the machine does.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from bessemer.curate.decode import UndecodableError
from bessemer.curate.page import Page
from bessemer.curate.pages import read_pages

# ITIMER_PROF counts processor time of the process, the kernel's for it included, and sends this.
OVERTIME_SIGNAL = signal.SIGPROF
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Bounds(NamedTuple):
    """What one page may take."""

    cpu_s: float
    memory_bytes: int


def main() -> None:
    """Serve the pipe whose descriptor is the first argument, until its other end is closed."""
    pipe = Connection(int(sys.argv[1]))
    parent = os.getppid()
    # Who ends the parent (by Ctrl-C, say, which goes to both) ends this process through it.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    signal.signal(OVERTIME_SIGNAL, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be tied to
        return
    try:
        extractor: str
        bounds: Bounds
        extractor, bounds = pipe.recv()
        if extractor == "trafilatura":
            import trafilatura  # noqa: F401  (its start is no page's time)
        _bound_memory(bounds.memory_bytes)
        pipe.send(None)
        while True:
            pipe.send(_answer(pipe.recv(), bounds))
    except (EOFError, OSError):  # the parent is gone
        return


def _answer(task: tuple[Any, ...], bounds: Bounds) -> Page | Exception:
    signal.setitimer(signal.ITIMER_PROF, bounds.cpu_s)
    try:
        return read_pages(*task)
    except UndecodableError as error:
        return UndecodableError(str(error))
    except MemoryError:
        return UndecodableError(
            "extraction needs more memory than curate.max_extract_memory_bytes "
            f"({bounds.memory_bytes})"
        )
    except Exception as error:  # noqa: BLE001  (a bug of ours, which is raised at the other end)
        told = RuntimeError(f"{type(error).__name__}: {error}")
        told.add_note(traceback.format_exc())
        return told
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _bound_memory(num_bytes: int) -> None:
    """Let the address space grow by `num_bytes` at most. Only where the kernel tells how much it is
    now."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + num_bytes,) * 2)


if __name__ == "__main__":
    main()
