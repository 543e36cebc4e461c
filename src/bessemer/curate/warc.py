"""Web archives: every response of a WARC file is a row, decoded from its HTTP codings."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

import fsspec
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from bessemer.config.data import SourceConfig
from bessemer.curate.inventory import SourceFile
from bessemer.curate.rows import READ_ERRORS, RawRow, say, too_long
from bessemer.curate.streams import open_stream

_CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


def read_warc(file: SourceFile, source: SourceConfig, max_bytes: int) -> Iterator[RawRow]:  # noqa: ARG001
    """The responses of one archive, in order; a break in the file is the last row's error."""
    row = None
    try:
        with fsspec.open(file.location, "rb") as raw:
            # Without a buffer between: one would drop what it holds when the stream breaks off.
            stream = open_stream(raw, file.path)
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                row = _parse_record(record, max_bytes)
                yield row
            # A record that breaks off in its header is passed over without a word.
            if not (row and row.error) and not stream.tail.endswith((b"\r\n\r\n", b"\n\n")):
                yield RawRow(raw_bytes=0, error="the file ends inside a record")
    except READ_ERRORS as error:
        yield RawRow(raw_bytes=0, error=f"{say(error)}; the rest of the file is lost")


def _parse_record(record: WarcRecord, max_bytes: int) -> RawRow:
    url = record.headers.get("WARC-Target-URI") or ""
    body, size = record.reader.read(max_bytes + 1), record.content_length
    error = None
    if len(body) > max_bytes:
        return RawRow(raw_bytes=size, url=url, error=too_long(size, max_bytes))
    if len(body) < size:
        error = f"the record ends after {len(body)} of {size} bytes"
    elif not body:
        error = "the record is empty"
    else:
        try:
            content = _decode_codings(record, body, max_bytes)
        except (ValueError, zlib.error) as problem:
            error = f"HTTP coding: {problem}"
    if error is not None:
        return RawRow(raw_bytes=len(body), url=url, error=error)
    return RawRow(
        content=content,
        raw_bytes=len(body),
        is_html=True,
        charset=record.http_charset or "",
        url=url,
    )


def _decode_codings(record: WarcRecord, body: bytes, max_bytes: int) -> bytes:
    """The body without chunking and compression; ValueError or zlib.error if it is damaged.

    Some crawlers store bodies decoded and leave the headers as they were, so a body that does not
    look coded is taken as it is.
    """
    headers: Any = record.http_headers or {}
    if "chunked" in (headers.get("Transfer-Encoding") or "").lower() and _CHUNK_HEAD.match(body):
        body = _join_chunks(body)
    coding = (headers.get("Content-Encoding") or "").strip().lower()
    if coding == "br" and not body.lstrip().startswith(b"<"):
        raise ValueError("brotli is not read; store bodies decoded")
    if coding in ("gzip", "x-gzip", "deflate") and body[:1] in (b"\x1f", b"\x78"):
        decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
        body = decoder.decompress(body, max_bytes + 1)
        if len(body) > max_bytes:
            raise ValueError(too_long(len(body), max_bytes))
        if not decoder.eof:
            raise ValueError("the compressed body is cut short")
    return body


def _join_chunks(body: bytes) -> bytes:
    """The body of a chunked response (RFC 9112, section 7.1)."""
    parts: list[bytes] = []
    position = 0
    while head := _CHUNK_HEAD.match(body, position):
        size = int(head[1], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[head.end() : head.end() + size])
        position = head.end() + size + len(b"\r\n")
    raise ValueError(f"no chunk begins at byte {position}")
