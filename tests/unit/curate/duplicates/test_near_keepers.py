"""Of near-duplicates the best stays: by score, length, source and id, never by what came first."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.storage import read_table, write_table
from bessemer.engine.tasks import Engine

from .near import (
    SURE,
    find,
    ingest_jsonl,
    keepers_by_all_pairs,
    make_texts,
    read_texts,
    texts_by_id,
)

IngestTexts = Callable[..., Path]


def write_scores(ingested: Path, folder: Path, scores: dict[int, float | None]) -> Path:
    """A table of signals that has nothing but scores, a shard beside each of `ingested`."""
    for path in sorted((ingested / "documents").glob("*.parquet")):
        doc_ids = read_table(path, ["doc_id"])["doc_id"].to_pylist()
        column = pa.array([scores[doc_id] for doc_id in doc_ids], pa.float32())
        table = pa.table({"doc_id": np.array(doc_ids, np.int64), "quality_score": column})
        write_table(folder / "signals" / path.name, table)
    return folder


@pytest.mark.parametrize("part_bytes", [2**15])
def test_score_then_length_then_source_then_id(
    ingest_texts: IngestTexts, tmp_path: Path, part_bytes: int
) -> None:
    draw = random.Random(8)
    texts = make_texts(8, 30)
    texts += [text.upper() for text in draw.sample(texts, 20)]  # as long, and another id
    draw.shuffle(texts)
    shards = texts[:35], texts[35:70], texts[70:]
    by_id = texts_by_id(*shards)
    ingested = ingest_texts(*zip(["web", "books", "wiki"], shards, strict=True))
    scores = {doc_id: draw.choice([None, math.nan, 0.1, 0.7]) for doc_id in by_id}
    sources, priority = ["web", "books", "wiki"], ["wiki"]
    signals = write_scores(ingested, tmp_path / "signals", scores)

    def rank(doc_id: int) -> tuple[object, ...]:
        score = scores[doc_id]
        worth = -math.inf if score is None or math.isnan(score) else score
        return -worth, -len(by_id[doc_id].encode()), [1, 2, 0][doc_id >> 32], doc_id

    with_scores = find(
        ingested, tmp_path / "scores", SURE, sources, part_bytes=part_bytes,
        source_priority=priority, signals=signals,
    )  # fmt: skip
    assert with_scores == keepers_by_all_pairs(by_id, SURE, rank)
    without = find(
        ingested, tmp_path / "none", SURE, sources, part_bytes=part_bytes, source_priority=priority
    )
    assert without == keepers_by_all_pairs(by_id, SURE, lambda doc_id: rank(doc_id)[1:])
    assert with_scores != without


@settings(max_examples=3)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_neither_order_nor_files_nor_shards_nor_workers_matter(
    tmp_path_factory: pytest.TempPathFactory, two_workers: Engine, seed: int, data: st.DataObject
) -> None:
    """The same texts in other files, another order, shards, parts and numbers of workers: the same
    texts stay, for no two are alike in all that the order goes by but their ids."""
    texts = [text.ljust(1500 + n, "!") for n, text in enumerate(make_texts(seed, 5))]
    kept = set()
    for engine in (Engine(), two_workers):
        base = tmp_path_factory.mktemp("order")
        mixed = data.draw(st.permutations(texts))
        cut = data.draw(st.integers(0, len(mixed)))
        shard_bytes = data.draw(st.sampled_from([2000, 2**20]))
        ingested = ingest_jsonl(base, mixed[:cut], mixed[cut:], shard_bytes=shard_bytes)
        part_bytes = data.draw(st.sampled_from([2**14, 2**27]))
        dropped = find(
            ingested, base / "fuzzy", SURE, ["web"], engine=engine, part_bytes=part_bytes
        )
        there = read_texts(ingested)
        assert len(there) == len(texts)
        kept.add(frozenset(text for doc_id, text in there.items() if doc_id not in dropped))
    assert len(kept) == 1
