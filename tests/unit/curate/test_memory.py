"""A row of any length is passed over without being held."""

from __future__ import annotations

import gzip
import tarfile
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate.inventory import take_inventory
from bessemer.curate.readers import read_rows

LONG = 50_000_000
LIMIT = 1_000_000


def long_line(path: Path) -> int:
    with path.open("wb") as file:
        file.write(b'{"text": "short"}\n{"text": "')
        for _ in range(50):
            file.write(b"x" * (LONG // 50))
        file.write(b'"}\n{"text": "also short"}\n')
    return LONG + 13


def compressed_line(path: Path) -> int:
    size = long_line(path)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    return size


def long_record(path: Path) -> int:
    with path.open("wb") as file:
        file.write(b'n,text\nshort,short\n1,"x')
        for _ in range(50):
            file.write((b"\n" + b"x" * 99) * (LONG // 5000))
        file.write(b'"\n2,also short\n')
    return LONG + 6


def compressed_record(path: Path) -> int:
    size = long_record(path)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    return size


def member(path: Path) -> int:
    with tarfile.open(path, "w") as archive:
        for name, data in (("1.txt", b"short"), ("2.txt", None), ("3.txt", b"also short")):
            info = tarfile.TarInfo(name)
            info.size = LONG if data is None else len(data)
            archive.addfile(info, BytesIO(bytes(info.size) if data is None else data))
    return LONG


def zeros(path: Path) -> int:
    with path.open("wb") as file:
        file.truncate(LONG)
    return LONG


def compressed_zeros(path: Path) -> int:
    path.write_bytes(gzip.compress(bytes(LONG)))
    return path.stat().st_size


def response(path: Path) -> int:
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\n"
    block = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(LONG)
    path.write_bytes(head + f"Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n")
    return LONG


CASES: list[tuple[str, Callable[[Path], int], int, list[str]]] = [
    ("a.jsonl", long_line, LONG + 13, ["short", "also short"]),
    ("a.jsonl.gz", compressed_line, LONG + 13, ["short", "also short"]),
    ("b.jsonl", zeros, LONG, []),
    ("a.txt", zeros, LONG, []),
    (
        "a.txt.gz",
        compressed_zeros,
        LIMIT + 1,
        [],
    ),  # read no further than to see that it is too long
    ("a.warc", response, LONG, []),
    ("a.csv", long_record, LONG + 6, ["short", "also short"]),
    ("a.csv.gz", compressed_record, LONG + 6, ["short", "also short"]),
    ("a.tar", member, LONG, ["short", "also short"]),
]


@pytest.mark.parametrize(("name", "make", "told", "texts"), CASES, ids=[case[0] for case in CASES])
def test_a_row_too_long_is_quarantined_in_little_memory(
    tmp_path: Path, name: str, make: Callable[[Path], int], told: int, texts: list[str]
) -> None:
    raw_bytes = make(tmp_path / name)
    source = SourceConfig(name="s", kind="web", path=(name,))
    [file] = take_inventory([source], tmp_path)
    curate = CurateConfig(max_document_bytes=LIMIT, max_expansion_ratio=2000)
    tracemalloc.start()
    try:
        rows: list[Any] = list(read_rows(file, source, curate))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    contents = [row.content for row in rows if row.error is None]
    assert [text.decode() if isinstance(text, bytes) else text for text in contents] == texts
    [lost] = [row for row in rows if row.error]
    assert lost.raw_bytes == raw_bytes
    assert lost.error.endswith(f"{told} bytes, more than curate.max_document_bytes ({LIMIT})")
    # The row up to the limit, and the next piece that is passed over (1 MiB), each perhaps twice.
    assert peak < 6 * LIMIT


VALUE_BYTES = 12 * 2**20


def varint(number: int) -> bytes:
    """A number as the footer has it (Thrift's compact protocol, zigzag)."""
    number, data = 2 * number, b""
    while number >= 128:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


@pytest.mark.parametrize("is_honest", [True, False])
def test_a_long_value_in_every_row_of_parquet_takes_little_memory(
    tmp_path: Path, is_honest: bool
) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), ["x" * VALUE_BYTES])
    pq.write_table(pa.table({"text": texts}), path, compression="zstd", store_schema=False)
    size = pq.read_metadata(path).row_group(0).total_byte_size
    assert path.stat().st_size < 3000 and size > VALUE_BYTES
    if not is_honest:
        told = varint(size)
        lie = bytes([0x82, *[0x80] * (len(told) - 2), 0])
        path.write_bytes(path.read_bytes().replace(told, lie))
        assert pq.read_metadata(path).row_group(0).total_byte_size == 1
    source = SourceConfig(name="s", kind="web", path=("a.parquet",))
    [file] = take_inventory([source], tmp_path)
    curate = CurateConfig(max_document_bytes=VALUE_BYTES, max_expansion_ratio=10**7)
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        num_rows = sum(row.raw_bytes == VALUE_BYTES for row in read_rows(file, source, curate))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert num_rows == 200
    assert peak < 4 * VALUE_BYTES  # a row or two, and its encoding while it is looked at
    # Eight rows while their buffer is doubled, and the dictionary as it is stored and decoded.
    assert pool.max_memory() < 20 * VALUE_BYTES


def test_all_strings_of_a_row_of_parquet_count(tmp_path: Path) -> None:
    columns = {"text": ["short"] * 3, "more": ["x" * 900, "é" * 600, "x" * 995]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    source = SourceConfig(name="s", kind="web", path=("a.parquet",))
    [file] = take_inventory([source], tmp_path)
    rows = list(read_rows(file, source, CurateConfig(max_document_bytes=1000)))
    told = "1205 bytes, more than curate.max_document_bytes (1000)"
    assert [(row.raw_bytes, row.error) for row in rows] == [(5, None), (5, told), (5, None)]
