"""JSONL: a line, a document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

from bessemer.config.data import SourceConfig
from bessemer.curate.formats.fields import kind, text_row
from bessemer.curate.rows import READ_ERRORS, RawRow, say, too_long
from bessemer.curate.streams import OpenFile

_PIECE_BYTES = 1 << 20


def read_jsonl(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:
    """The lines of a file, blank ones aside."""
    max_bytes = opened.max_bytes
    pending = 0  # bytes of a line that was begun when reading broke off
    try:
        stream = opened.buffered()
        while line := stream.readline(max_bytes + 1):
            pending = len(line)
            if len(line) > max_bytes:
                pending = _skip_line(stream, line)
                yield RawRow(raw_bytes=pending, error=too_long(pending, max_bytes))
            elif not line.isspace():
                yield _parse_line(line, source.text_field)
            pending = 0
    except READ_ERRORS as error:
        yield RawRow(raw_bytes=pending, error=f"{say(error)}; the rest of the file is lost")


def _skip_line(stream: BinaryIO, line: bytes) -> int:
    """Read on to the end of an overlong line; its length in all."""
    length = len(line)
    while line and not line.endswith(b"\n"):
        line = stream.readline(_PIECE_BYTES)
        length += len(line)
    return length


def _parse_line(line: bytes, text_field: str) -> RawRow:
    try:
        row = json.loads(line.decode("utf-8-sig"))  # the first line may begin with a BOM
    except UnicodeDecodeError as error:
        return RawRow(raw_bytes=len(line), error=f"invalid UTF-8 at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return RawRow(raw_bytes=len(line), error=f"not JSON: {error}")
    if not isinstance(row, dict):
        return RawRow(raw_bytes=len(line), error=f"a JSON object was expected, not {kind(row)}")
    text = row.pop(text_field, None)
    return text_row(text, text_field, row, raw_bytes=len(line))
