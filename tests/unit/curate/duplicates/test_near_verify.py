"""Pairs are verified a few at a time: the same comes of it, in memory that is bounded by these."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bessemer.config.duplicates import FuzzyConfig
from bessemer.curate.duplicates import near_verify
from bessemer.curate.duplicates.keepers import RANKED
from bessemer.engine.shuffle import gather, scatter, write_part

from .near import SURE, find, ingest_jsonl, make_texts

NUM_DOCUMENTS, SET_SIZE = 400, 10_000


def test_few_pairs_at_a_time_drop_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = make_texts(seed=7, num_families=40)
    ingested = ingest_jsonl(tmp_path / "in", texts[::2], texts[1::2])
    at_once = find(ingested, tmp_path / "at-once", SURE)
    assert len(at_once) > 20
    monkeypatch.setattr(near_verify, "_SHINGLES_AT_A_TIME", 500)
    assert find(ingested, tmp_path / "few", SURE) == at_once
    pairs = [(tmp_path / name / "pairs.parquet").read_bytes() for name in ("at-once", "few")]
    assert pairs[0] == pairs[1]


def write_chain(folder: Path) -> tuple[list[Path], list[Path]]:
    """Documents of which each shares all but a hundredth of its shingles with the next: files of
    ten of them, out of order, and a file of their pairs."""
    draw = np.random.default_rng(5)
    step = SET_SIZE // 200
    pool = np.sort(draw.integers(0, 2**63, SET_SIZE + step * NUM_DOCUMENTS, dtype=np.uint64))
    documents = []
    for number, ids in enumerate(np.split(draw.permutation(NUM_DOCUMENTS), NUM_DOCUMENTS // 10)):
        sets = [pool[at * step : at * step + SET_SIZE] for at in ids]
        columns = {
            "doc_id": ids,
            "num_shingles": np.full(len(ids), SET_SIZE),
            "score": np.zeros(len(ids), np.float32),
            "num_bytes": ids,
            "source_place": np.zeros(len(ids), np.int32),
        }
        rows = pa.table(columns, schema=RANKED)
        rows = rows.append_column("shingles", pa.array(sets, pa.large_list(pa.uint64())))
        documents.append(folder / f"{number}.arrow")
        scatter(documents[-1], rows, np.zeros(len(ids), np.uint64), 1)
    ends = np.arange(NUM_DOCUMENTS)
    write_part(folder / "pairs.arrow", pa.table({"left": ends[:-1], "right": ends[1:]}))
    return documents, [folder / "pairs.arrow"]


def test_a_component_may_be_larger_than_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, pairs = write_chain(tmp_path)
    num_bytes = sum(path.stat().st_size for path in documents)
    monkeypatch.setattr(near_verify, "_SHINGLES_AT_A_TIME", 10 * SET_SIZE)
    out = [tmp_path / f"{name}.arrow" for name in ("drops", "clusters", "sample")]
    pool = pa.proxy_memory_pool(pa.system_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        found = near_verify.verify_part(documents, pairs, FuzzyConfig(), 0, *out)
        peak = tracemalloc.get_traced_memory()[1] + (pool.max_memory() or 0)
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert found["verified"] == found["candidates"] == NUM_DOCUMENTS - 1
    # The longest, which is the best, stays, and then each second: it is like none that stays.
    assert gather([out[0]], 0)["doc_id"].to_pylist() == list(range(0, NUM_DOCUMENTS, 2))
    assert peak < num_bytes / 6
