"""Of equal documents the one of the best source stays, then the first: the ledger names it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from tests.ledgers import read_decisions

from bessemer.core.layout import DOCUMENTS, SHARD_RANGES
from bessemer.core.manifest import Conservation
from bessemer.core.schema import COPY_COUNT, DOCUMENT, SHARD_RANGE
from bessemer.core.storage import read_table, write_table
from bessemer.curate.duplicates.exact import exact
from bessemer.curate.ledger import list_shards, read_survivors, shard_name
from bessemer.engine.tasks import Engine

IngestTexts = Callable[..., Path]


def dropped(folder: Path) -> list[tuple[int, int]]:
    """(document, the one kept) of every drop, each row checked to be complete."""
    found = []
    for row in read_decisions([folder]).to_pylist():
        assert (row["stage"], row["rule"], row["action"]) == ("exact", "exact_duplicate", "drop")
        assert row["decisive"]
        found.append((row["doc_id"], row["evidence_doc_id"]))
    return found


def test_the_smallest_id_stays_across_shards_and_sources(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    ingested = ingest_texts(
        ("web", ["one", "two", "one", ""]), ("web", ["two", "three"]), ("books", ["", "one", "One"])
    )
    result = exact(ingested, [], ["web", "books"], tmp_path / "exact", Engine())
    second, third = 1 << 32, 2 << 32
    assert dropped(tmp_path / "exact") == [(2, 0), (second, 1), (third, 3), (third + 1, 0)]
    assert result.conservation == (
        Conservation(source="web", docs_in=6, docs_out=4, docs_dropped=2, bytes_in=17,
                     bytes_out=11, bytes_dropped=6),
        Conservation(source="books", docs_in=3, docs_out=1, docs_dropped=2, bytes_in=6,
                     bytes_out=3, bytes_dropped=3),
    )  # fmt: skip
    for sums in result.conservation:
        sums.check("exact")


def copies(folder: Path) -> dict[int, int]:
    table = read_table(folder / "copies.parquet")
    assert table.schema == COPY_COUNT
    return dict(zip(*table.to_pydict().values(), strict=True))


@pytest.mark.parametrize(
    ("source_priority", "order"),
    [((), "web books wiki"), (("wiki",), "wiki web books"), (("wiki", "books"), "wiki books web")],
)
@pytest.mark.parametrize("part_bytes", [2**27, 2**9])
def test_the_source_decides_before_the_id(
    ingest_texts: IngestTexts, tmp_path: Path, source_priority: tuple[str, ...], order: str,
    part_bytes: int,
) -> None:  # fmt: skip
    draw = random.Random(1)
    shards = [
        (source, [f"text {draw.randrange(40)}" for _ in range(30)])
        for source in ("web", "web", "books", "wiki")
    ]
    sources = ["web", "books", "wiki"]
    exact(
        ingest_texts(*shards), [], sources, tmp_path / "exact", Engine(), part_bytes,
        source_priority,
    )  # fmt: skip
    groups: dict[str, list[tuple[int, int]]] = {}
    for number, (source, texts) in enumerate(shards):
        for row, text in enumerate(texts):
            rank = order.split().index(source), number << 32 | row
            groups.setdefault(text, []).append(rank)
    expected = [
        (doc_id, min(ranks)[1])
        for ranks in groups.values()
        for _, doc_id in ranks
        if doc_id != min(ranks)[1]
    ]
    assert dropped(tmp_path / "exact") == sorted(expected)
    assert copies(tmp_path / "exact") == {
        min(ranks)[1]: len(ranks) for ranks in groups.values() if len(ranks) > 1
    }
    assert list(copies(tmp_path / "exact")) == sorted(copies(tmp_path / "exact"))


def test_a_document_dropped_before_keeps_nobody_out(
    ingest_texts: IngestTexts, drop: Callable[[Path, Sequence[int]], Path], tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", ["one", "one", "two", "one"]))
    earlier = drop(ingested, [0])
    exact(ingested, [earlier], ["web"], tmp_path / "exact", Engine())
    assert dropped(tmp_path / "exact") == [(3, 1)]


def test_all_sixteen_bytes_of_a_hash_are_compared(tmp_path: Path) -> None:
    """Tables as ingest writes them, of hashes that differ in one byte each: whoever looks at fewer
    bytes than all (CCNet at eight, others at four) takes some of these for equal."""
    hashes = [bytes(16)] + [bytes(at) + b"\x01" + bytes(15 - at) for at in range(16)]
    rows = [
        {"doc_id": number, "content_hash": each, "text": "", "num_bytes": 0, "source": "web"}
        for number, each in enumerate([*hashes, hashes[7]])
    ]
    folder = tmp_path / "ingest"
    write_table(folder / DOCUMENTS / shard_name(0), pa.Table.from_pylist(rows, schema=DOCUMENT))
    shard = {"shard": 0, "source": "web", "first_doc_id": 0, "last_doc_id": len(rows) - 1}
    write_table(folder / SHARD_RANGES, pa.Table.from_pylist([shard], schema=SHARD_RANGE))
    exact(folder, [], ["web"], tmp_path / "exact", Engine())
    assert dropped(tmp_path / "exact") == [(17, 7)]


def test_what_differs_in_a_space_or_a_case_is_not_equal(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    texts = ["café", "café ", "Café", "café\n", "caf\u00e9\u200b"]
    exact(ingest_texts(("web", texts)), [], ["web"], tmp_path / "exact", Engine())
    assert dropped(tmp_path / "exact") == []


@pytest.mark.parametrize(("workers", "part_bytes"), [(1, 2**27), (2, 2**12), (1, 2**14)])
def test_a_large_corpus_agrees_with_a_dictionary(
    ingest_texts: IngestTexts, tmp_path: Path, workers: int, part_bytes: int, two_workers: Engine
) -> None:
    draw = random.Random(0)
    shards = [("web", [f"text {draw.randrange(1500)}" for _ in range(800)]) for _ in range(4)]
    ingested = ingest_texts(*shards)
    engine = two_workers if workers == 2 else Engine()
    result = exact(ingested, [], ["web"], tmp_path / "exact", engine, part_bytes)
    first: dict[str, int] = {}
    expected = []
    for number, (_, texts) in enumerate(shards):
        for row, text in enumerate(texts):
            doc_id = number << 32 | row
            if first.setdefault(text, doc_id) != doc_id:
                expected.append((doc_id, first[text]))
    assert dropped(tmp_path / "exact") == expected
    result.conservation[0].check("exact")
    left = [
        text
        for shard in list_shards(ingested / "documents")
        for text in read_survivors(ingested, [tmp_path / "exact"], shard)["text"].to_pylist()
    ]
    assert left == list(first)


def test_a_killed_stage_goes_on_with_no_part_of_another_size(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    texts = [f"text {number % 700}" for number in range(1400)]
    ingested, folder = ingest_texts(("web", texts[:900]), ("web", texts[900:])), tmp_path / "exact"
    exact(ingested, [], ["web"], folder, Engine(), part_bytes=2**12)
    expected = dropped(folder)
    assert len(expected) == 700
    for written in [*folder.rglob("decide-*.json"), *folder.rglob("decisions/*.parquet")]:
        written.unlink()
    exact(ingested, [], ["web"], folder, Engine(), part_bytes=2**14)
    assert dropped(folder) == expected
