"""Web archives: every response is a document or a told loss, wherever the file breaks off."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

Ingest = Callable[..., Any]


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body


def record(number: int, block: bytes, kind: str = "response", length: object = None) -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://e.org/{number}\r\n"
        f"WARC-Date: 2025-01-01T00:00:00Z\r\nWARC-Record-ID: <urn:uuid:{number:032x}>\r\n"
        f"Content-Type: application/http; msgtype={kind}\r\n"
        f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def page(number: int) -> bytes:
    words = " ".join(f"word{number * 7919 * place % 1009}" for place in range(1, 60))
    return f"<html><body><main><p>Page {number} says {words}.</p></main></body></html>".encode()


PAGES = [page(number) for number in range(8)]
RECORDS = [record(number, http(body)) for number, body in enumerate(PAGES)]
REQUEST = record(9, b"GET / HTTP/1.1\r\n\r\n", "request")
COMPRESS = {"": lambda data: data, ".gz": gzip.compress, ".zst": zstandard.compress}


def numbers(found: Any) -> list[int]:
    """The pages that became documents, each checked to be whole."""
    shown = []
    for document in found.documents:
        number = int(document["url"].removeprefix("http://e.org/"))
        assert document["text"].startswith(f"Page {number} says ")
        assert document["raw_bytes"] == len(PAGES[number])
        shown.append(number)
    return shown


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("by_record", [True, False])
def test_every_response_is_a_document(ingest_files: Ingest, suffix: str, by_record: bool) -> None:
    records = [REQUEST, *RECORDS, REQUEST]
    compress = COMPRESS[suffix]
    data = b"".join(map(compress, records)) if by_record else compress(b"".join(records))
    found = ingest_files({f"a.warc{suffix}": data})
    assert numbers(found) == list(range(8))
    assert found.decisions == []
    assert [row["doc_id"] for row in found.documents] == list(range(8))


def test_an_archive_cut_anywhere_loses_the_cut_record_and_tells_it(ingest_files: Ingest) -> None:
    whole = b"".join(RECORDS[:3])
    start = len(RECORDS[0]) + len(RECORDS[1])
    body_end = len(whole) - 4
    for cut in range(start, len(whole) + 1, 17):
        found = ingest_files({"a.warc": whole[:cut]})
        assert numbers(found) == ([0, 1, 2] if cut >= body_end else [0, 1])
        is_whole = cut in (start, len(whole))
        assert len(found.quarantine) == (0 if is_whole else 1), (cut, found.quarantine)


@pytest.mark.parametrize("part", [0.1, 0.4, 0.7, 0.9, 0.99])
def test_records_before_a_truncation_of_gzip_are_kept(ingest_files: Ingest, part: float) -> None:
    whole = gzip.compress(b"".join(RECORDS))
    cut = whole[: int(len(whole) * part)]
    readable = len(zlib.decompressobj(wbits=31).decompress(cut))
    ends = [sum(map(len, RECORDS[: number + 1])) - 4 for number in range(8)]
    found = ingest_files({"a.warc.gz": cut})
    assert numbers(found) == [number for number, end in enumerate(ends) if end <= readable]
    assert found.quarantine == [
        (0, "OSError: Truncated compressed stream; the rest of the file is lost")
    ]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_in_the_last_of_many_members_costs_that_record(
    ingest_files: Ingest, suffix: str
) -> None:
    data = b"".join(map(COMPRESS[suffix], RECORDS))
    found = ingest_files({f"a.warc{suffix}": data[:-30]})
    assert numbers(found) == list(range(7))
    assert len(found.quarantine) == 1


@pytest.mark.parametrize("lie", [10**3, 10**6, 10**12])
def test_a_length_beyond_the_end_costs_what_it_covers(ingest_files: Ingest, lie: int) -> None:
    liar = record(1, http(PAGES[1]), length=len(http(PAGES[1])) + lie)
    data = RECORDS[0] + liar + RECORDS[2]
    found = ingest_files({"a.warc": data})
    assert numbers(found) == [0]
    rest = len(data) - len(RECORDS[0]) - liar.index(PAGES[1])
    declared = len(PAGES[1]) + lie
    assert found.quarantine == [(rest, f"the record ends after {rest} of {declared} bytes")]


@pytest.mark.parametrize("lie", [-200, -3, 5, 200])
def test_a_length_that_hits_the_middle_of_something_is_told(ingest_files: Ingest, lie: int) -> None:
    liar = record(1, http(PAGES[1]), length=len(http(PAGES[1])) + lie)
    found = ingest_files({"a.warc": RECORDS[0] + liar + RECORDS[2]})
    assert [row["url"] for row in found.documents] == ["http://e.org/0", "http://e.org/1"]
    assert found.documents[1]["raw_bytes"] == len(PAGES[1]) + lie
    assert found.quarantine == [(0, "OSError: Invalid WARC header; the rest of the file is lost")]


@pytest.mark.parametrize("length", ["-5", "many", ""])
def test_a_length_that_is_none_is_told(ingest_files: Ingest, length: str) -> None:
    liar = record(1, http(PAGES[1]), length=length)
    found = ingest_files({"a.warc": RECORDS[0] + liar + RECORDS[2]})
    assert numbers(found) == [0]
    assert found.quarantine[0] == (0, "the record is empty")


@pytest.mark.parametrize("data", [b"hello\n" * 99, b"<html>hi</html>", b"\x1f\x8b", bytes(5000)])
def test_what_is_no_archive_is_told(ingest_files: Ingest, data: bytes) -> None:
    found = ingest_files({"a.warc": data, "b.warc.gz": gzip.compress(data)})
    assert found.texts == []
    assert len(found.quarantine) == 2


def test_rubbish_between_records_is_told(ingest_files: Ingest) -> None:
    found = ingest_files({"a.warc": RECORDS[0] + b"rubbish\r\n" * 9 + RECORDS[1]})
    assert numbers(found) == [0]
    assert len(found.quarantine) == 1


def test_a_response_that_is_too_long_or_no_text_costs_itself(ingest_files: Ingest) -> None:
    long, image = b"<p>" + b"long " * 1000, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    data = RECORDS[0] + record(1, http(long)) + record(2, http(image)) + RECORDS[3]
    found = ingest_files({"a.warc": data}, max_document_bytes=2000)
    assert numbers(found) == [0, 3]
    assert found.quarantine == [
        (5003, "5003 bytes, more than curate.max_document_bytes (2000)"),
        (16, "NUL at byte 8: this is not text"),
    ]


def test_an_address_in_no_encoding_costs_no_document(ingest_files: Ingest) -> None:
    found = ingest_files({"a.warc": RECORDS[0].replace(b"e.org/0", b"e.org/\xff\xe9")})
    assert found.documents[0]["url"] == "http://e.org/\ufffd\ufffd"


def chunked(body: bytes, size: int = 100) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def coded(number: int, body: bytes, *headers: str) -> bytes:
    head = "".join(f"{header}\r\n" for header in ("Content-Type: text/html", *headers))
    return record(number, b"HTTP/1.1 200 OK\r\n" + head.encode() + b"\r\n" + body)


def test_bodies_in_http_codings_are_decoded(ingest_files: Ingest) -> None:
    records = [
        coded(0, chunked(PAGES[0]), "Transfer-Encoding: chunked"),
        coded(1, gzip.compress(PAGES[1]), "Content-Encoding: gzip"),
        coded(2, zlib.compress(PAGES[2]), "Content-Encoding: deflate"),
        coded(
            *(3, chunked(gzip.compress(PAGES[3]))),
            *("Transfer-Encoding: chunked", "Content-Encoding: gzip"),
        ),
        # Stored decoded, with the headers left as they were.
        coded(4, PAGES[4], "Transfer-Encoding: chunked"),
        coded(5, PAGES[5], "Content-Encoding: gzip"),
    ]
    found = ingest_files({"a.warc": b"".join(records)})
    assert [document["text"].split(" says ")[0] for document in found.documents] == [
        f"Page {number}" for number in range(6)
    ]


def test_bodies_in_damaged_codings_are_quarantined_alone(ingest_files: Ingest) -> None:
    records = [
        RECORDS[0],
        coded(1, chunked(PAGES[1])[:-9], "Transfer-Encoding: chunked"),
        coded(2, gzip.compress(PAGES[2])[:-20], "Content-Encoding: gzip"),
        coded(3, b"\x0b\x02\x80not brotli", "Content-Encoding: br"),
        coded(4, gzip.compress(b"<p>" + b"a" * 50_000_000), "Content-Encoding: gzip"),
        RECORDS[5],
    ]
    found = ingest_files({"a.warc": b"".join(records)})
    assert numbers(found) == [0, 5]
    errors = [error for _, error in found.quarantine]
    assert len(errors) == 4
    assert all(error.startswith("HTTP coding: ") for error in errors)
    assert "more than curate.max_document_bytes" in errors[3]


def test_the_charset_of_the_http_header_counts(ingest_files: Ingest) -> None:
    body = "<html><body><p>Привет, это русский текст в старой кодировке.</p></body></html>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=koi8-r\r\n\r\n"
    found = ingest_files({"a.warc": record(1, head + body.encode("koi8-r"))})
    assert found.texts == ["Привет, это русский текст в старой кодировке."]


def conversion(number: int, text: str, *headers: str) -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://e.org/{number}\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(text.encode())}\r\n"
    )
    return (head + "".join(f"{each}\r\n" for each in headers) + f"\r\n{text}\r\n\r\n").encode()


@pytest.mark.parametrize("name", ["a.warc.wet", "a.wet", "a.warc"])
@pytest.mark.parametrize("suffix", COMPRESS)
def test_conversions_to_text_are_documents(ingest_files: Ingest, name: str, suffix: str) -> None:
    records = [
        record(9, b"Software-Info: x\r\n", "warcinfo"),
        conversion(
            0, "The iron <b> was poured.\nGrün.", "WARC-Identified-Content-Language: eng,deu"
        ),
        conversion(1, "Two"),
        conversion(2, "a\0b"),
        conversion(3, ""),
    ]
    data = b"".join(map(COMPRESS[suffix], records))
    found = ingest_files({name + suffix: data})
    assert found.texts == ["The iron <b> was poured.\nGrün.", "Two"]
    assert [row["url"] for row in found.documents] == ["http://e.org/0", "http://e.org/1"]
    assert [row["metadata"] for row in found.documents] == ['{"language": "eng,deu"}', "{}"]
    assert found.quarantine == [(3, "NUL at byte 1: this is not text"), (0, "the record is empty")]


def test_a_length_that_lies_about_a_long_record_counts_what_is_there(ingest_files: Ingest) -> None:
    liar = record(1, http(b"<p>" + b"x" * 5000), length=10**13)
    found = ingest_files({"a.warc": RECORDS[0] + liar}, max_document_bytes=2000)
    assert numbers(found) == [0]
    [(size, error)] = found.quarantine
    assert size == 5007
    assert error.startswith("the record ends after 5007 of ")
