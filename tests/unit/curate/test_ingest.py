"""Ingest gives each row its id and its fate; sums come from what the readers counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import DataError
from bessemer.core.manifest import Conservation
from bessemer.core.storage import read_table
from bessemer.curate.ingest import ingest, plan_tasks
from bessemer.curate.inventory import SourceFile, take_inventory
from bessemer.curate.parts import Part
from bessemer.engine.tasks import Engine

Ingest = Callable[..., Any]

BOOK = (
    "The Project Gutenberg eBook of Iron\n\n*** START OF THE PROJECT GUTENBERG EBOOK IRON ***\n"
    "\nThe men’s iron.\n\n*** END OF THE PROJECT GUTENBERG EBOOK IRON ***\nLicence …\n"
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "1.jsonl").write_bytes(b'{"text": "a"}\nbroken\n{"text": "\\u00e9"}\n')
    (folder / "2.jsonl").write_bytes(b'{"text": "c"}\n')
    (folder / "3.jsonl").write_bytes(b"\n\n")
    (folder / "book.txt").write_text(BOOK)
    (folder / "latin.txt").write_bytes(
        "Grüße aus dem Stahlwerk, schöne Größe\r\n".encode("latin-1")
    )
    (folder / "zero.txt").write_bytes(bytes(9))
    return folder


SOURCES = [
    SourceConfig(name="notes", kind="web", path=("*.jsonl",), license="CC0-1.0"),
    SourceConfig(name="books", kind="books", path=("*.txt",)),
    SourceConfig(name="none", kind="code", path=("*.py",)),
]


def take(corpus: Path, folder: Path, shard_bytes: int = 50, engine: Engine | None = None) -> Any:
    curate = CurateConfig(shard_bytes=shard_bytes)
    return ingest(take_inventory(SOURCES, corpus), SOURCES, curate, folder, engine or Engine())


def test_every_row_has_its_id_its_shard_and_its_fate(corpus: Path, tmp_path: Path) -> None:
    result = take(corpus, tmp_path / "out")
    files = read_table(tmp_path / "out" / "files.parquet").to_pylist()
    assert [(f["file_id"], f["source"], f["path"], f["num_rows"], f["license"]) for f in files] == [
        (0, "notes", "1.jsonl", 3, "CC0-1.0"),
        (1, "notes", "2.jsonl", 1, "CC0-1.0"),
        (2, "notes", "3.jsonl", 0, "CC0-1.0"),
        (3, "books", "book.txt", 1, None),
        (4, "books", "latin.txt", 1, None),
        (5, "books", "zero.txt", 1, None),
    ]
    # A row takes more in the tables than the 50 bytes of a shard here, so each has one of its own.
    ranges = read_table(tmp_path / "out" / "shards.parquet").to_pylist()
    assert [tuple(each.values()) for each in ranges] == [
        (0, "notes", 0, 0), (1, "notes", 1, 1), (2, "notes", 2, 2),
        (3, "notes", 1 << 32, 1 << 32),
        (4, "books", 3 << 32, 3 << 32),
        (5, "books", 4 << 32, 4 << 32), (6, "books", 5 << 32, 5 << 32),
    ]  # fmt: skip
    shards = [f"{n:05d}.parquet" for n in range(7)]
    tables = [read_table(tmp_path / "out" / "documents" / name).to_pylist() for name in shards]
    body = "\nThe men’s iron.\n\n"
    latin = "Grüße aus dem Stahlwerk, schöne Größe\n"
    assert [[(row["doc_id"], row["text"], row["source"]) for row in rows] for rows in tables] == [
        [(0, "a", "notes")],
        [],
        [(2, "é", "notes")],
        [(1 << 32, "c", "notes")],
        [(3 << 32, body, "books")],
        [(4 << 32, latin, "books")],
        [],
    ]
    for row in (row for rows in tables for row in rows):
        data = row["text"].encode()
        assert row["num_bytes"] == len(data)
        assert row["content_hash"] == xxhash.xxh3_128_digest(data)
        assert int.from_bytes(row["content_hash"], "big") == xxhash.xxh3_128_intdigest(data)
    ledger = [
        {key: value for key, value in row.items() if value is not None}
        for name in shards
        for row in read_table(tmp_path / "out" / "decisions" / name).to_pylist()
    ]
    header, footer = (BOOK.index(part) for part in (body, "*** END"))
    common = {"doc_id": 3 << 32, "source": "books", "stage": "ingest", "decisive": False,
              "value": 1.0, "inserted_bytes": 0}  # fmt: skip
    ends = (header, len(BOOK.encode()) - len(BOOK[footer:].encode()), len(BOOK.encode()))
    assert ledger == [
        {"doc_id": 1, "source": "notes", "stage": "ingest", "decisive": True, "rule": "unreadable",
         "action": "quarantine", "num_bytes": 7,
         "evidence": "not JSON: Expecting value: line 1 column 1 (char 0)"},
        {**common, "rule": "gutenberg_footer", "action": "edit", "num_bytes": ends[2] - ends[1],
         "evidence": " ".join(BOOK[footer:].split()),
         "spans": [{"start_byte": ends[1], "end_byte": ends[2], "replacement": None}]},
        {**common, "rule": "gutenberg_header", "action": "edit", "num_bytes": ends[0],
         "evidence": " ".join(BOOK[:header].split()),
         "spans": [{"start_byte": 0, "end_byte": ends[0], "replacement": None}]},
        {**common, "doc_id": 4 << 32, "rule": "line_ends", "action": "edit", "num_bytes": 1,
         "evidence": "1 x CR LF, 0 x CR"},
        {"doc_id": 5 << 32, "source": "books", "stage": "ingest", "decisive": True,
         "rule": "unreadable", "action": "quarantine", "num_bytes": 9,
         "evidence": "NUL at byte 0: this is not text"},
    ]  # fmt: skip
    edited = len(BOOK.encode()) - len(body.encode())
    assert result.conservation == (
        Conservation(
            source="notes", docs_in=4, docs_out=3, docs_quarantined=1, bytes_in=14 + 7 + 19 + 14,
            bytes_out=4, bytes_quarantined=7, bytes_markup=43,
        ),
        Conservation(
            source="books", docs_in=3, docs_out=2, docs_quarantined=1,
            bytes_in=len(BOOK.encode()) + 39 + 9, bytes_out=len((body + latin).encode()),
            bytes_quarantined=9, bytes_edited=edited + 1,  # its line end
            bytes_markup=38 - len(latin.encode()),  # Latin-1 grows in UTF-8
        ),
        Conservation(source="none", docs_in=0, docs_out=0, bytes_in=0, bytes_out=0),
    )  # fmt: skip
    for sums in result.conservation:
        sums.check("ingest")
    assert result.summary == {"num_files": 6, "num_shards": 7}


def test_documents_do_not_depend_on_the_size_of_shards(corpus: Path, tmp_path: Path) -> None:
    found = []
    for shard_bytes in (1, 50, 10**9):
        folder = tmp_path / str(shard_bytes)
        take(corpus, folder, shard_bytes)
        for table in ("documents", "decisions"):
            paths = sorted((folder / table).glob("*.parquet"))
            found.append([row for path in paths for row in read_table(path).to_pylist()])
    assert found[0] == found[2] == found[4]
    assert found[1] == found[3] == found[5]
    assert len(list((tmp_path / str(10**9) / "documents").iterdir())) == 2  # one per source


def test_an_ingest_of_nothing_readable_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(5))
    source = SourceConfig(name="s", kind="web", path=("*.txt",))
    files = take_inventory([source], tmp_path)
    with pytest.raises(DataError) as error:
        ingest(files, [source], CurateConfig(), tmp_path / "out", Engine())
    assert str(error.value) == (
        f"no document could be read; see the quarantine in {tmp_path / 'out'}"
    )


def part_of(number: int, source: str, size: int) -> Part:
    file = SourceFile(
        file_id=number, source=source, path=str(number), location="", size_bytes=size, digest=""
    )
    return Part(file=file)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50)), max_size=20), st.integers(1, 60)
)
def test_tasks_are_runs_of_parts_of_one_source_as_full_as_they_may_be(
    given_parts: list[tuple[str, int]], limit: int
) -> None:
    ordered = sorted(given_parts, key=lambda each: each[0])
    parts = [part_of(number, source, size) for number, (source, size) in enumerate(ordered)]
    tasks = plan_tasks(parts, limit)
    assert [part for task in tasks for part in task] == parts
    for task in tasks:
        assert len({part.source for part in task}) == 1
        assert sum(part.size_bytes for part in task) <= limit or len(task) == 1
    for left, right in pairwise(tasks):
        if left[0].source == right[0].source:  # the next part did not fit
            assert sum(part.size_bytes for part in left) + right[0].size_bytes > limit


LINES = st.lists(
    st.one_of(
        st.text(max_size=20).map(lambda text: json.dumps({"text": text}).encode()),
        st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")),
        st.just(b""),
    ),
    max_size=8,
)


@given(lines=LINES)
def test_any_jsonl_is_conserved(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    base = tmp_path_factory.mktemp("any")
    data = b"\n".join([*lines, b'{"text": "last"}'])
    (base / "a.jsonl").write_bytes(data)
    source = SourceConfig(name="s", kind="web", path=("a.jsonl",))
    files = take_inventory([source], base)
    [sums] = ingest(files, [source], CurateConfig(), base / "out", Engine()).conservation
    sums.check("ingest")
    rows = [line for line in data.split(b"\n") if line and not line.isspace()]
    assert sums.docs_in == len(rows)
    assert sums.bytes_in == sum(map(len, rows)) + len(rows) - 1  # the last has no line feed
