"""What the main thread of this process does: marks that it leaves on its way, and its stack."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_TORCH = f"{os.sep}torch{os.sep}"
_COLLECTIVES = f"{_TORCH}distributed{os.sep}"
_TRAINER = f"{os.sep}bessemer{os.sep}train{os.sep}"
_BACKWARD = "_engine_run_backward"  # the backward pass, in which hooks of DDP wait for other ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """The main thread came by here."""

    number: int  # of marks so far
    doing: str  # what it went on to do
    at_s: float  # of time.monotonic


_last = Mark(number=0, doing="start", at_s=time.monotonic())


def mark(doing: str) -> None:
    """Leave a mark: this process gets on, and now does this. Cheap enough for every microbatch."""
    global _last  # one main thread, one trail
    _last = Mark(number=_last.number + 1, doing=doing, at_s=time.monotonic())


def last_mark() -> Mark:
    """The latest mark of this process."""
    return _last


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the main thread is."""

    waits_in: str  # the collective or the backward pass that it is in, or ""
    called_from: str  # the innermost line outside torch

    def __str__(self) -> str:
        if self.waits_in:
            return f"waits in {self.waits_in}, called from {self.called_from}"
        return f"is in {self.called_from}"


def main_place() -> Place:
    """Where the main thread is at this moment."""
    waits_in, frame = "", _main_frame()
    while frame is not None and _TORCH in frame.f_code.co_filename:
        name = frame.f_code.co_qualname
        if name == _BACKWARD:
            waits_in = waits_in or "the backward pass"
        elif _COLLECTIVES in frame.f_code.co_filename and "<locals>" not in name:  # no decorator
            waits_in = name  # the outermost of them: what was asked for
        frame = frame.f_back
    if frame is None:
        return Place(waits_in=waits_in, called_from="torch")
    code = frame.f_code
    file = "/".join(Path(code.co_filename).parts[-2:])
    return Place(waits_in=waits_in, called_from=f"{file}:{frame.f_lineno} {code.co_name}")


def main_stack() -> str:
    """The Python stack of the main thread, outermost call first, without how training began."""
    stack = traceback.extract_stack(_main_frame())
    begin = next((at for at, call in enumerate(stack) if _TRAINER in call.filename), 0)
    return "".join(traceback.format_list(stack[begin:]))


def _main_frame() -> FrameType | None:
    ident = threading.main_thread().ident
    return None if ident is None else sys._current_frames().get(ident)
