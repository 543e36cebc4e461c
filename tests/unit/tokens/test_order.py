"""Which tokens a sample holds is a pure function: every chunk once per epoch, evenly mixed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.schema import MIX_PLAN
from bessemer.core.storage import write_json, write_table
from bessemer.tokens.order import SampleOrder, interleave

from .twins import circular_rows, rows_of, write_shards

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(any)


@given(COUNTS)
def test_sources_are_interleaved_evenly_at_every_prefix(counts: list[int]) -> None:
    source, turn = interleave(counts)
    total, num_sources = sum(counts), len([count for count in counts if count])
    seen = [0] * len(counts)
    for place, (s, k) in enumerate(zip(source.tolist(), turn.tolist(), strict=True), 1):
        assert k == seen[s]  # the turns of a source come in order, each once
        seen[s] += 1
        for number, count in zip(seen, counts, strict=True):
            # Each source is within half a turn of its line, so a prefix of n turns misses a share
            # p of them by at most (1 - p) / 2 + p (num_sources - 1) / 2: a half for two sources.
            share = Fraction(count, total)
            bound = (1 + share * (num_sources - 2)) / 2
            assert abs(number - share * place) <= bound
    assert seen == counts


def test_two_sources_are_interleaved_within_half_a_turn() -> None:
    source, turn = interleave([2, 6])
    assert source.tolist() == [1, 0, 1, 1, 1, 0, 1, 1]  # at a tie the earlier source goes first
    assert turn.tolist() == [0, 0, 1, 2, 3, 1, 4, 5]


@given(COUNTS)
def test_turns_stand_where_their_exact_fractions_do(counts: list[int]) -> None:
    expected = sorted(
        (Fraction(2 * turn + 1, 2 * count), source, turn)
        for source, count in enumerate(counts)
        for turn in range(count)
    )
    source, turn = interleave(counts)
    assert [(s, t) for _, s, t in expected] == list(
        zip(source.tolist(), turn.tolist(), strict=True)
    )


SHARDS = {
    "web": [[[n] for n in range(50)], [list(range(50, 97))]],
    "books": [[list(range(200, 230))], [[230], [231, 232]]],
    "code": [],
}
PLANNED = {"web": 40, "books": 13, "code": 0}


@pytest.fixture
def make_order(tmp_path: Path) -> Callable[[int], SampleOrder]:
    """The order of 53 samples of 8 tokens: web has 12 chunks (3.3 epochs), books 4 (3.25)."""
    entries = [
        entry
        for source, shards in SHARDS.items()
        for entry in write_shards(tmp_path, source, shards)
    ]
    entries.insert(1, {"shard": "heldout/x", "side": "heldout", "source": "web", "tokens": 9})
    write_json(tmp_path / "shards.json", entries)
    rows = [dict.fromkeys(MIX_PLAN.names, 0) | {"source": s, "planned_samples": n}
            for s, n in PLANNED.items()]  # fmt: skip
    write_table(tmp_path / "plan.parquet", pa.Table.from_pylist(rows, schema=MIX_PLAN))
    return lambda seed: SampleOrder(tmp_path, tmp_path, 8, seed)


@pytest.fixture
def order(make_order: Callable[[int], SampleOrder]) -> SampleOrder:
    return make_order(3)


def test_every_chunk_of_a_source_comes_once_per_epoch(order: SampleOrder) -> None:
    assert order.num_samples == 53
    seen: dict[tuple[int, int], list[int]] = {}
    for sample in range(order.num_samples):
        source, epoch, chunk = order.chunk_of(sample)
        seen.setdefault((source, epoch), []).append(chunk)
    sizes = [order.num_chunks(source) for source in (0, 1)]
    assert sizes == [12, 4]
    assert {key: len(chunks) for key, chunks in seen.items()} == {
        (0, 0): 12, (0, 1): 12, (0, 2): 12, (0, 3): 4, (1, 0): 4, (1, 1): 4, (1, 2): 4, (1, 3): 1,
    }  # fmt: skip
    for (source, _), chunks in seen.items():
        assert len(set(chunks)) == len(chunks)
        assert set(chunks) <= set(range(sizes[source]))
    assert len({tuple(seen[0, epoch]) for epoch in range(3)}) == 3  # a new order every epoch


def test_samples_hold_the_tokens_of_their_chunks_and_are_full(order: SampleOrder) -> None:
    for sample in range(order.num_samples):
        source, epoch, chunk = order.chunk_of(sample)
        read = order.read(sample)
        assert rows_of(read) == circular_rows(SHARDS[order.sources[source]], 8 * chunk, 8)
        assert read.source == source
        assert (read.doc_ids >= 0).all()
        place = order.locate(sample)
        assert (place.sample, place.source, place.epoch) == (sample, order.sources[source], epoch)
        assert sum(part.num_tokens for part in place.ranges) == 8


def test_samples_with_some_tokens_are_those_that_hold_them(order: SampleOrder) -> None:
    holding: dict[tuple[int, int], set[int]] = {}
    for sample in range(order.num_samples):
        place = order.locate(sample)
        source = order.sources.index(place.source)
        for part in place.ranges:
            start = order.streams[source].position_of(part.shard, part.token_start)
            for position in range(start, start + part.num_tokens):
                holding.setdefault((source, position), set()).add(sample)
    for source in (0, 1):
        for begin in range(order.streams[source].num_tokens):
            for end in (begin + 1, begin + 3, begin + 11):
                expected = set().union(
                    *(holding.get((source, position), set()) for position in range(begin, end))
                )
                if end <= order.streams[source].num_tokens:
                    assert order.samples_with(source, begin, end) == sorted(expected)


def test_the_order_is_a_function_of_the_seed(make_order: Callable[[int], SampleOrder]) -> None:
    def chunks(seed: int) -> list[tuple[int, int, int]]:
        order = make_order(seed)
        return [order.chunk_of(sample) for sample in reversed(range(53))][::-1]

    assert chunks(3) == chunks(3)
    assert chunks(3) != chunks(4)
    # The seed moves chunks, not sources: proportions stay even whatever it is.
    assert [each[0] for each in chunks(3)] == [each[0] for each in chunks(4)]
