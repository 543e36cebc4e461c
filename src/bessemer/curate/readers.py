"""From a file to raw rows: one row per document, with the bytes it took, or the error it gave.

Every reader streams, holds at most one row, and never raises on bad content: what cannot be read
becomes a row with an `error`, and reading goes on where it can. Formats: whole files (text, HTML,
code), JSONL and WARC (plain, .gz, .zst), Parquet.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from bessemer.config.data import SourceConfig
from bessemer.curate.inventory import SourceFile

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst")
_COMPRESSION = {".gz": "gzip", ".zst": "zstd"}
_BUFFER_BYTES = 1 << 16
_READ_ERRORS = (OSError, EOFError, ValueError, pa.ArrowException)


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRow:
    """One document as stored: undecoded bytes, or text if the format is text already."""

    content: bytes | str = b""
    raw_bytes: int
    is_html: bool = False
    url: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


def read_rows(file: SourceFile, source: SourceConfig, max_bytes: int) -> Iterator[RawRow]:
    """All rows of `file`; a row longer than `max_bytes` gives an error, not its content."""
    read = READERS.get(_format_of(file, source))
    if read is None:
        yield RawRow(
            raw_bytes=file.size_bytes,
            error=f"unknown file type; set format in [[source]] {source.name!r}",
        )
        return
    if file.size_bytes == 0:
        yield RawRow(raw_bytes=0, error="the file is empty")
        return
    yield from read(file, source, max_bytes)


def _format_of(file: SourceFile, source: SourceConfig) -> str:
    if source.format != "auto":
        return source.format
    name = file.path.lower()
    for suffix in _COMPRESSION:
        name = name.removesuffix(suffix)
    if name.endswith(".jsonl"):
        return "jsonl"
    if name.endswith(".parquet"):
        return "parquet"
    if name.endswith(".warc"):
        return "warc"
    if source.kind == "code":
        return "text"
    if name.endswith(HTML_SUFFIXES):
        return "html"
    return "text" if name.endswith(TEXT_SUFFIXES) else "unknown"


def _read_whole(file: SourceFile, source: SourceConfig, max_bytes: int) -> Iterator[RawRow]:
    is_html = _format_of(file, source) == "html"
    if file.size_bytes > max_bytes:
        yield RawRow(raw_bytes=file.size_bytes, error=_too_long(file.size_bytes, max_bytes))
        return
    try:
        with fsspec.open(file.location, "rb") as raw:
            stream = io.BufferedReader(_decompressed(raw, file.path), _BUFFER_BYTES)
            content = stream.read(max_bytes + 1)
    except _READ_ERRORS as error:
        yield RawRow(raw_bytes=file.size_bytes, error=_say(error))
        return
    if len(content) > max_bytes:
        yield RawRow(raw_bytes=file.size_bytes, error=_too_long(len(content), max_bytes))
        return
    yield RawRow(content=content, raw_bytes=len(content), is_html=is_html)


def _read_jsonl(file: SourceFile, source: SourceConfig, max_bytes: int) -> Iterator[RawRow]:
    with fsspec.open(file.location, "rb") as raw:
        stream = io.BufferedReader(_decompressed(raw, file.path), _BUFFER_BYTES)
        pending = 0  # bytes of a line that was begun when reading broke off
        try:
            while line := stream.readline(max_bytes + 1):
                pending = len(line)
                if len(line) > max_bytes:
                    pending = _skip_line(stream, line)
                    yield RawRow(raw_bytes=pending, error=_too_long(pending, max_bytes))
                elif not line.isspace():
                    yield _parse_line(line, source.text_field)
                pending = 0
        except _READ_ERRORS as error:
            yield RawRow(raw_bytes=pending, error=f"{_say(error)}; the rest of the file is lost")


def _skip_line(stream: BinaryIO, line: bytes) -> int:
    """Read on to the end of an overlong line; its length in all."""
    length = len(line)
    while line and not line.endswith(b"\n"):
        line = stream.readline(1 << 20)
        length += len(line)
    return length


def _parse_line(line: bytes, text_field: str) -> RawRow:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return RawRow(raw_bytes=len(line), error=f"invalid UTF-8 at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return RawRow(raw_bytes=len(line), error=f"not JSON: {error}")
    if not isinstance(row, dict):
        return RawRow(raw_bytes=len(line), error=f"a JSON object was expected, not {_kind(row)}")
    text = row.pop(text_field, None)
    return _text_row(text, text_field, row, raw_bytes=len(line))


def _read_parquet(file: SourceFile, source: SourceConfig, max_bytes: int) -> Iterator[RawRow]:
    try:
        with fsspec.open(file.location, "rb") as stream:
            table = pq.ParquetFile(stream)
            if source.text_field not in table.schema_arrow.names:
                yield RawRow(
                    raw_bytes=file.size_bytes,
                    error=f"no column {source.text_field!r}; columns: "
                    f"{', '.join(table.schema_arrow.names)}; set text_field",
                )
                return
            for batch in table.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    text = row.pop(source.text_field)
                    size = len(text.encode("utf-8")) if isinstance(text, str) else 0
                    if size > max_bytes:
                        yield RawRow(raw_bytes=size, error=_too_long(size, max_bytes))
                    else:
                        yield _text_row(text, source.text_field, row, raw_bytes=size)
    except _READ_ERRORS as error:
        yield RawRow(raw_bytes=0, error=f"{_say(error)}; the rest of the file is lost")


def _text_row(text: Any, text_field: str, row: dict[str, Any], raw_bytes: int) -> RawRow:
    if not isinstance(text, str):
        return RawRow(
            raw_bytes=raw_bytes, error=f"field {text_field!r}: text was expected, not {_kind(text)}"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return RawRow(
            raw_bytes=raw_bytes, error=f"field {text_field!r}: lone surrogate at {error.start}"
        )
    url = row.pop("url", "")
    return RawRow(
        content=text,
        raw_bytes=raw_bytes,
        url=_mended(url) if isinstance(url, str) else "",
        metadata={_mended(key): _mended(value) for key, value in row.items() if _is_plain(value)},
    )


def _read_warc(file: SourceFile, source: SourceConfig, max_bytes: int) -> Iterator[RawRow]:  # noqa: ARG001
    with fsspec.open(file.location, "rb") as raw:
        try:
            # Without a buffer between: one would drop what it holds when the stream breaks off.
            stream = _decompressed(raw, file.path)
            row = None
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                row = _parse_record(record, max_bytes)
                yield row
            # A record that breaks off in its header is passed over without a word.
            if not (row and row.error) and not stream.tail.endswith((b"\r\n\r\n", b"\n\n")):
                yield RawRow(raw_bytes=0, error="the file ends inside a record")
        except _READ_ERRORS as error:
            yield RawRow(raw_bytes=0, error=f"{_say(error)}; the rest of the file is lost")


def _parse_record(record: WarcRecord, max_bytes: int) -> RawRow:
    url = record.headers.get("WARC-Target-URI") or ""
    body, size = record.reader.read(max_bytes + 1), record.content_length
    if len(body) > max_bytes:
        return RawRow(raw_bytes=size, url=url, error=_too_long(size, max_bytes))
    if len(body) < size:
        error = f"the record ends after {len(body)} of {size} bytes"
        return RawRow(raw_bytes=len(body), url=url, error=error)
    if not body:
        return RawRow(raw_bytes=0, url=url, error="the record is empty")
    return RawRow(content=body, raw_bytes=len(body), is_html=True, url=url)


READERS: dict[str, Callable[[SourceFile, SourceConfig, int], Iterator[RawRow]]] = {
    "text": _read_whole,
    "html": _read_whole,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "warc": _read_warc,
}


def _decompressed(raw: BinaryIO, name: str) -> _Decompressor:
    """A stream over `raw`, decompressed by suffix; truncation raises OSError."""
    for suffix, codec in _COMPRESSION.items():
        if name.lower().endswith(suffix):
            return _Decompressor(raw, codec)
    return _Decompressor(raw, None)


class _Decompressor(io.RawIOBase):
    """Arrow's decompression with the position that fastwarc asks for.

    Where a stream breaks off, Arrow loses what it decoded in the read that meets the break; so the
    stream is opened anew and the last part is read byte by byte, up to the break.
    """

    def __init__(self, raw: BinaryIO, codec: str | None) -> None:
        self._raw, self._codec = raw, codec
        self._stream = raw if codec is None else pa.CompressedInputStream(raw, codec)
        self._position = 0
        self._broken: Any = None  # the stream that met the break, kept: it closes `raw` as it goes
        self.tail = b""
        """The last bytes that were read."""

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer) if self._broken is None else 1)
        except OSError:
            if self._codec is None or self._broken is not None:
                raise
            self._start_over()
            return self.readinto(buffer)
        buffer[: len(data)] = data
        self._position += len(data)
        self.tail = (self.tail + data)[-4:]
        return len(data)

    def _start_over(self) -> None:
        """A new stream at the same position."""
        self._broken = self._stream
        self._raw.seek(0)
        self._stream = pa.CompressedInputStream(self._raw, self._codec)
        left = self._position
        while left:
            left -= len(self._stream.read(min(left, _BUFFER_BYTES)))


def _too_long(size: int, max_bytes: int) -> str:
    return f"{size} bytes, more than curate.max_document_bytes ({max_bytes})"


def _say(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def _is_plain(value: Any) -> bool:
    """Whether `value` has a place in the metadata: text, and numbers that JSON can write."""
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _mended(value: Any) -> Any:
    """`value`, with "?" for each lone surrogate of a text: no file can hold one."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
