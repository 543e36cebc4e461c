"""A file read in parts gives the rows, ids and sums of the same file read as one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate import readers, splitting
from bessemer.curate.formats.jsonl import count_jsonl, cut_jsonl, read_jsonl
from bessemer.curate.inventory import SourceFile, take_inventory
from bessemer.curate.parts import Part, Range, hold_to_count, parts_of
from bessemer.curate.readers import read_part, read_rows
from bessemer.curate.rows import RawRow
from bessemer.curate.splitting import cut_file, split_files
from bessemer.curate.streams import OpenFile
from bessemer.engine.tasks import Engine

from .conftest import run_ingest
from .formats import parquet

SOURCE = SourceConfig(name="s", kind="web", path=("a",))
MAX_BYTES = 40


def open_bytes(data: bytes, range_: Range | None = None) -> OpenFile:
    file = SourceFile(file_id=0, source="s", path="a", location="", size_bytes=len(data), digest="")
    curate = CurateConfig(max_document_bytes=MAX_BYTES)
    raw: BinaryIO = io.BytesIO(data)
    return OpenFile(file=file, raw=raw, codec=None, head=b"", curate=curate, range=range_)


def ranges_at(size: int, cuts: Sequence[int]) -> list[Range]:
    ends = sorted({0, size, *(cut % (size + 1) for cut in cuts)})
    return [
        Range(format="jsonl", begin=begin, end=end, size_bytes=end - begin)
        for begin, end in pairwise(ends)
    ]


def lines_of(data: bytes) -> list[bytes]:
    """What a row is, said once more: a line that is overlong or not blank."""
    lines = io.BytesIO(data).readlines()
    return [line for line in lines if len(line) > MAX_BYTES or line.strip()]


LINE = st.one_of(
    st.text(max_size=12).map(
        lambda text: json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "replace")
    ),
    st.sampled_from([b"", b" ", b"\r", b"\t \x0b", b" " * 50, b"\xef\xbb\xbf", b"{}", b"\xc3"]),
    st.integers(MAX_BYTES - 15, MAX_BYTES + 60).map(lambda size: b'{"text": "' + b"x" * size),
    st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"\r")),
)
DATA = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(LINE, max_size=10),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([b"", b"\n", b"\n\n\n"]),
).map(lambda parts: parts[0] + parts[2].join(parts[1]) + parts[3])


@settings(max_examples=400)
@given(data=DATA, cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_jsonl_cut_anywhere_is_the_same_rows(data: bytes, cuts: list[int]) -> None:
    whole = list(read_jsonl(open_bytes(data), SOURCE))
    assert [row.raw_bytes for row in whole] == [len(line) for line in lines_of(data)]
    parts = [open_bytes(data, range_) for range_ in ranges_at(len(data), cuts)]
    rows = [list(read_jsonl(opened, SOURCE)) for opened in parts]
    assert [row for part in rows for row in part] == whole
    assert [count_jsonl(opened) for opened in parts] == [len(part) for part in rows]


def test_jsonl_cut_at_every_byte_is_the_same_rows() -> None:
    data = (
        "\ufeff{\"text\": \"é\"}\r\n\r\n{\"text\": \"😀\"}\n \n".encode()
        + b"x" * 100 + b"\n{}\n" + b" " * 60 + b"\n\n" + '{"text": "ü"}'.encode()
    )  # fmt: skip
    whole = list(read_jsonl(open_bytes(data), SOURCE))
    assert len(whole) == 6
    for cut in range(len(data) + 1):
        ranges = ranges_at(len(data), [cut])
        parts = [list(read_jsonl(open_bytes(data, range_), SOURCE)) for range_ in ranges]
        assert [row for part in parts for row in part] == whole, cut


@given(size=st.integers(1, 10**12), range_bytes=st.integers(1, 10**10))
def test_ranges_are_the_file_in_equal_parts_and_not_too_many(size: int, range_bytes: int) -> None:
    opened = open_bytes(b"")
    opened = replace(opened, file=replace(opened.file, size_bytes=size))
    ranges = cut_jsonl(opened, SOURCE, range_bytes)
    assert (ranges[0].begin, ranges[-1].end) == (0, size)
    assert all(left.end == right.begin for left, right in pairwise(ranges))
    sizes = [range_.size_bytes for range_ in ranges]
    assert sizes == [range_.end - range_.begin for range_ in ranges]
    assert min(sizes) > 0 and max(sizes) - min(sizes) <= 1
    assert len(ranges) == 10_000 or max(sizes) <= range_bytes


class Counted(io.BytesIO):
    """Bytes that know how many of them were read."""

    num_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.num_read += len(data)
        return data


def test_a_range_within_one_line_is_read_no_further_than_to_its_end() -> None:
    size = 20_000_000
    raw = Counted(b'{"text": "' + b"x" * size)
    range_ = Range(format="jsonl", begin=1000, end=2000, size_bytes=1000)
    opened = open_bytes(raw.getvalue(), range_)
    opened = OpenFile(
        file=opened.file, raw=raw, codec=None, head=b"", curate=opened.curate, range=range_
    )
    assert count_jsonl(opened) == 0
    assert raw.num_read < 3_000_000  # a piece of 2**20 bytes, and what is buffered


def rows_of(text: str, num_rows: int) -> list[RawRow]:
    return [RawRow(content=f"{text}{n}", raw_bytes=n, url=f"u{n}") for n in range(num_rows)]


@given(counted=st.integers(1, 9), there=st.integers(0, 12))
def test_a_part_never_takes_more_ids_than_were_counted(counted: int, there: int) -> None:
    rows = rows_of("a", there)
    held = list(hold_to_count(iter(rows), counted))
    assert len(held) <= counted
    if there == counted:
        assert held == rows
    elif there < counted:
        assert held[:-1] == rows
        error = f"{counted} rows were counted here, {there} can be read; the rest is lost"
        assert held[-1] == RawRow(raw_bytes=0, error=error)
    else:
        assert held[:-1] == rows[: counted - 1]
        assert held[-1].error is not None and "more than" in held[-1].error
        assert (held[-1].raw_bytes, held[-1].url) == (counted - 1, f"u{counted - 1}")


def test_a_part_that_breaks_is_told_of_once() -> None:
    rows = [*rows_of("a", 3), RawRow(raw_bytes=0, error="damaged; the rest of the file is lost")]
    assert list(hold_to_count(iter(rows), 9)) == rows


def file_of(path: Path) -> SourceFile:
    [file] = take_inventory([SOURCE.model_copy(update={"path": (str(path),)})], path.parent)
    return file


def test_parts_begin_behind_the_rows_of_those_before_and_none_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    file = file_of(tmp_path / "a")

    def ranges(*counts: int | None) -> list[Range]:
        return [
            Range(format="jsonl", begin=n, end=n + 1, size_bytes=1, num_rows=c)
            for n, c in enumerate(counts)
        ]

    found = parts_of(file, ranges(0, 3, 0, 2, 0))
    assert [(part.range.begin, part.first_row) for part in found if part.range] == [(1, 0), (3, 3)]
    whole = [Part(file=file)]
    assert parts_of(file, []) == parts_of(file, ranges(0, 0)) == whole
    assert parts_of(file, ranges(2, None, 3)) == whole  # who reads it from the front tells why


def jsonl_of(num_rows: int) -> bytes:
    rows = []
    for n in range(num_rows):
        text = f"Row {n}: Größe 😀 " + "word " * (n * 7 % 23)
        rows.append(json.dumps({"text": text, "url": f"u/{n}", "n": n}, ensure_ascii=n % 2 == 0))
        if n % 5 == 0:
            rows.append("  ")
        if n % 11 == 0:
            rows.append('{"text": broken')
        if n % 13 == 0:
            rows.append(json.dumps({"text": "long " * 300}))
    return "\n".join(rows).encode()


def parquet_of(num_rows: int) -> bytes:
    columns = {
        "n": list(range(num_rows)),
        "text": [None if n % 17 == 0 else f"Row {n} " * (n % 9) for n in range(num_rows)],
    }
    return parquet(columns, row_group_size=7, compression="none", use_dictionary=False)


FILES = {"a.jsonl": jsonl_of(120), "a.parquet": parquet_of(120), "a.txt": b"A text.\n" * 200}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("num_workers", [1, 2])
def test_documents_ledger_and_sums_are_those_of_the_file_read_as_one(
    tmp_path: Path, name: str, num_workers: int, two_workers: Engine
) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    source = SOURCE.model_copy(update={"path": (name,)})
    found = {}
    for shard_bytes in (10**9, 1000):
        curate = CurateConfig(max_document_bytes=1024, shard_bytes=shard_bytes)
        if name == "a.txt":
            curate = CurateConfig(shard_bytes=shard_bytes)
        engine = two_workers if num_workers == 2 else Engine()
        found[shard_bytes] = run_ingest(
            tmp_path, [source], curate, tmp_path / f"{shard_bytes}", engine
        )
    whole, split = found[10**9], found[1000]
    assert split.documents == whole.documents
    assert split.decisions == whole.decisions
    assert split.files == whole.files
    assert split.sums == whole.sums
    num_shards = len(list((split.folder / "documents").iterdir()))
    assert (num_shards > 4) is (name != "a.txt")


@settings(max_examples=40)
@given(
    texts=st.lists(st.none() | st.text(max_size=30), max_size=40),
    group_rows=st.integers(1, 12),
    range_bytes=st.integers(1, 2000),
)
def test_parquet_in_ranges_is_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str | None],
    group_rows: int,
    range_bytes: int,
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    column = pa.array(texts, pa.string())
    path.write_bytes(parquet({"text": column}, row_group_size=group_rows))
    file, curate = file_of(path), CurateConfig(shard_bytes=range_bytes)
    whole = list(read_rows(file, SOURCE, curate))
    assert len(whole) == len(texts)
    ranges = [Range(**each) for each in cut_file(file, SOURCE, curate)["ranges"]]
    assert [range_.end for range_ in ranges[:-1]] == [range_.begin for range_ in ranges[1:]]
    assert sum(range_.num_rows or 0 for range_ in ranges) == len(texts)
    for range_ in ranges:
        assert range_.size_bytes <= range_bytes or range_.end - range_.begin == 1
    rows = []
    for part in parts_of(file, ranges):
        assert part.first_row == len(rows)
        rows += read_part(part, SOURCE, curate)
    assert rows == whole


def test_text_of_unknown_column_and_compressed_rows_are_read_as_one(tmp_path: Path) -> None:
    data = parquet({"body": ["x" * 50] * 50}, row_group_size=5, compression="none")
    (tmp_path / "a.parquet").write_bytes(data)
    (tmp_path / "b.jsonl.zst").write_bytes(pa.compress(jsonl_of(90), codec="zstd", asbytes=True))
    curate = CurateConfig(shard_bytes=200)
    for name in ("a.parquet", "b.jsonl.zst"):
        file = file_of(tmp_path / name)
        assert file.size_bytes > 200
        assert cut_file(file, SOURCE, curate)["ranges"] == []


def test_a_footer_that_lies_costs_no_other_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet_of(21))
    table = pq.ParquetFile(path)
    assert table.metadata.num_row_groups == 3
    ranges = [
        Range(format="parquet", begin=n, end=n + 1, size_bytes=99, num_rows=7) for n in range(3)
    ]
    lies = [ranges[0], replace(ranges[1], num_rows=5), ranges[2]]
    curate = CurateConfig()
    rows = [list(read_part(part, SOURCE, curate)) for part in parts_of(file_of(path), lies)]
    whole = list(read_rows(file_of(path), SOURCE, curate))
    assert rows[0] == whole[:7]
    assert rows[1][:4] == whole[7:11] and len(rows[1]) == 5
    assert rows[1][4].error is not None
    assert rows[2] == whole[14:]


class Broken(io.BytesIO):
    """Content that cannot be decoded behind some byte."""

    good_bytes = 700

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= self.good_bytes:
            raise OSError("Corrupt input")
        left = self.good_bytes - self.tell()
        return super().read(left if size is None or size < 0 else min(size, left))


def test_a_file_that_breaks_while_it_is_counted_is_read_as_one_up_to_the_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "row"}\n' * 100)
    file = file_of(tmp_path / "a.jsonl")
    curate = CurateConfig(shard_bytes=500)

    class Opened:
        def __enter__(self) -> BinaryIO:
            return Broken((tmp_path / "a.jsonl").read_bytes())

        def __exit__(self, *_: object) -> None:
            pass

    for module in (readers, splitting):
        monkeypatch.setattr(module, "open_stored", lambda _: Opened())
    parts = split_files([file], {"s": SOURCE}, curate, tmp_path / "out", Engine())
    assert parts == [Part(file=file)]
    rows: Iterator[Any] = read_part(parts[0], SOURCE, curate)
    *good, last = list(rows)
    assert len(good) == 700 // 16 and all(row.content == "row" for row in good)
    assert last.error == "OSError: Corrupt input; the rest of the file is lost"
