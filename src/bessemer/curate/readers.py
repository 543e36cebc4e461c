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
from typing import Any, BinaryIO

import fsspec
import pyarrow.parquet as pq

from bessemer.config.data import SourceConfig
from bessemer.curate.inventory import SourceFile
from bessemer.curate.rows import READ_ERRORS, RawRow, say, too_long
from bessemer.curate.streams import BUFFER_BYTES, COMPRESSION, open_stream
from bessemer.curate.warc import read_warc

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst")


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
    for suffix in COMPRESSION:
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
        yield RawRow(raw_bytes=file.size_bytes, error=too_long(file.size_bytes, max_bytes))
        return
    try:
        with fsspec.open(file.location, "rb") as raw:
            stream = io.BufferedReader(open_stream(raw, file.path), BUFFER_BYTES)
            content = stream.read(max_bytes + 1)
    except READ_ERRORS as error:
        yield RawRow(raw_bytes=file.size_bytes, error=say(error))
        return
    if len(content) > max_bytes:
        yield RawRow(raw_bytes=file.size_bytes, error=too_long(len(content), max_bytes))
        return
    yield RawRow(content=content, raw_bytes=len(content), is_html=is_html)


def _read_jsonl(file: SourceFile, source: SourceConfig, max_bytes: int) -> Iterator[RawRow]:
    pending = 0  # bytes of a line that was begun when reading broke off
    try:
        with fsspec.open(file.location, "rb") as raw:
            stream = io.BufferedReader(open_stream(raw, file.path), BUFFER_BYTES)
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
        line = stream.readline(1 << 20)
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
                        yield RawRow(raw_bytes=size, error=too_long(size, max_bytes))
                    else:
                        yield _text_row(text, source.text_field, row, raw_bytes=size)
    except READ_ERRORS as error:
        yield RawRow(raw_bytes=0, error=f"{say(error)}; the rest of the file is lost")


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
    if "\0" in text:
        return RawRow(
            raw_bytes=raw_bytes,
            error=f"field {text_field!r}: NUL at {text.index(chr(0))}: this is not text",
        )
    url = row.pop("url", "")
    return RawRow(
        content=text,
        raw_bytes=raw_bytes,
        url=_mended(url) if isinstance(url, str) else "",
        metadata={_mended(key): _mended(value) for key, value in row.items() if _is_plain(value)},
    )


READERS: dict[str, Callable[[SourceFile, SourceConfig, int], Iterator[RawRow]]] = {
    "text": _read_whole,
    "html": _read_whole,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "warc": read_warc,
}


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def _is_plain(value: Any) -> bool:
    """Whether `value` has a place in the metadata: text, and numbers that JSON can write."""
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _mended(value: Any) -> Any:
    """`value`, with "?" for each lone surrogate of a text: no file can hold one."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
