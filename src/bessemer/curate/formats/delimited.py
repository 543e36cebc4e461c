"""CSV and TSV (RFC 4180): the first record names the columns, every other one is a document.

A quoted field may hold line ends and doubled quotation marks. A quotation mark within a field that
does not begin with one is a character like any other, as in Python's `csv`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from enum import Enum, auto

from bessemer.config.sources import SourceConfig
from bessemer.curate.formats.fields import no_column, text_row
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.rows import RawRow, say, too_long
from bessemer.curate.streams import OpenFile

_PIECE_BYTES = 1 << 16
_QUOTE = ord('"')


def read_csv(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:
    """The records of a file with fields that commas part."""
    return _read(opened, source, ",")


def read_tsv(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:
    """The records of a file with fields that tabs part."""
    return _read(opened, source, "\t")


def _read(opened: OpenFile, source: SourceConfig, delimiter: str) -> Iterator[RawRow]:
    max_bytes = opened.max_bytes
    # For the whole process, and only upwards: records are bounded before they are parsed.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    records = _Records(opened.buffered(), delimiter, max_bytes)
    header: list[str] | None = None
    try:
        while record := records.next():
            try:
                fields = _parse(record, records, delimiter)
            except (ValueError, csv.Error) as error:
                yield RawRow(raw_bytes=records.num_bytes, error=str(error))
                if header is None:
                    return
                continue
            if not fields:  # a blank line
                continue
            if header is not None:
                yield _row(fields, header, source.text_field, records.num_bytes)
            elif source.text_field in fields:
                header = fields
            else:
                size = opened.file.size_bytes
                yield RawRow(raw_bytes=size, error=no_column(source.text_field, fields))
                return
    except READ_ERRORS as error:
        yield RawRow(
            raw_bytes=records.num_bytes, error=f"{say(error)}; the rest of the file is lost"
        )


def _parse(record: bytes, records: _Records, delimiter: str) -> list[str]:
    """The fields; ValueError or csv.Error if they are none."""
    if records.num_bytes > records.max_bytes:
        raise ValueError(too_long(records.num_bytes, records.max_bytes))
    if records.is_quoted:
        raise ValueError("a quoted field is not closed")
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"invalid UTF-8 at byte {error.start}") from None
    if not text.strip("\r\n"):
        return []
    [fields] = csv.reader([text], delimiter=delimiter)
    return fields


def _row(fields: list[str], header: list[str], text_field: str, raw_bytes: int) -> RawRow:
    if len(fields) != len(header):
        return RawRow(
            raw_bytes=raw_bytes, error=f"{len(fields)} fields; the header has {len(header)}"
        )
    row = dict(zip(header, fields, strict=True))
    text = row.pop(text_field)
    return text_row(text, text_field, row, raw_bytes=raw_bytes)


class _State(Enum):
    """Where a scan of a record stands."""

    FIELD_BEGINS = auto()
    PLAIN = auto()
    QUOTED = auto()
    QUOTE_IN_QUOTED = auto()  # the field ends here, or another quotation mark follows


class _Records:
    """The records of a stream; of one that is too long, the beginning."""

    def __init__(self, stream: io.BufferedReader, delimiter: str, max_bytes: int) -> None:
        self._stream, self.max_bytes = stream, max_bytes
        # What may end a plain field otherwise than into another plain one.
        self._stop = re.compile(rb'\n|%c(?="|\Z)' % ord(delimiter))
        self._piece, self._at = b"", 0
        self._is_begun = False
        self.num_bytes = 0
        """Length of the last record in the file, line end included."""
        self.is_quoted = False
        """Whether the last record ends within quotation marks, for the file does."""

    def next(self) -> bytes:
        """The next record, nothing at the end."""
        record = bytearray()
        self.num_bytes = 0
        state: _State | None = _State.FIELD_BEGINS
        while state is not None and (self._at < len(self._piece) or self._refill()):
            begin = self._at
            state = self._scan(state)
            if self.num_bytes <= self.max_bytes:
                record += self._piece[begin : self._at]
            self.num_bytes += self._at - begin
        self.is_quoted = state is _State.QUOTED
        return bytes(record)

    def _refill(self) -> bool:
        # At most one read of the stream below: what comes before a break is not lost with it.
        self._piece, self._at = self._stream.read1(_PIECE_BYTES), 0
        if not self._is_begun:
            self._is_begun = True
            self._piece = self._piece.removeprefix(codecs.BOM_UTF8)
        return bool(self._piece)

    def _scan(self, state: _State) -> _State | None:
        """Go to the end of the record or of the piece; the state there, None if the record ends."""
        piece, at, end = self._piece, self._at, len(self._piece)
        while at < end:
            if state is _State.QUOTED:
                at = piece.find(_QUOTE, at) + 1 or end + 1
                if at <= end:
                    state = _State.QUOTE_IN_QUOTED
            elif state is _State.PLAIN:
                found = self._stop.search(piece, at)
                at = end if found is None else found.end()
                if found is not None and found[0] == b"\n":
                    self._at = at
                    return None
                if found is not None:
                    state = _State.FIELD_BEGINS
            elif piece[at] == _QUOTE:
                state = _State.QUOTED
                at += 1
            else:
                state = _State.PLAIN
        self._at = end
        return state
