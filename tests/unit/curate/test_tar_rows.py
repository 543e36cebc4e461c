"""JSONL, CSV, TSV and Parquet within a tar give the rows that they give outside of it."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import MachineError
from bessemer.curate.formats import members
from bessemer.curate.inventory import take_inventory
from bessemer.curate.readers import read_rows
from bessemer.curate.streams import BUFFER_BYTES, Decompressor

from .formats import COMPRESS, jsonl, parquet, table, tar

Ingest = Callable[..., Any]

_NAME = re.compile("^'[a-z].[a-z.0-9]+': ")

WORDS = [f"Row {n}: the ferry left before the fog had lifted, é." for n in range(40)]
JSONL = jsonl([{"text": text, "n": n} for n, text in enumerate(WORDS)]) + b"broken\n"
FILES: dict[str, bytes] = {
    "a.jsonl": JSONL,
    "b.ndjson": JSONL.replace(b"ferry", b"train"),
    "c.csv": table([["n", "text"], *([str(n), f'{w}\n"x"'] for n, w in enumerate(WORDS)), ["1"]]),
    "d.tsv": table([["text", "n"], *([w, str(n)] for n, w in enumerate(WORDS))], "\t"),
    "e.parquet": parquet({"text": [*WORDS, None], "n": list(range(41))}, row_group_size=9),
    "f.txt": b"A text.\n",
}


def plain(found: Any) -> list[Any]:
    """(text, metadata) of documents, then (bytes, error) of what is lost, without names."""
    kept = [(row["text"], json.loads(row["metadata"])) for row in found.documents]
    return [*kept, *((size, _NAME.sub("", error)) for size, error in found.quarantine)]


@pytest.mark.parametrize("inner", ["", ".gz", ".zst", ".xz", ".bz2"])
@pytest.mark.parametrize("outer", ["", ".gz", ".zst"])
def test_rows_are_those_of_the_files_outside(ingest_files: Ingest, inner: str, outer: str) -> None:
    files = {
        name + ("" if name[0] in "ef" else inner): data
        if name[0] in "ef"
        else COMPRESS[inner](data)
        for name, data in FILES.items()
    }
    outside = ingest_files({f"d/{name}": data for name, data in files.items()})
    inside = ingest_files({f"a.tar{outer}": COMPRESS[outer](tar(files))}, path="a.tar*", alone=True)
    assert plain(inside) == plain(outside)
    assert len(inside.documents) == 5 * 40 + 1
    urls = list(dict.fromkeys(row["url"] for row in inside.documents))
    assert urls == [f"a.tar{outer}/{name}" for name in files]
    assert len(inside.quarantine) == 4
    shown = [error.partition(":")[0] for _, error in inside.quarantine]
    assert shown == [f"'{name}'" for name in [*list(files)[:3], "e.parquet"]]


def test_a_row_keeps_the_address_it_has(ingest_files: Ingest) -> None:
    data = jsonl([{"text": "a", "url": "http://e.org"}, {"text": "b"}])
    found = ingest_files({"a.tar": tar({"d/1.jsonl": data})})
    assert [row["url"] for row in found.documents] == ["http://e.org", "a.tar/d/1.jsonl"]


def test_in_code_rows_are_rows_and_tables_are_text_as_they_are_outside(
    ingest_files: Ingest,
) -> None:
    files = {"a.jsonl": JSONL, "c.csv": FILES["c.csv"], "f.py": b"print()\n"}
    outside = ingest_files({f"d/{name}": data for name, data in files.items()}, kind="code")
    inside = ingest_files({"a.tar": tar(files)}, kind="code", path="a.tar", alone=True)
    assert plain(inside) == plain(outside)
    assert inside.texts[-2:] == [FILES["c.csv"].decode().replace("\r\n", "\n"), "print()\n"]


def test_a_member_that_cannot_be_read_costs_itself(ingest_files: Ingest) -> None:
    compressed = gzip.compress(JSONL)
    files = {
        "1.parquet": FILES["e.parquet"][:-40],
        "2.parquet": b"PAR1",
        "3.csv": b"n,body\n1,2\n" + b"x,y\n" * 100,
        "4.jsonl.gz": compressed[: len(compressed) // 2],
        "5.jsonl.gz": b"plain, whatever the name says",
        "6.jsonl": gzip.compress(b'{"text": "compressed, whatever the name says"}'),
        "7.parquet": b"no Parquet at all",
        "8.txt": b"last",
    }
    found = ingest_files({"a.tar": tar(files)})
    assert found.texts[-2:] == ["compressed, whatever the name says", "last"]
    assert [error.partition(":")[0] for _, error in found.quarantine] == [
        f"'{name}'" for name in list(files)[:5]
    ] + ["'7.parquet'"]
    errors = [error.partition(": ")[2] for _, error in found.quarantine]
    assert errors[2] == "no column 'text'; columns: n, body; set text_field"
    assert errors[3].endswith("; the rest of the file is lost")
    assert errors[5].startswith("ValueError: no Parquet file")


@pytest.mark.parametrize("name", ["a.jsonl", "c.csv", "e.parquet"])
def test_an_archive_cut_within_a_member_keeps_the_rows_before(
    ingest_files: Ingest, name: str
) -> None:
    whole = tar({name: FILES[name]}, tarfile.USTAR_FORMAT)
    cut = 512 + len(FILES[name]) // 2
    found = ingest_files({"a.tar": whole[:cut]})
    end = f"'{name}': the archive ends after {cut - 512} of {len(FILES[name])} bytes of a file"
    assert (0, end) in found.quarantine
    assert (0, "the archive has no end mark; members may be missing") in found.quarantine
    if name != "e.parquet":  # of which nothing is known without its footer
        assert found.texts and all(text[:3] == "Row" for text in found.texts)
        assert 15 < len(found.texts) < 25


def test_a_member_may_be_longer_than_a_document(ingest_files: Ingest) -> None:
    files = {"1.jsonl": JSONL, "2.parquet": FILES["e.parquet"], "3.csv": FILES["c.csv"]}
    assert min(map(len, files.values())) > 1000
    found = ingest_files({"a.tar": tar(files)}, max_document_bytes=1000)
    assert len(found.texts) == 120
    long = jsonl([{"text": "x" * 2000}, {"text": "short"}])
    found = ingest_files({"b.tar": tar({"1.jsonl": long})}, max_document_bytes=1000, path="b.tar",
                         alone=True)  # fmt: skip
    assert found.texts == ["short"]


def long_member(folder: Path, num_rows: int) -> Path:
    line = json.dumps({"text": "x" * 10_000}).encode() + b"\n"
    info = tarfile.TarInfo("long.jsonl")
    info.size = num_rows * len(line)

    with tarfile.open(folder / "a.tar", "w") as archive:
        archive.addfile(info, io.BytesIO(line * num_rows))
    return folder / "a.tar"


def test_a_long_member_is_read_in_little_memory(tmp_path: Path) -> None:
    long_member(tmp_path, 4000)
    source = SourceConfig(name="s", kind="web", path=("a.tar",))
    [file] = take_inventory([source], tmp_path)
    assert file.size_bytes > 40_000_000
    tracemalloc.start()
    try:
        num_rows = sum(row.error is None for row in read_rows(file, source, CurateConfig()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert num_rows == 4000
    assert peak < 2_000_000


def test_bombs_within_an_archive_are_bounded_together(tmp_path: Path) -> None:
    bomb = pa.compress(jsonl([{"text": "a" * 9_000}] * 100), codec="zstd", asbytes=True)
    assert len(bomb) < 3000  # each grows to 900 kB
    (tmp_path / "a.tar").write_bytes(tar({f"{n}.jsonl.zst": bomb for n in range(10)}))
    source = SourceConfig(name="s", kind="web", path=("a.tar",))
    [file] = take_inventory([source], tmp_path)
    curate = CurateConfig(
        max_document_bytes=10_000, max_expanded_bytes=2_000_000, max_expansion_ratio=1e6
    )
    rows = list(read_rows(file, source, curate))
    assert sum(row.raw_bytes for row in rows) < 2_100_000
    assert rows[-1].error is not None and "expands to more than 2000000 bytes" in rows[-1].error


@pytest.mark.parametrize("line", [b"\n", b'{"text": "x" broken', b'{"other": "y"}\n'])
def test_what_gives_no_document_counts_as_what_members_expand_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    decoded = 0
    read = Decompressor._read

    def count(stream: Decompressor, num_bytes: int) -> bytes:
        nonlocal decoded
        data = read(stream, num_bytes)
        if stream._codec is not None:
            decoded += len(data)
        return data

    monkeypatch.setattr(Decompressor, "_read", count)
    bomb = gzip.compress(line * (1_000_000 // len(line)))
    (tmp_path / "a.tar").write_bytes(
        tar({**{f"{n}.jsonl.gz": bomb for n in range(10)}, "z.txt": b"last"})
    )
    source = SourceConfig(name="s", kind="web", path=("a.tar",))
    [file] = take_inventory([source], tmp_path)
    curate = CurateConfig(
        max_document_bytes=10_000, max_expanded_bytes=2_500_000, max_expansion_ratio=1e6
    )
    *_, lost, last = read_rows(file, source, curate)
    # Of each member, first a buffer to see what it is, and a byte to see that it goes on.
    assert decoded <= 2_500_000 + 10 * (BUFFER_BYTES + 1)
    assert lost.error is not None and "expands to more than 2500000 bytes" in lost.error
    assert last.content == b"last"


def test_a_full_disk_is_no_fault_of_the_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    (tmp_path / "a.tar").write_bytes(tar({"1.parquet": FILES["e.parquet"]}))
    source = SourceConfig(name="s", kind="web", path=("a.tar",))
    [file] = take_inventory([source], tmp_path)
    monkeypatch.setattr(members.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(MachineError, match=r"No space left on device.*TMPDIR"):
        list(read_rows(file, source, CurateConfig()))


def test_a_member_of_an_archive_in_a_store_is_read_as_the_file_at_hand_that_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    far: list[bool] = []

    class Watched(pq.ParquetFile):  # type: ignore[misc]
        def __init__(self, raw: Any, *, pre_buffer: bool, buffer_size: int) -> None:
            far.append(pre_buffer)
            super().__init__(raw, pre_buffer=pre_buffer, buffer_size=buffer_size)

    system = fsspec.filesystem("memory")
    data = FILES["e.parquet"]
    system.pipe({"/store/a.tar": tar({"e.parquet": data}), "/store/e.parquet": data})
    monkeypatch.setattr(pq, "ParquetFile", Watched)
    source = SourceConfig(name="s", kind="web", path=("memory://store/*",))
    try:
        files = take_inventory([source], tmp_path)
        found = [list(read_rows(file, source, CurateConfig())) for file in files]
    finally:
        system.rm("/store", recursive=True)
    assert [len(rows) for rows in found] == [41, 41]
    assert far == [False, True]
