"""Extraction that no page can hold up: pages are read in a child process, which can be killed.

The parsers are native code, which no signal handler and no thread interrupts, and some of which
takes time with the square of what a hostile page holds. So each task has one child, started at its
first page, that reads page after page; the kernel ends it when a page takes too long, and the next
page gets a new one. A book of pages counts as one. Whatever is neither is read right here,
where all texts are made uniform, in time that is linear in their length.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from multiprocessing.connection import Pipe
from types import TracebackType
from typing import IO, Any

from bessemer.config.curate import CurateConfig
from bessemer.config.kinds import Kind
from bessemer.core.errors import MachineError
from bessemer.curate.decode import UndecodableError
from bessemer.curate.extract import Extract, extract, options_for
from bessemer.curate.extractor_child import OVERTIME_SIGNAL, Bounds
from bessemer.curate.page import Page
from bessemer.curate.rows import RawRow

_CHILD = "bessemer.curate.extractor_child"
_GRACE_S = 0.2
# What native code dies of, among others, that is refused memory. SIGKILL comes from outside.
_FOR_WANT_OF_MEMORY = (signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV)


class Extractor:
    """`extract` for rows of a kind of source, pages within bounds; a context that ends the child.

    To be entered and left by one thread: the child dies with the thread that started it.
    """

    def __init__(self, kind: Kind, curate: CurateConfig) -> None:
        self._options = options_for(kind, curate)
        self._bounds = Bounds(curate.max_extract_cpu_s, curate.max_extract_memory_bytes)
        self._child: _Child | None = None

    def __enter__(self) -> Extractor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def extract(self, row: RawRow, path: str = "") -> Extract:
        """The text of `row`; raises UndecodableError, also if a page breaks a bound.

        `path` is that of its file, for a row without a URL.
        """
        return extract(row, self._options, path, self._read_in_child)

    def _read_in_child(self, *task: Any) -> Page:
        """As `read_pages`."""
        # A child can die of something else than its page: only a second death is the page's.
        for _ in range(2):
            child = self._child = self._child or _Child(self._options.extractor, self._bounds)
            try:
                child.pipe.send(task)
                answer: Page | Exception = child.pipe.recv()
            except (EOFError, OSError):
                self._child = None
                exit_code = child.end()
                if exit_code == -OVERTIME_SIGNAL:
                    raise UndecodableError(
                        "extraction took more processor time than curate.max_extract_cpu_s "
                        f"({self._bounds.cpu_s:g} s)"
                    ) from None
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer
        told = f"extraction crashed twice ({_describe(exit_code)})"
        if exit_code >= 0 or -exit_code in _FOR_WANT_OF_MEMORY:
            told += (
                "; its memory is bounded by curate.max_extract_memory_bytes "
                f"({self._bounds.memory_bytes})"
            )
        raise UndecodableError(told)


class _Child:
    """A process of `extractor_child`, and the pipe to it."""

    def __init__(self, extractor: str, bounds: Bounds) -> None:
        try:
            with ExitStack() as opened:  # end() closes them, if it comes to that
                self.pipe, theirs = Pipe()
                opened.enter_context(self.pipe)
                with theirs:
                    self._errors: IO[bytes] = opened.enter_context(tempfile.TemporaryFile())
                    self._process = subprocess.Popen(
                        # -P: modules of the standard library are not looked for in the current
                        # folder.
                        [sys.executable, "-P", "-m", _CHILD, str(theirs.fileno())],
                        pass_fds=[theirs.fileno()],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=self._errors,
                    )
                opened.pop_all()
        except OSError as error:
            raise MachineError(f"the process that reads pages did not start: {error}") from error
        try:
            self.pipe.send((extractor, bounds))
            self.pipe.recv()
        except (EOFError, OSError):
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace").strip()[-2000:]
            raise MachineError(
                f"the process that reads pages did not start ({_describe(self.end())}): {said}"
            ) from None
        except BaseException:
            self.end()
            raise

    def end(self) -> int:
        """End the process if it runs; what it ended with, negative for a signal."""
        # Without the pipe it ends by itself, and with what it died of if it has already.
        self.pipe.close()
        try:
            exit_code = self._process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            exit_code = self._process.wait()
        self._errors.close()
        return exit_code


def _describe(exit_code: int) -> str:
    return signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
