"""Files of rows within an archive: read by the readers of such files, a document per row.

What is read from its beginning to its end is taken from the stream as it comes. Parquet, whose
footer comes last, and compressed members go through a temporary file on disk.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, BinaryIO, cast

from bessemer.config.sources import SourceConfig
from bessemer.core.errors import MachineError
from bessemer.curate.formats.delimited import read_csv, read_tsv
from bessemer.curate.formats.jsonl import read_jsonl
from bessemer.curate.formats.parquet import read_parquet
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.rows import RawRow, say
from bessemer.curate.stored import Stored
from bessemer.curate.streams import HEAD_BYTES, Growth, OpenFile, codec_of, open_file

MEMBER_READERS: dict[str, Callable[[OpenFile, SourceConfig], Iterator[RawRow]]] = {
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "parquet": read_parquet,
}
_PIECE_BYTES = 1 << 20


class Window(io.RawIOBase):
    """The next `size` bytes of a stream. It can be set back while no more than its head is read."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self.head = stream.read(min(size, HEAD_BYTES))
        self.left = size - len(self.head)
        """Bytes that were not yet taken from the stream, or are not there."""
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset != 0 or whence != io.SEEK_SET or self._place > len(self.head):
            raise io.UnsupportedOperation("a member of an archive is read once, in order")
        self._place = 0
        return 0

    def readinto(self, buffer: Any) -> int:
        if self._place < len(self.head):
            data = self.head[self._place : self._place + len(buffer)]
        else:
            data = self._stream.read(min(len(buffer), self.left))
            self.left -= len(data)
        self._place += len(data)
        buffer[: len(data)] = data
        return len(data)


def read_rows_within(
    window: Window,
    path: str,
    format_: str,
    opened: OpenFile,
    growth: Growth,
    source: SourceConfig,
) -> Iterator[RawRow]:
    """The rows of a member `path` of the archive `opened`; where it breaks, or the members expand
    further than `growth` allows, an error says so.

    What the reader leaves of `window` is not read. MachineError if there is no room for a temporary
    file.
    """
    size = len(window.head) + window.left
    # It is at hand wherever the archive is: nothing of it is to be fetched as from a store.
    file = replace(opened.file, path=path, location="", size_bytes=size)
    with ExitStack() as stack:
        raw = cast(BinaryIO, window)
        try:
            if format_ == "parquet" or codec_of(path, window.head) is not None:
                with _room_for(path):
                    kept = stack.enter_context(tempfile.TemporaryFile(prefix="bessemer-"))
                _copy(window, kept, path)
                raw = cast(BinaryIO, Stored(kept, f"the temporary file of {path}"))
            member = replace(open_file(raw, file, opened.curate), growth=growth)
            for row in MEMBER_READERS[format_](member, source):
                yield row if row.url else replace(row, url=path)
        except READ_ERRORS as error:
            yield RawRow(raw_bytes=0, url=path, error=f"{say(error)}; the rest of it is lost")


def _copy(window: Window, kept: BinaryIO, path: str) -> None:
    while piece := window.read(_PIECE_BYTES):
        with _room_for(path):
            kept.write(piece)
            kept.flush()
    kept.seek(0)


@contextmanager
def _room_for(path: str) -> Iterator[None]:
    """Say what to do if there is no room; it is no fault of the member's."""
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"no room in {tempfile.tempdir or 'any folder'} for {path} while it is read "
            f"({error.strerror or error}); free some, or set TMPDIR to a larger disk, "
            "then run again"
        ) from error
