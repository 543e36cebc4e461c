"""JSONL: a line, a document. A file can be read from any byte on.

A line is of the range in which it begins, wherever that range was cut: between two lines, within
one, or within a character.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from bessemer.config.sources import SourceConfig
from bessemer.curate.formats.fields import kind, text_row
from bessemer.curate.parts import Range
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.rows import RawRow, say, too_long
from bessemer.curate.streams import OpenFile

_PIECE_BYTES = 1 << 20
_MOST_RANGES = 10_000  # of a file: each is a task or two, and a file of records


def read_jsonl(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:
    """The lines of a file, or of its range, blank ones aside."""
    lines = _Lines(opened)
    try:
        for line in lines:
            if lines.num_bytes > opened.max_bytes:
                error = too_long(lines.num_bytes, opened.max_bytes)
                yield RawRow(raw_bytes=lines.num_bytes, error=error)
            else:
                yield _parse_line(line, source.text_field)
    except READ_ERRORS as error:
        lost = f"{say(error)}; the rest of the file is lost"
        yield RawRow(raw_bytes=lines.num_bytes, error=lost)


def cut_jsonl(
    opened: OpenFile,
    source: SourceConfig,  # noqa: ARG001
    range_bytes: int,
) -> list[Range]:
    """Equal ranges of `range_bytes` at most (more in a file of which they would be too many),
    uncounted."""
    size = opened.file.size_bytes
    num_ranges = min(-(-size // range_bytes), _MOST_RANGES)
    cuts = [size * number // num_ranges for number in range(num_ranges + 1)]
    return [
        Range(format="jsonl", begin=begin, end=end, size_bytes=end - begin)
        for begin, end in pairwise(cuts)
    ]


def count_jsonl(opened: OpenFile) -> int:
    """How many rows `read_jsonl` finds; raises what it would tell of."""
    return sum(1 for _ in _Lines(opened))


class _Lines:
    """The lines that are rows; of one that is too long, the beginning."""

    def __init__(self, opened: OpenFile) -> None:
        self._opened = opened
        self.num_bytes = 0
        """Length of the last line, line end included; of one that was begun, what was read."""

    def __iter__(self) -> Iterator[bytes]:
        max_bytes, range_ = self._opened.max_bytes, self._opened.range
        begin, end = (0, None) if range_ is None else (range_.begin, range_.end)
        position = begin
        if begin:
            position -= 1  # that byte tells whether a line begins at `begin`
        stream = self._opened.buffered(position)
        if begin:
            assert end is not None, range_
            position += _skip_line(stream, end - begin)
        while end is None or position < end:
            line = stream.readline(max_bytes + 1)
            if not line:
                return
            self.num_bytes = len(line)
            if len(line) > max_bytes and not line.endswith(b"\n"):
                self.num_bytes += _skip_line(stream)
            if self.num_bytes > max_bytes or not line.isspace():
                yield line
            position += self.num_bytes
            self.num_bytes = 0


def _skip_line(stream: BinaryIO, limit: int | None = None) -> int:
    """Read on to the end of a line, or a little over `limit` bytes; how many there were."""
    length = 0
    while limit is None or length <= limit:
        piece = stream.readline(_PIECE_BYTES)
        length += len(piece)
        if not piece or piece.endswith(b"\n"):
            break
    return length


def _parse_line(line: bytes, text_field: str) -> RawRow:
    try:
        # The first line may begin with a BOM.
        row = json.loads(line.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        return RawRow(raw_bytes=len(line), error=f"invalid UTF-8 at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return RawRow(raw_bytes=len(line), error=f"not JSON: {error}")
    if not isinstance(row, dict):
        return RawRow(raw_bytes=len(line), error=f"a JSON object was expected, not {kind(row)}")
    text = row.pop(text_field, None)
    return text_row(text, text_field, row, raw_bytes=len(line))
