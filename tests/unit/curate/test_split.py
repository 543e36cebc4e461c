"""Held-out text is drawn by the cluster, once and for all, and every source has some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.data import FuzzyConfig
from bessemer.core.keyed import derive_key, uniform
from bessemer.core.schema import SPLIT
from bessemer.core.storage import read_table
from bessemer.curate.fuzzy_dedup import fuzzy
from bessemer.curate.split import draw_heldout, split
from bessemer.engine.tasks import Engine

FRACTIONS = st.sampled_from([0.001, 0.05, 0.3, 0.5, 0.9, 0.999])
SEEDS = st.integers(0, 50)
# (source, cluster within the source) per document
DOCUMENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=40)


def columns(documents: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    clusters = [source << 32 | cluster for source, cluster in documents]
    return np.array(clusters, np.int64), np.array([f"s{source}" for source, _ in documents])


def natural(clusters: np.ndarray, frac: float, seed: int) -> np.ndarray:
    """The side by the draw alone."""
    return uniform(derive_key(seed, "split"), clusters) < frac


def sides_by_source(clusters: np.ndarray, source: np.ndarray, heldout: np.ndarray) -> None:
    for cluster in np.unique(clusters):
        assert len(set(heldout[clusters == cluster].tolist())) == 1  # no cluster on both sides
    for name in np.unique(source):
        mine = source == name
        if len(np.unique(clusters[mine])) > 1:
            assert set(heldout[mine].tolist()) == {True, False}


@given(DOCUMENTS, FRACTIONS, SEEDS)
def test_no_cluster_is_on_both_sides_and_every_source_is(
    documents: list[tuple[int, int]], frac: float, seed: int
) -> None:
    clusters, source = columns(documents)
    heldout = draw_heldout(clusters, clusters, source, frac, seed)
    sides_by_source(clusters, source, heldout)
    # Where the draw gave both sides something, the draw is all that counts; elsewhere one moved.
    for name in np.unique(source):
        mine = source == name
        drawn = natural(clusters, frac, seed)[mine]
        moved = np.unique(clusters[mine][drawn != heldout[mine]])
        is_one_sided = len(set(drawn.tolist())) == 1 and len(np.unique(clusters[mine])) > 1
        assert len(moved) == is_one_sided


@given(DOCUMENTS, DOCUMENTS, FRACTIONS, SEEDS)
def test_clusters_shared_by_sources_do_not_cost_another_source_its_side(
    documents: list[tuple[int, int]], shared: list[tuple[int, int]], frac: float, seed: int
) -> None:
    clusters, source = columns(documents)
    joint = np.array([9 << 32 | cluster for _, cluster in shared], np.int64)
    clusters = np.concatenate([clusters, joint])
    source = np.concatenate([source, [f"s{name}" for name, _ in shared]])
    # Sources with two clusters of their own, or more: with less, both sides may be impossible.
    own = {name: len(set(clusters[(source == name) & (clusters < 9 << 32)].tolist()))
           for name in np.unique(source)}  # fmt: skip
    able = np.array([own[name] > 1 for name in source])
    clusters, source = clusters[able], source[able]
    if len(clusters):
        sides_by_source(clusters, source, draw_heldout(clusters, clusters, source, frac, seed))


def test_a_cluster_that_two_sources_share_is_not_the_one_that_moves() -> None:
    clusters, source = np.array([1, 2, 2, 3]), np.array(["a", "a", "b", "b"])
    for seed, frac in product(range(100), (0.3, 0.5, 0.7)):
        sides_by_source(clusters, source, draw_heldout(clusters, clusters, source, frac, seed))


@given(DOCUMENTS, DOCUMENTS, FRACTIONS, SEEDS)
def test_added_documents_move_none_that_was_drawn(
    documents: list[tuple[int, int]], more: list[tuple[int, int]], frac: float, seed: int
) -> None:
    clusters, source = columns(documents)
    before = draw_heldout(clusters, clusters, source, frac, seed)
    more_clusters, more_source = columns(documents + more)
    after = draw_heldout(more_clusters, more_clusters, more_source, frac, seed)[: len(documents)]
    drawn = natural(clusters, frac, seed)
    # Only one that was moved, then or now, to give its source both sides may change.
    assert ((before == after) | (before != drawn) | (after != drawn)).all()
    assert (before == after)[(before == drawn) & (after == drawn)].all()


@given(DOCUMENTS, FRACTIONS, SEEDS, st.randoms())
def test_the_order_of_documents_does_not_matter(
    documents: list[tuple[int, int]], frac: float, seed: int, random: object
) -> None:
    order = list(range(len(documents)))
    random.shuffle(order)  # type: ignore[attr-defined]
    clusters, source = columns(documents)
    heldout = draw_heldout(clusters, clusters, source, frac, seed)
    mixed = draw_heldout(clusters[order], clusters[order], source[order], frac, seed)
    assert mixed.tolist() == heldout[order].tolist()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("frac", [0.01, 0.05, 0.5])
def test_the_share_held_out_is_the_one_asked_for(frac: float, seed: int) -> None:
    num = 50_000
    clusters = np.arange(num) + (3 << 32)
    heldout = draw_heldout(clusters, clusters, np.full(num, "web"), frac, seed)
    # A binomial count is within five standard deviations, but for once in two million draws.
    assert abs(heldout.sum() - frac * num) < 5 * (num * frac * (1 - frac)) ** 0.5


def test_another_seed_holds_out_others() -> None:
    clusters, source = np.arange(1000), np.full(1000, "web")
    held = [draw_heldout(clusters, clusters, source, 0.2, seed) for seed in (0, 1)]
    assert (held[0] & held[1]).sum() < 100


def test_a_source_of_one_cluster_follows_the_draw() -> None:
    clusters, source = np.array([5, 5, 5]), np.array(["web"] * 3)
    found = {draw_heldout(clusters, clusters, source, 0.5, seed).tolist()[0] for seed in range(20)}
    assert found == {True, False}


@pytest.fixture
def pipeline(
    ingest_texts: Callable[..., Path],
    drop: Callable[[Path, Sequence[int]], Path],
    tmp_path: Path,
) -> tuple[Path, list[Path], Path]:
    """An ingest of two sources, the ledgers of earlier stages, and the folder of fuzzy."""
    words = [f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}" for n in range(200)]
    # Each overlaps the next by nine tenths: one chain, of which fuzzy keeps every other.
    chain = [" ".join(words[at : at + 100]) for at in range(0, 60, 10)]
    alone = [" ".join(words[::-1][at : at + 7]) + f" {chr(97 + at)} end" for at in range(20)]
    ingested = ingest_texts(("web", chain[::2]), ("web", alone), ("books", chain[1::2]))
    ledgers = [drop(ingested, [1 << 32])]
    config = FuzzyConfig(num_bands=100, rows_per_band=2)
    fuzzy(ingested, ledgers, ["web", "books"], config, 0, tmp_path / "fuzzy", Engine())
    return ingested, [*ledgers, tmp_path / "fuzzy"], tmp_path / "fuzzy"


def test_what_is_left_is_written_shard_by_shard_with_its_side(
    pipeline: tuple[Path, list[Path], Path], tmp_path: Path
) -> None:
    ingested, ledgers, fuzzy_folder = pipeline
    result = split(ingested, ledgers, fuzzy_folder, ["web", "books"], 0.4, 1, tmp_path / "split")
    shards = [f"{n:05d}.parquet" for n in range(3)]
    tables = [read_table(tmp_path / "split" / "splits" / shard) for shard in shards]
    assert all(table.schema == SPLIT for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    dropped = [
        doc_id
        for folder in ledgers
        for shard in shards
        for doc_id in read_table(folder / "decisions" / shard)["doc_id"].to_pylist()
    ]
    documents = [
        row
        for shard in shards
        for row in read_table(ingested / "documents" / shard).to_pylist()
        if row["doc_id"] not in dropped
    ]
    assert len(dropped) == 4  # one before, every other link of the chain of six
    assert [(row["doc_id"], row["source"], row["num_bytes"]) for row in rows] == [
        (row["doc_id"], row["source"], row["num_bytes"]) for row in documents
    ]
    clusters = read_table(fuzzy_folder / "clusters.parquet").to_pylist()
    cluster_of = {row["doc_id"]: row["cluster_id"] for row in clusters}
    for row in rows:
        assert row["cluster_id"] == cluster_of.get(row["doc_id"], row["doc_id"])
    linked = [row for row in rows if row["doc_id"] in cluster_of]
    assert len(linked) == 3
    assert len({row["split"] for row in linked}) == 1
    sums: dict[str, dict[str, dict[str, int]]] = {"train": {}, "heldout": {}}
    for row in rows:
        entry = sums[row["split"]].setdefault(row["source"], {"docs": 0, "bytes": 0})
        entry["docs"] += 1
        entry["bytes"] += row["num_bytes"]
    assert result.summary == sums
    for total in result.conservation:
        total.check("split")
        assert total.docs_in == len([row for row in rows if row["source"] == total.source])


def test_files_added_before_the_others_move_no_document(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    texts = [f"document {n} of many" for n in range(200)]
    sides = []
    for name, shards in [("few", [("web", texts)]), ("more", [("a", ["new"] * 9), ("web", texts)])]:
        base = tmp_path / name
        base.mkdir()
        ingested = ingest_texts(*shards).rename(base / "ingest")
        (tmp_path / "texts").rename(base / "texts")
        sources = [source for source, _ in shards]
        fuzzy(ingested, [], sources, FuzzyConfig(enabled=False), 0, base / "fuzzy", Engine())
        split(ingested, [], base / "fuzzy", sources, 0.3, 1, base / "split")
        tables = [read_table(path) for path in sorted((base / "split" / "splits").iterdir())]
        rows = [row for table in tables for row in table.to_pylist() if row["source"] == "web"]
        sides.append([row["split"] for row in rows])
    assert len(sides[0]) == 200
    assert sides[0] == sides[1]
    assert set(sides[0]) == {"train", "heldout"}


def test_the_draw_is_the_smallest_content_hash_of_the_cluster(
    pipeline: tuple[Path, list[Path], Path], tmp_path: Path
) -> None:
    ingested, ledgers, fuzzy_folder = pipeline
    split(ingested, ledgers, fuzzy_folder, ["web", "books"], 0.4, 1, tmp_path / "split")
    tables = [read_table(path) for path in sorted((tmp_path / "split" / "splits").iterdir())]
    rows = [row for table in tables for row in table.to_pylist()]
    hashes = {
        row["doc_id"]: int.from_bytes(row["content_hash"][:8])
        for path in sorted((ingested / "documents").iterdir())
        for row in read_table(path).to_pylist()
    }
    lots = [
        min(hashes[mate["doc_id"]] for mate in rows if mate["cluster_id"] == row["cluster_id"])
        for row in rows
    ]
    drawn = natural(np.array(lots, np.uint64), 0.4, 1)
    assert [row["split"] == "heldout" for row in rows] == drawn.tolist()
