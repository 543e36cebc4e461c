"""Every format is read row by row; damage costs the damaged row, is told, and stops nothing."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from .formats import COMPRESS, jsonl, parquet

Ingest = Callable[..., Any]

ROWS = [
    {"text": "first é", "url": "http://e.org/1", "title": "T", "n": 1, "deep": {"a": [1]}},
    {"text": "second\r\nline", "score": 0.5, "is_good": True, "none": None, "url": 7},
    {"text": ""},
]


SUFFIXES = pytest.mark.parametrize("suffix", COMPRESS)


@SUFFIXES
def test_jsonl_gives_a_document_per_line(ingest_files: Ingest, suffix: str) -> None:
    data = jsonl(ROWS)
    found = ingest_files({f"a.jsonl{suffix}": COMPRESS[suffix](data)})
    assert [
        (row["doc_id"], row["text"], row["url"], row["metadata"], row["raw_bytes"])
        for row in found.documents
    ] == [
        (0, "first é", "http://e.org/1", '{"n": 1, "title": "T"}', len(data.split(b"\n")[0]) + 1),
        (1, "second\nline", f"a.jsonl{suffix}", '{"is_good": true, "score": 0.5}',
         len(data.split(b"\n")[1]) + 1),
        (2, "", f"a.jsonl{suffix}", "{}", len(data.split(b"\n")[2]) + 1),
    ]  # fmt: skip
    assert [(row["doc_id"], row["rule"]) for row in found.decisions] == [(1, "line_ends")]


def test_parquet_gives_a_document_per_row(ingest_files: Ingest) -> None:
    rows = [{"text": f"row {n} é", "url": f"u/{n}", "n": n, "list": [n]} for n in range(600)]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream, row_group_size=100)
    found = ingest_files({"a.parquet": stream.getvalue()})
    assert found.texts == [row["text"] for row in rows]
    assert [row["url"] for row in found.documents] == [row["url"] for row in rows]
    assert found.documents[599]["metadata"] == '{"n": 599}'
    assert found.documents[599]["raw_bytes"] == len("row 599 é".encode())
    assert found.documents[599]["doc_id"] == 599


def test_rows_of_a_source_need_not_be_alike(ingest_files: Ingest) -> None:
    """Daft takes the columns of the first file for those of all, so rows of other columns or other
    types fail (issue 5647)."""
    files = {
        "1.jsonl": jsonl([{"text": "a"}, {"n": 1, "text": "b"}, {"text": "c", "n": "one"}]),
        "2.jsonl": jsonl([{"late": True, "text": "d", "n": None}, {"n": [1], "text": "e"}]),
        "3.parquet": parquet({"n": ["words"], "text": ["f"]}),
        "4.parquet": parquet({"text": ["g"], "n": [2.5], "url": ["u/g"]}),
    }
    found = ingest_files(files)
    assert found.quarantine == []
    assert [(row["text"], row["metadata"]) for row in found.documents] == [
        ("a", "{}"),
        ("b", '{"n": 1}'),
        ("c", '{"n": "one"}'),
        ("d", '{"late": true}'),
        ("e", "{}"),
        ("f", '{"n": "words"}'),
        ("g", '{"n": 2.5}'),
    ]


def test_a_text_longer_than_any_page_of_a_file_is_read_whole(ingest_files: Ingest) -> None:
    """Daft: a page of more than 4 MB cannot be read (issues 1551 and 3007)."""
    text = "".join(f"{number:07x} is in line {number}\n" for number in range(250_000))
    assert len(text) > 5 * 2**20
    files = {
        "1.jsonl.gz": COMPRESS[".gz"](jsonl([{"text": text}, {"text": "next"}])),
        "2.parquet": parquet({"text": [text, "next"]}, compression="none", use_dictionary=False),
        "3.parquet": parquet({"text": [text, "next"]}, compression="snappy"),
    }
    found = ingest_files(files, max_document_bytes=2**24)
    assert found.texts == [text, "next"] * 3


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet_columns_of_any_string_type_are_text(
    ingest_files: Ingest, kind: pa.DataType
) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"body": pa.array(["a", "b", "a"]).cast(kind)}), stream)
    found = ingest_files({"a.parquet": stream.getvalue()}, text_field="body")
    assert found.texts == ["a", "b", "a"]


@SUFFIXES
@pytest.mark.parametrize("name", ["a.txt", "b.text", "c.md", "d.rst", "E.TXT"])
def test_a_text_file_is_a_document(ingest_files: Ingest, name: str, suffix: str) -> None:
    text = "Zeile eins\n\nZeile zwei: weiß\n"
    found = ingest_files({name + suffix: COMPRESS[suffix](text.encode())})
    [document] = found.documents
    assert (document["text"], document["url"]) == (text, name + suffix)
    assert document["raw_bytes"] == document["num_bytes"] == len(text.encode())


PAGE = (
    "<html><head><title>The  mill</title><style>p {}</style></head><body><main><h1>Iron</h1>"
    "<p>The iron was poured into the mould &amp; the men stood back.</p></main>"
    "<script>var x = 1;</script></body></html>"
)
XHTML = f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n{PAGE}'


@SUFFIXES
@pytest.mark.parametrize("name", ["a.html", "b.htm", "c.xhtml", "D.HTML"])
def test_a_page_gives_its_text_and_title(ingest_files: Ingest, name: str, suffix: str) -> None:
    page = XHTML if name == "c.xhtml" else PAGE
    found = ingest_files({name + suffix: COMPRESS[suffix](page.encode())})
    [document] = found.documents
    assert "The iron was poured into the mould & the men stood back." in document["text"]
    assert "var x" not in document["text"]
    assert "<" not in document["text"]
    assert document["metadata"] == '{"title": "The mill"}'
    assert found.sums["s"].bytes_markup == len(page) - len(document["text"].encode()) - (
        found.sums["s"].bytes_edited
    )


def test_code_of_any_suffix_is_text_and_pages_among_it_stay_code(ingest_files: Ingest) -> None:
    files = {
        "Makefile": b"all:\n\techo 1\n",
        "page.html": b"<p>not taken apart</p>\n",
        "src/main.rs": b"fn main() {}\n",
        "src/weird.blargh": b"x = 1\n",
        ".hidden/config": b"a=1\n",
        "zeros.bin": bytes(100),
    }
    found = ingest_files(files, kind="code")
    texts = {row["url"]: row["text"] for row in found.documents}
    assert texts == {name: data.decode() for name, data in files.items() if name != "zeros.bin"}
    assert found.quarantine == [(100, "NUL at byte 0: this is not text")]


def test_a_set_format_wins_over_the_name(ingest_files: Ingest) -> None:
    found = ingest_files({"a.data": jsonl(ROWS[:1])}, format="jsonl", path="*.data", alone=True)
    assert found.texts == ["first é"]
    found = ingest_files({"b.data": PAGE.encode()}, format="html", path="b.data", alone=True)
    assert found.documents[0]["metadata"] == '{"title": "The mill"}'


def test_an_unknown_suffix_is_told(ingest_files: Ingest) -> None:
    found = ingest_files({"a.pdf": b"%PDF-1.7", "b": b"text"})
    error = "unknown file type; set format in [[source]] 's'"
    assert found.quarantine == [(8, error), (4, error)]


def test_an_empty_file_is_told_whatever_its_format(ingest_files: Ingest) -> None:
    names = ["a.txt", "b.jsonl", "c.parquet", "d.html", "e.warc", "f.jsonl.gz"]
    found = ingest_files(dict.fromkeys(names, b""))
    assert found.quarantine == [(0, "the file is empty")] * len(names)


BAD_LINES: list[tuple[bytes, str]] = [
    (b"not json", "not JSON: Expecting value"),
    (b'{"text": "cut', "not JSON: Invalid control character at"),
    (b'{"text": "a"} {}', "not JSON: Extra data"),
    (b"[1]", "a JSON object was expected, not list"),
    (b'"text"', "a JSON object was expected, not str"),
    (b"null", "a JSON object was expected, not nothing"),
    (b"{}", "field 'text': text was expected, not nothing"),
    (b'{"text": null}', "field 'text': text was expected, not nothing"),
    (b'{"text": 3}', "field 'text': text was expected, not int"),
    (b'{"text": ["a"]}', "field 'text': text was expected, not list"),
    (b'{"Text": "a"}', "field 'text': text was expected, not nothing"),
    (b'{"text": "\xff"}', "invalid UTF-8 at byte 10"),
    (b'{"text": "\xc3"}', "invalid UTF-8 at byte 10"),
    (b'{"text": "a\\ud800b"}', "field 'text': lone surrogate at 1"),
    (bytes(1000), "not JSON: Expecting value"),
]  # of Python's own words only the beginning


def test_a_bad_line_is_quarantined_and_reading_goes_on(ingest_files: Ingest) -> None:
    good = b'{"text": "good"}'
    data = b"\n".join([good] + [each for line, _ in BAD_LINES for each in (line, good)])
    found = ingest_files({"a.jsonl": data})
    told = [(size, error.partition(": line 1 ")[0]) for size, error in found.quarantine]
    assert told == [(len(line) + 1, error) for line, error in BAD_LINES]
    assert found.texts == ["good"] * (len(BAD_LINES) + 1)
    ids = [row["doc_id"] for row in found.decisions]
    assert ids == list(range(1, 2 * len(BAD_LINES), 2))


@pytest.mark.parametrize("depth", [2000, 200_000])
def test_deep_nesting_is_quarantined_and_reading_goes_on(ingest_files: Ingest, depth: int) -> None:
    deep = b'{"text": "a", "m": ' + b"[" * depth + b"]" * depth + b"}\n"
    found = ingest_files({"a.jsonl": deep + b'{"text": "next"}\n'})
    [(size, error)] = found.quarantine
    assert size == len(deep)
    assert error.startswith("not JSON: maximum recursion depth exceeded")
    assert found.texts == ["next"]


def test_blank_lines_are_no_rows(ingest_files: Ingest) -> None:
    data = b'\n\r\n  \t\n{"text": "a"}\r\n\n\n{"text": "b"}'
    found = ingest_files({"a.jsonl": data, "b.jsonl": b"\n\n\n"})
    assert found.texts == ["a", "b"]
    assert [row["doc_id"] for row in found.documents] == [0, 1]
    assert [file["num_rows"] for file in found.files] == [2, 0, 1]


def test_metadata_that_no_file_can_hold_costs_no_document(ingest_files: Ingest) -> None:
    rows = [
        b'{"text": "a", "note": "x\\ud800y", "\\udfff": 1, "url": "http://\\ud800"}',
        b'{"text": "b", "n": Infinity, "m": NaN, "k": 1e999, "url": "u"}',
        b'{"text": "c", "n": 123456789012345678901234567890, "\xc3\xa9": "\xf0\x9f\x94\xa5"}',
    ]
    found = ingest_files({"a.jsonl": b"\n".join(rows)})
    assert [(row["text"], row["url"], json.loads(row["metadata"])) for row in found.documents] == [
        ("a", "http://?", {"note": "x?y", "?": 1}),
        ("b", "u", {}),
        ("c", "a.jsonl", {"n": 123456789012345678901234567890, "é": "🔥"}),
    ]
    assert "Infinity" not in "".join(row["metadata"] for row in found.documents)


MANY = [{"text": f"row {n} " + hex(n * 7919**5)[2:] * (n % 9)} for n in range(1500)]
STREAMS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


@pytest.mark.parametrize("suffix", STREAMS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.55, 0.8, 0.999])
@pytest.mark.parametrize("num_rows", [60, 1500])
def test_rows_before_a_truncation_are_kept_to_the_last_byte(
    ingest_files: Ingest, suffix: str, part: float, num_rows: int
) -> None:
    whole = COMPRESS[suffix](jsonl(MANY[:num_rows]))
    cut = whole[: int(len(whole) * part)]
    found = ingest_files({f"a.jsonl{suffix}": cut})
    num_whole = STREAMS[suffix]().decompress(cut).count(b"\n")  # what the codec's own library sees
    assert found.texts == [row["text"] for row in MANY[:num_whole]]
    assert found.quarantine == [
        (0, "OSError: Truncated compressed stream; the rest of the file is lost")
    ]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_row_per_compressed_frame_is_read_and_cut_by_the_frame(
    ingest_files: Ingest, suffix: str
) -> None:
    frames = [COMPRESS[suffix](jsonl([row])) for row in MANY[:300]]
    whole = ingest_files({f"a.jsonl{suffix}": b"".join(frames)})
    assert whole.texts == [row["text"] for row in MANY[:300]]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_in_the_last_of_many_frames_costs_that_frame(
    ingest_files: Ingest, suffix: str
) -> None:
    frames = [COMPRESS[suffix](jsonl([row])) for row in MANY[:300]]
    found = ingest_files({f"a.jsonl{suffix}": b"".join(frames)[:-20]})
    assert found.texts == [row["text"] for row in MANY[:299]]
    assert len(found.quarantine) == 1


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_what_is_not_compressed_at_all_is_told(ingest_files: Ingest, suffix: str) -> None:
    found = ingest_files({f"a.jsonl{suffix}": jsonl(ROWS), f"b.txt{suffix}": b"plain text"})
    assert found.texts == []
    error = f"named {suffix}, but its bytes are not compressed in any known way"
    assert found.quarantine == [(len(jsonl(ROWS)), error), (10, error)]


def test_a_truncated_whole_file_is_no_document(ingest_files: Ingest) -> None:
    data = gzip.compress(b"The first half of a book. " * 999)[:-30]
    found = ingest_files({"a.txt.gz": data})
    assert found.texts == []
    assert found.quarantine == [(len(data), "OSError: Truncated compressed stream")]


def test_a_jsonl_file_cut_in_a_line_loses_that_line(ingest_files: Ingest) -> None:
    data = jsonl(MANY[:3])
    found = ingest_files({"a.jsonl": data[:-10]})
    assert found.texts == [row["text"] for row in MANY[:2]]
    [(size, error)] = found.quarantine
    assert size == len(data.split(b"\n")[2]) - 9
    assert error.startswith("not JSON: Unterminated string")


def test_a_file_of_zeros_is_one_bad_row(ingest_files: Ingest) -> None:
    zeros = bytes(300_000)
    found = ingest_files({"a.jsonl": zeros, "b.txt": zeros, "c.html": zeros, "d.warc": zeros})
    assert [size for size, _ in found.quarantine] == [300_000, 300_000, 300_000, 0]
    assert found.quarantine[1][1] == found.quarantine[2][1] == "NUL at byte 0: this is not text"


def test_text_of_no_encoding_is_quarantined(ingest_files: Ingest) -> None:
    damaged = "Ein Satz mit Umlauten: äöüß ÄÖÜ.\n".encode() * 9 + b"\xff\xfe\xc3(" + b"Ende"
    found = ingest_files({"a.txt": damaged})
    assert found.quarantine == [(len(damaged), "damaged UTF-8 at byte 360")]
    assert damaged.index(b"\xff") == 360


def test_a_parquet_file_without_the_column_names_those_it_has(ingest_files: Ingest) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"body": ["a"], "n": [1]}), stream)
    found = ingest_files({"a.parquet": stream.getvalue()})
    error = "no column 'text'; columns: body, n; set text_field"
    assert found.quarantine == [(len(stream.getvalue()), error)]


def test_parquet_values_that_are_no_text_are_quarantined(ingest_files: Ingest) -> None:
    for number, (values, kind) in enumerate([([1, 2], "int"), ([b"a", b"b"], "bytes")]):
        stream = io.BytesIO()
        pq.write_table(pa.table({"text": values}), stream)
        found = ingest_files({f"{number}.parquet": stream.getvalue()}, path=[f"{number}.*", "~*"])
        assert found.quarantine == [(0, f"field 'text': text was expected, not {kind}")] * 2
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": ["a", None, "c"]}), stream)
    found = ingest_files({"n.parquet": stream.getvalue()}, path=["n.*", "~*"])
    assert found.texts == ["a", "c"]
    assert found.quarantine == [(0, "field 'text': text was expected, not nothing")]


def test_a_damaged_parquet_file_is_told(ingest_files: Ingest) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": [row["text"] for row in MANY]}), stream, compression="gzip")
    data = bytearray(stream.getvalue())
    truncated = bytes(data[:-9])
    data[1000:1100] = bytes(100)
    found = ingest_files({"a.parquet": truncated, "b.parquet": bytes(data), "c.parquet": b"PAR1"})
    assert found.texts == []
    assert len(found.quarantine) == 3
    assert all(error.endswith("; the rest of the file is lost") for _, error in found.quarantine)


def test_a_byte_order_mark_costs_no_row(ingest_files: Ingest) -> None:
    found = ingest_files({"a.jsonl": b'\xef\xbb\xbf{"text": "one"}\n{"text": "two"}\n'})
    assert found.texts == ["one", "two"]


def test_a_text_field_with_nul_is_quarantined_as_a_file_would_be(ingest_files: Ingest) -> None:
    found = ingest_files({"a.jsonl": b'{"text": "a\\u0000b"}\n{"text": "two"}\n'})
    assert found.texts == ["two"]
    assert [error for _, error in found.quarantine] == ["field 'text': NUL at 1: this is not text"]


def test_a_parquet_value_in_no_encoding_costs_its_row(ingest_files: Ingest) -> None:
    values = pa.array([b"one", b"caf\xe9", b"three"], pa.binary())
    texts = pa.StringArray.from_buffers(3, *values.buffers()[1:])
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), stream)
    found = ingest_files({"a.parquet": stream.getvalue()})
    assert found.texts == ["one", "three"]
    assert found.quarantine == [(4, "invalid UTF-8 at byte 3 of a field")]
    assert [row["doc_id"] for row in found.decisions] == [1]


def test_parquet_columns_that_have_no_place_are_not_read(ingest_files: Ingest) -> None:
    stream = io.BytesIO()
    columns = {
        "text": ["a"], "day": pa.array([10**6], pa.date32()), "raw": [b"x"], "n": [1.5],
        "when": pa.array([2**62], pa.timestamp("us")), "parts": [{"x": "y"}], "list": [[1]],
    }  # fmt: skip
    pq.write_table(pa.table(columns), stream)
    found = ingest_files({"a.parquet": stream.getvalue()})
    assert [row["metadata"] for row in found.documents] == ['{"n": 1.5}']


def test_a_parquet_bomb_of_one_value_is_bounded(ingest_files: Ingest) -> None:
    stream = io.BytesIO()
    values = pa.DictionaryArray.from_arrays(
        pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 50_000])
    )
    pq.write_table(pa.table({"text": values}), stream)  # 5 GB in a few kB
    size = len(stream.getvalue())
    found = ingest_files({"a.parquet": stream.getvalue()}, max_document_bytes=60_000)
    assert len(found.texts) == max(int(size * 250), 120_000) // 50_000
    [(_, error)] = found.quarantine
    assert error.startswith("ExpansionError: the file expands to more than ")


def test_a_group_of_parquet_that_claims_too_much_is_not_read(ingest_files: Ingest) -> None:
    stream = io.BytesIO()
    texts = [chr(97 + n % 26) * 50_000 for n in range(100)]
    pq.write_table(pa.table({"text": texts}), stream, compression="zstd", use_dictionary=False)
    found = ingest_files({"a.parquet": stream.getvalue()}, max_document_bytes=60_000)
    assert found.texts == [] or len(found.texts) == 100
    if not found.texts:
        assert found.quarantine[0][1].startswith("ExpansionError: ")
