"""Shards have a bounded size, hold disjoint ranges of ids, and are the same however they came."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.workers import workers

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import DataError
from bessemer.core.ids import pack_doc_id
from bessemer.core.manifest import record_files
from bessemer.core.storage import SCRATCH, read_table
from bessemer.curate import ingest as ingest_module
from bessemer.curate.inventory import take_inventory
from bessemer.curate.ledger import decision, shard_name, shard_of
from bessemer.curate.readers import read_part
from bessemer.curate.rows import RawRow
from bessemer.curate.shards import Document, ShardWriter, place_shards
from bessemer.engine.tasks import Engine, prepare_folder

from .conftest import run_ingest

SOURCES = [
    SourceConfig(name="a", kind="web", path=("a/*",)),
    SourceConfig(name="b", kind="web", path=("b/*",)),
]
CURATE = CurateConfig(shard_bytes=2000, max_document_bytes=5000)


def write_corpus(base: Path) -> None:
    """A large plain file, a large compressed one, and small ones; some rows are no documents."""
    (base / "a").mkdir(parents=True)
    (base / "b").mkdir()
    rows = [
        json.dumps({"text": f"Row {n} " + "word " * (n * 13 % 90)}) if n % 7 else f"row {n}"
        for n in range(150)
    ]
    data = "\n".join(rows).encode()
    (base / "a" / "1.jsonl").write_bytes(data)
    (base / "a" / "2.jsonl.zst").write_bytes(pa.compress(data, codec="zstd", asbytes=True))
    (base / "a" / "3.jsonl").write_bytes(b"\n\n")
    for n in range(9):
        (base / "b" / f"{n}.txt").write_text(f"Text {n}\n" * (40 * n + 1))


def digests(folder: Path) -> dict[str, str]:
    return {file.path: file.digest for file in record_files(folder)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("corpus")
    write_corpus(base)
    return base


@pytest.fixture(scope="module")
def ingested(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    return run_ingest(corpus, SOURCES, CURATE, folder, Engine()).folder


def test_each_shard_is_full_but_for_one_row_and_ids_ascend_throughout(ingested: Path) -> None:
    ranges = read_table(ingested / "shards.parquet").to_pylist()
    assert [each["shard"] for each in ranges] == list(range(len(ranges))) and len(ranges) > 25
    assert [each["source"] for each in ranges] == sorted(each["source"] for each in ranges)
    names = [shard_name(shard) for shard in range(len(ranges))]
    for table in ("documents", "decisions"):
        assert sorted(path.name for path in (ingested / table).iterdir()) == names
    for name, each in zip(names, ranges, strict=True):
        documents = read_table(ingested / "documents" / name).to_pylist()
        ledger = read_table(ingested / "decisions" / name).to_pylist()
        ids = sorted({row["doc_id"] for row in documents + ledger})
        assert (ids[0], ids[-1]) == (each["first_doc_id"], each["last_doc_id"])
        assert [row["doc_id"] for row in documents] == sorted(row["doc_id"] for row in documents)
        assert {row["source"] for row in documents + ledger} == {each["source"]}
        texts = [row["num_bytes"] for row in documents]
        assert sum(texts) - max(texts, default=0) <= CURATE.shard_bytes
    for left, right in pairwise(ranges):
        assert left["last_doc_id"] < right["first_doc_id"]


def test_the_shard_of_an_id_is_the_one_that_has_it(ingested: Path) -> None:
    expected = {}
    for table in ("documents", "decisions"):
        for path in (ingested / table).iterdir():
            ids = read_table(path, ["doc_id"])["doc_id"].to_pylist()
            expected |= dict.fromkeys(ids, int(path.stem))
    assert len(expected) == 150 + 150 + 9
    ids = np.array(list(expected))
    assert shard_of(ingested, ids).tolist() == list(expected.values())
    nowhere = np.array([[pack_doc_id(2, 0)], [pack_doc_id(99, 0)]])  # an empty file, and none
    assert shard_of(ingested, nowhere).shape == (2, 1)


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_bytes_are_the_same_for_any_number_of_workers(
    corpus: Path, ingested: Path, tmp_path: Path, num_workers: int
) -> None:
    with workers(num_workers) as engine:
        again = run_ingest(corpus, SOURCES, CURATE, tmp_path, engine).folder
    assert digests(again) == digests(ingested)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("rows", [0, 1, 40, 130, 140, 200, 290])
def test_stopped_in_a_task_it_goes_on_to_the_same_bytes(
    corpus: Path, ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    seen = 0

    def read_some(*arguments: Any) -> Iterator[RawRow]:
        nonlocal seen
        for row in read_part(*arguments):
            seen += 1
            if seen > rows:
                raise Killed
            yield row

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "read_part", read_some)
        with pytest.raises(Killed):
            run_ingest(corpus, SOURCES, CURATE, tmp_path, Engine())
    prepare_folder(tmp_path)
    run_ingest(corpus, SOURCES, CURATE, tmp_path, Engine())
    assert digests(tmp_path) == digests(ingested)


@pytest.mark.parametrize("moved", [0, 1, 5, 30])
def test_stopped_while_shards_are_placed_it_goes_on_to_the_same_bytes(
    corpus: Path, ingested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    replace, seen = Path.replace, 0

    def replace_some(path: Path, target: Path) -> Path:
        nonlocal seen
        if target.parent.name == "documents" and target.parent.parent == tmp_path:
            seen += 1
            if seen > moved:
                raise Killed
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_some)
        with pytest.raises(Killed):
            run_ingest(corpus, SOURCES, CURATE, tmp_path, Engine())
    prepare_folder(tmp_path)
    run_ingest(corpus, SOURCES, CURATE, tmp_path, Engine())
    assert digests(tmp_path) == digests(ingested)


SCRIPT = """
import sys
from pathlib import Path
from bessemer.curate.ingest import ingest
from bessemer.curate.inventory import take_inventory
from bessemer.engine.tasks import Engine
from tests.unit.curate.test_shards import CURATE, SOURCES

if __name__ == "__main__":
    base, folder = map(Path, sys.argv[1:])
    engine = Engine(runner="processes", workers=2)
    ingest(take_inventory(SOURCES, base), SOURCES, CURATE, folder, engine)
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    corpus: Path, ingested: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.py").write_text(SCRIPT)
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'src'}"}
    command = [sys.executable, str(tmp_path / "run.py"), str(corpus), str(tmp_path / "out")]
    moments: list[Callable[[Path], bool]] = [
        lambda out: any(out.glob(f"{SCRATCH}/tasks/count-*")),
        lambda out: any(out.glob(f"{SCRATCH}/documents/*")),
        lambda out: len(list(out.glob(f"{SCRATCH}/tasks/read-*"))) > 3,
    ]
    for moment in moments:
        process = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 60
        while process.poll() is None and not moment(tmp_path / "out"):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        prepare_folder(tmp_path / "out")
    run_ingest(corpus, SOURCES, CURATE, tmp_path / "out", Engine(runner="processes", workers=2))
    assert digests(tmp_path / "out") == digests(ingested)


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.none() | st.integers(0, 400), max_size=30),
    shard_bytes=st.integers(1, 1500),
)
def test_a_shard_ends_with_the_row_that_fills_it(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int | None], shard_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    writer = ShardWriter(folder, "00007", "s", shard_bytes)
    expected: list[list[int]] = [[]]
    filled = 0
    for doc_id, size in enumerate(sizes):
        if filled >= shard_bytes:
            expected.append([])
            filled = 0
        expected[-1].append(doc_id)
        if size is None:
            about = {"source": "s", "stage": "ingest", "rule": "unreadable"}
            lost = decision(
                doc_id=doc_id, action="quarantine", num_bytes=3, evidence="error", **about
            )
            writer.add(doc_id, None, [lost])
            filled += len("error") + 128
        else:
            document = Document(
                doc_id=doc_id, text=b"x" * size, content_hash=bytes(16), raw_bytes=size + 2,
                url="u", metadata="{}",
            )  # fmt: skip
            writer.add(doc_id, document, [])
            filled += size + len("u{}") + 64
    writer.close(first_doc_id=0)
    assert writer.ranges == [(ids[0], ids[-1]) if ids else (0, -1) for ids in expected]
    table = place_shards(folder, [("00007", {"source": "s", "ranges": writer.ranges})])
    assert table["shard"].to_pylist() == list(range(len(expected)))
    known = [size for size in sizes if size is not None]
    for shard, ids in enumerate(expected):
        documents = read_table(folder / "documents" / shard_name(shard))
        ledger = read_table(folder / "decisions" / shard_name(shard))
        assert documents["doc_id"].to_pylist() == [n for n in ids if sizes[n] is not None]
        assert ledger["doc_id"].to_pylist() == [n for n in ids if sizes[n] is None]
    assert writer.sums == {
        "docs_out": len(known), "docs_quarantined": len(sizes) - len(known),
        "bytes_out": sum(known), "bytes_quarantined": 3 * (len(sizes) - len(known)),
        "bytes_edited": 0, "bytes_inserted": 0, "bytes_markup": 2 * len(known),
    }  # fmt: skip


def test_more_shards_than_there_are_names_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    result = {"source": "s", "ranges": [(n, n) for n in range(100_000)]}
    with pytest.raises(DataError, match=r"^100000 shards, .* set curate\.shard_bytes higher"):
        place_shards(tmp_path, [("00000", result)])


def test_a_file_that_expands_fills_many_shards(corpus: Path, tmp_path: Path) -> None:
    source = SOURCES[0].model_copy(update={"path": ("a/2.jsonl.zst",)})
    assert take_inventory([source], corpus)[0].size_bytes < CURATE.shard_bytes
    found = run_ingest(corpus, [source], CURATE, tmp_path, Engine())
    assert len(list((tmp_path / "documents").iterdir())) > 10
    assert found.sums["a"].docs_in == 150


def test_spans_of_edits_fill_shards_as_text_does(tmp_path: Path) -> None:
    spans = [{"start_byte": n, "end_byte": n + 1, "replacement": None} for n in range(1000)]
    writer = ShardWriter(tmp_path, "00000", "a", 100_000)
    for doc_id in range(20):
        edit = decision(
            doc_id=doc_id, source="a", stage="ingest", rule="r", action="edit", num_bytes=0,
            spans=spans,
        )  # fmt: skip
        writer.add(doc_id, Document(doc_id, b"x", bytes(16), 1, "", "{}"), [edit])
        assert writer._batch_bytes < 4 * 2**20
    writer.close(0)
    assert writer.ranges == [(0, 3), (4, 7), (8, 11), (12, 15), (16, 19)]
