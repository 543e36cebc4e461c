"""Files of every format, damaged at random: nothing is raised, and all adds up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.storage import read_table
from bessemer.curate.ingest import ingest_parts
from bessemer.curate.inventory import take_inventory
from bessemer.curate.parts import Part

from .formats import (
    COMPRESS,
    CONTAINER,
    chapter,
    epub,
    jsonl,
    package,
    parquet,
    table,
    tar,
    zipped,
)
from .test_warc import RECORDS, REQUEST

SHARD = "00000-0.parquet"
LIMIT_S = 20  # far beyond what any of these small files takes on a busy machine
CURATE = CurateConfig(max_document_bytes=50_000, max_expanded_bytes=2_000_000)

WORDS = [f"Row {n}: the ferry left before the fog had lifted, é." for n in range(12)]
ROWS = [{"text": text, "url": f"u/{n}", "n": n} for n, text in enumerate(WORDS)]
WET = b"".join(
    b"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://e.org/%d\r\n"
    b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n"
    % (n, len(text.encode()), text.encode())
    for n, text in enumerate(WORDS)
)
PAGE = "<html><head><title>T</title></head><body>" + "".join(f"<p>{w}</p>" for w in WORDS)
TABLE = [["n", "text"], *([str(n), f'{w}\n"x", y'] for n, w in enumerate(WORDS))]
PLAIN: dict[str, bytes] = {
    "a.txt": "\n".join(WORDS).encode(),
    "a.md": ("---\ntitle: T\n---\n" + "\n".join(WORDS)).encode(),
    "a.html": PAGE.encode(),
    "a.jsonl": jsonl(ROWS),
    "a.csv": table(TABLE),
    "a.tsv": table(TABLE, "\t"),
    "a.warc": b"".join([*RECORDS[:3], REQUEST]),
    "a.wet": WET,
    "a.tar": tar({f"{'d/' * n * 9}{n}.txt": text.encode() for n, text in enumerate(WORDS)}),
}
FILES: dict[str, bytes] = {
    **PLAIN,
    "a.parquet": parquet({"text": WORDS, "n": list(range(12))}),
    "b.parquet": parquet({"text": WORDS * 30, "url": WORDS * 30}, compression="zstd"),
    "a.epub": epub(
        package([f"c{n}" for n in range(3)], {f"c{n}": f"{n}.xhtml" for n in range(3)}),
        {f"OEBPS/{n}.xhtml": chapter(text) for n, text in enumerate(WORDS)},
    ),
    "b.tar": tar(
        {
            "a.jsonl": PLAIN["a.jsonl"],
            "a.csv": PLAIN["a.csv"],
            "a.parquet": parquet({"text": WORDS}),
            "b.jsonl.gz": COMPRESS[".gz"](PLAIN["a.jsonl"]),
        }
    ),
    **{
        name + suffix: compress(PLAIN[name])
        for name in ("a.jsonl", "a.csv", "a.wet", "a.tar", "a.txt")
        for suffix, compress in COMPRESS.items()
        if suffix
    },
}


def flip(data: bytes, at: int, length: int, other: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (other % 255 + 1)]) + data[at + 1 :]


def cut(data: bytes, at: int, length: int, other: int) -> bytes:
    return data[:at]


def remove(data: bytes, at: int, length: int, other: int) -> bytes:
    return data[:at] + data[at + length :]


def repeat(data: bytes, at: int, length: int, other: int) -> bytes:
    return data[:at] + data[at : at + length] * (2 + other % 30) + data[at + length :]


def move(data: bytes, at: int, length: int, other: int) -> bytes:
    rest = data[:at] + data[at + length :]
    to = other % (len(rest) + 1)
    return rest[:to] + data[at : at + length] + rest[to:]


def overwrite(data: bytes, at: int, length: int, other: int) -> bytes:
    return data[:at] + bytes([other % 256]) * length + data[at + length :]


CHANGES: list[Callable[[bytes, int, int, int], bytes]] = [
    flip, cut, remove, repeat, move, overwrite,
]  # fmt: skip
CHANGE = st.tuples(
    st.sampled_from(CHANGES), st.integers(0, 2**20), st.integers(1, 64), st.integers(0, 2**20)
)


def ingest_one(folder: Path, name: str, data: bytes, kind: str = "web") -> tuple[int, int]:
    """Ingest one file and check its sums; documents and quarantined rows."""
    (folder / name).write_bytes(data)
    source = SourceConfig.model_validate({"name": "s", "kind": kind, "path": name})
    [file] = take_inventory([source], folder)
    begun = time.monotonic()
    sums = ingest_parts([Part(file=file)], source, CURATE, "00000", folder / "out")
    assert time.monotonic() - begun < LIMIT_S
    written = folder / "out" / ".scratch"
    documents = read_table(written / "documents" / SHARD).to_pylist()
    ledger = read_table(written / "decisions" / SHARD).to_pylist()
    lost = [row for row in ledger if row["action"] == "quarantine"]
    assert sums["rows"] == {"0": len(documents) + len(lost)}
    assert all(row["evidence"] for row in lost)
    ids = sorted([row["doc_id"] for row in documents] + [row["doc_id"] for row in lost])
    assert ids == list(range(len(ids)))
    kept_bytes = sum(row["raw_bytes"] for row in documents)
    lost_bytes = sum(row["num_bytes"] for row in lost)
    assert sums["bytes_in"] == kept_bytes + lost_bytes
    assert sums["bytes_quarantined"] == lost_bytes
    text_bytes = sum(len(row["text"].encode()) for row in documents)
    assert sums["bytes_out"] == text_bytes
    assert sums["bytes_markup"] == kept_bytes - text_bytes - sums["bytes_edited"]
    # A file can be told as a whole beside what was read of it, and no more than that.
    assert sums["bytes_in"] <= len(data) + max(len(data), CURATE.max_expanded_bytes)
    return len(documents), len(lost)


@pytest.mark.parametrize("name", FILES)
def test_whole_files_are_read(tmp_path: Path, name: str) -> None:
    documents, lost = ingest_one(tmp_path, name, FILES[name])
    assert documents > 0
    assert lost == 0


@pytest.mark.parametrize("name", FILES)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(CHANGE, min_size=1, max_size=4))
def test_damaged_files_add_up(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    changes: list[tuple[Callable[[bytes, int, int, int], bytes], int, int, int]],
) -> None:
    data = FILES[name]
    for change, at, length, other in changes:
        if data:
            data = change(data, at % len(data), length, other)
    ingest_one(tmp_path_factory.mktemp("fuzz"), name, data)


@pytest.mark.parametrize("name", FILES)
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(min_size=1, max_size=3000))
def test_bytes_of_no_format_add_up(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    ingest_one(tmp_path_factory.mktemp("fuzz"), name, data)


PARTS: dict[str, bytes] = {
    "META-INF/container.xml": CONTAINER.format(path="b.opf").encode(),
    "b.opf": package(["c0"], {"c0": "0.xhtml"}, "<dc:title>T</dc:title>").encode(),
    "0.xhtml": chapter(WORDS[0]).encode(),
}


@pytest.mark.parametrize("part", PARTS)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(CHANGE, min_size=1, max_size=4))
def test_books_with_damaged_parts_add_up(
    tmp_path_factory: pytest.TempPathFactory,
    part: str,
    changes: list[tuple[Callable[[bytes, int, int, int], bytes], int, int, int]],
) -> None:
    data = PARTS[part]
    for change, at, length, other in changes:
        if data:
            data = change(data, at % len(data), length, other)
    book = zipped({**PARTS, part: data})
    ingest_one(tmp_path_factory.mktemp("fuzz"), "a.epub", book)
