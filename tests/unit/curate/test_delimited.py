"""CSV and TSV: every record a document, as RFC 4180 quotes them; damage costs the record."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.curate.formats.delimited import _Records

from .formats import COMPRESS, table

Ingest = Callable[..., Any]

ROWS = [
    ["id", "text", "url"],
    ["1", "plain", "http://e.org/1"],
    ["2", 'two\r\nlines, a comma and a "quote"', ""],
    ["3", "", "u"],
    ["4", "tab\tand é", "u"],
    ["5", '"', "u"],
]


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.TSV", "\t")])
def test_a_record_is_a_document(
    ingest_files: Ingest, name: str, delimiter: str, suffix: str
) -> None:
    data = table(ROWS, delimiter)
    found = ingest_files({name + suffix: COMPRESS[suffix](data)})
    texts = ["plain", 'two\nlines, a comma and a "quote"', "", "tab\tand é", '"']
    assert found.texts == texts
    assert [row["doc_id"] for row in found.documents] == list(range(5))
    assert [row["url"] for row in found.documents] == [
        "http://e.org/1", name + suffix, "u", "u", "u",
    ]  # fmt: skip
    assert [json.loads(row["metadata"]) for row in found.documents] == [
        {"id": str(number)} for number in range(1, 6)
    ]
    assert [(row["doc_id"], row["rule"]) for row in found.decisions] == [(1, "line_ends")]
    # Every byte behind the header belongs to a document.
    assert found.sums["s"].bytes_in - len(b"last") == len(data) - len(data.split(b"\r\n")[0]) - 2


def test_line_ends_marks_and_blank_lines_cost_nothing(ingest_files: Ingest) -> None:
    data = b'\xef\xbb\xbf"text",n\n\none,1\n\r\n"two",2'
    found = ingest_files({"a.csv": data})
    assert found.texts == ["one", "two"]
    assert [row["raw_bytes"] for row in found.documents] == [6, 7]


def test_a_quotation_mark_within_a_plain_field_is_a_character(ingest_files: Ingest) -> None:
    found = ingest_files({"a.csv": b'n,text\n1,5" pipe\n2,a "b" c\n3,"x"y"z\n'})
    assert found.texts == ['5" pipe', 'a "b" c', 'xy"z']


def test_a_table_without_the_column_names_those_it_has(ingest_files: Ingest) -> None:
    names = [f"c{number}" for number in range(25)]
    data = table([names, names])
    found = ingest_files({"a.csv": data, "b.csv": b"body\nx\n"})
    shown = ", ".join(names[:20])
    assert found.quarantine == [
        (len(data), f"no column 'text'; columns: {shown} and 5 more; set text_field"),
        (7, "no column 'text'; columns: body; set text_field"),
    ]
    assert ingest_files({"b.csv": b"body\nx\n"}, path="b.csv", text_field="body",
                        alone=True).texts == ["x"]  # fmt: skip


def test_a_bad_record_is_quarantined_and_reading_goes_on(ingest_files: Ingest) -> None:
    bad = [
        (b"1,2,3\n", "3 fields; the header has 2"),
        (b"1\n", "1 fields; the header has 2"),
        (b"1,caf\xe9\n", "invalid UTF-8 at byte 5"),
        (b"1,a\0b\n", "field 'text': NUL at 1: this is not text"),
        (b'1,"' + b"x\n" * 40 + b'"\n', "85 bytes, more than curate.max_document_bytes (60)"),
    ]
    data = b"n,text\n" + b"".join(record + b"1,good\n" for record, _ in bad)
    found = ingest_files({"a.csv": data}, max_document_bytes=60)
    assert found.texts == ["good"] * len(bad)
    assert found.quarantine == [(len(record), error) for record, error in bad]
    assert [row["doc_id"] for row in found.decisions] == [0, 2, 4, 6, 8]


def test_a_quoted_field_without_an_end_takes_the_rest(ingest_files: Ingest) -> None:
    found = ingest_files({"a.csv": b'text\ngood\n"open\nnext\nnext\n'})
    assert found.texts == ["good"]
    assert found.quarantine == [(16, "a quoted field is not closed")]


def test_line_ends_of_old_are_told(ingest_files: Ingest) -> None:
    found = ingest_files({"a.csv": b"text\rone\rtwo\r"})
    [(size, error)] = found.quarantine
    assert (size, found.texts) == (13, [])
    assert error.startswith("new-line character seen in unquoted field")


@given(
    st.lists(st.lists(st.text('ab,"\n\r é\t', max_size=6), min_size=2, max_size=2), max_size=8),
    st.sampled_from(",\t"),
)
def test_records_are_those_of_the_standard_library(rows: list[list[str]], delimiter: str) -> None:
    data = table([["n", "text"], *rows], delimiter)
    records = _Records(io.BufferedReader(io.BytesIO(data)), delimiter, 1000)
    found = []
    num_bytes = 0
    while record := records.next():
        num_bytes += records.num_bytes
        found += list(csv.reader(io.StringIO(record.decode(), newline=""), delimiter=delimiter))
    assert num_bytes == len(data)
    assert found == list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))
