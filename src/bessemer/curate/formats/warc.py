"""Web archives: every response (WARC) and every conversion to text (WET) is a row.

Responses are decoded from their HTTP codings. Format: ISO 28500, WARC/1.0 and 1.1.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from bessemer.config.sources import SourceConfig
from bessemer.curate.rows import RawRow, too_long
from bessemer.curate.streams import OpenFile

_CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_PIECE_BYTES = 1 << 20


def read_warc(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:  # noqa: ARG001
    """The documents of one archive, in order; a break in the file raises."""
    row = None
    # Without a buffer between: one would drop what it holds when the stream breaks off.
    stream = opened.stream()
    kinds = WarcRecordType.response | WarcRecordType.conversion
    for record in ArchiveIterator(stream, record_types=kinds):
        row = _parse_record(record, opened.max_bytes)
        yield row
    # A record that breaks off in its header is passed over without a word.
    if not (row and row.error) and not stream.tail.endswith((b"\r\n\r\n", b"\n\n")):
        yield RawRow(raw_bytes=0, error="the file ends inside a record")


def _parse_record(record: WarcRecord, max_bytes: int) -> RawRow:
    url = record.headers.get("WARC-Target-URI") or ""
    body, declared = record.reader.read(max_bytes + 1), record.content_length
    num_bytes, error = len(body), None
    if num_bytes > max_bytes:  # what is there is counted, whatever the header says
        while piece := record.reader.read(_PIECE_BYTES):
            num_bytes += len(piece)
    if num_bytes < declared:
        error = f"the record ends after {num_bytes} of {declared} bytes"
    elif num_bytes > max_bytes:
        error = too_long(num_bytes, max_bytes)
    elif not body:
        error = "the record is empty"
    elif record.record_type == WarcRecordType.response:
        try:
            body = _decode_codings(record, body, max_bytes)
        except (ValueError, zlib.error) as problem:
            error = f"HTTP coding: {problem}"
    if error is not None:
        return RawRow(raw_bytes=num_bytes, url=url, error=error)
    is_response = record.record_type == WarcRecordType.response
    language = record.headers.get("WARC-Identified-Content-Language")
    crawled = record.headers.get("WARC-Date")
    return RawRow(
        content=body,
        raw_bytes=num_bytes,
        is_html=is_response,
        charset=(record.http_charset or "") if is_response else "",
        url=url,
        metadata={
            **({"language": language} if language else {}),
            **({"crawled": crawled} if crawled else {}),
        },
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
