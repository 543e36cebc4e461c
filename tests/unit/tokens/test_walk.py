"""A source is gone through chunk by chunk, all of them once per epoch; every sum is a count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.tokens import walk as module
from bessemer.tokens.walk import Walk

WALKS = st.builds(
    Walk,
    num_chunks=st.integers(1, 12),
    chunk_tokens=st.integers(1, 6),
    seed=st.integers(0, 5),
    source=st.sampled_from(["web", "books"]),
)


@given(WALKS)
def test_every_token_of_every_chunk_comes_once_per_epoch(walk: Walk) -> None:
    orders = []
    for epoch in range(3):
        first = epoch * walk.epoch_tokens
        places = [walk.place_of(first + at) for at in range(walk.epoch_tokens)]
        assert {place.epoch for place in places} == {epoch}
        assert sorted((place.chunk, place.offset) for place in places) == [
            (chunk, offset)
            for chunk in range(walk.num_chunks)
            for offset in range(walk.chunk_tokens)
        ]
        for at, place in enumerate(places):
            assert walk.begin_of(epoch, place.chunk) + place.offset == first + at
        orders.append([place.chunk for place in places])
    if walk.num_chunks > 7:
        assert len({tuple(order) for order in orders}) == 3  # a new order every epoch


@given(WALKS, st.data())
def test_visits_and_tails_are_what_a_count_finds(walk: Walk, data: st.DataObject) -> None:
    until = data.draw(st.integers(0, 3 * walk.epoch_tokens))
    tail = data.draw(st.integers(0, walk.chunk_tokens))
    places = [walk.place_of(position) for position in range(until)]
    for chunk in range(walk.num_chunks):
        begins = [at for at, p in enumerate(places) if p.chunk == chunk and p.offset == 0]
        assert list(walk.visits(chunk, until)) == begins
    last = walk.num_chunks - 1
    in_tail = [p for p in places if p.chunk == last and p.offset >= walk.chunk_tokens - tail]
    assert walk.visited_tail(tail, until) == len(in_tail)


@pytest.mark.parametrize("at_once", [1, 5, 1000])
def test_chunks_between_are_those_of_the_turns(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TURNS_AT_ONCE", at_once)
    walk = Walk(num_chunks=7, chunk_tokens=4, seed=1, source="web")
    turns = [walk.place_of(4 * turn).chunk for turn in range(30)]
    for begin, end in ((0, 30), (3, 3), (5, 22), (7, 14)):
        found = list(walk.chunks_between(4 * begin, 4 * end))
        assert np.concatenate([np.empty(0, np.int64), *found]).tolist() == turns[begin:end]


def test_the_order_is_a_function_of_seed_source_and_epoch() -> None:
    def order(seed: int, source: str, epoch: int) -> list[int]:
        walk = Walk(num_chunks=50, chunk_tokens=1, seed=seed, source=source)
        return [walk.place_of(epoch * 50 + at).chunk for at in range(50)]

    orders = [order(s, n, e) for s in (0, 1) for n in ("web", "books") for e in (0, 1)]
    assert len({tuple(each) for each in orders}) == 8
    assert order(0, "web", 0) == orders[0]
