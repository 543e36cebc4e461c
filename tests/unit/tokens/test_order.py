"""Which tokens a sample holds is a pure function: every chunk once per epoch, evenly mixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.schema import MIX_PLAN
from bessemer.core.storage import write_json, write_table
from bessemer.tokens.order import (
    SampleOrder,
    TokenRange,
    TokenStream,
    interleave,
    permute,
    unpermute,
)
from bessemer.tokens.shard import write_shard


@pytest.mark.parametrize("key", [0, 1, 2**64 - 1])
def test_permute_is_a_bijection_that_unpermute_undoes(key: int) -> None:
    for size in range(1, 301):
        images = [permute(index, size, key) for index in range(size)]
        assert sorted(images) == list(range(size))
        assert [unpermute(image, size, key) for image in images] == list(range(size))


def test_orders_are_pinned() -> None:
    assert [permute(index, 12, 7) for index in range(12)] == [3, 8, 1, 10, 7, 6, 5, 4, 9, 2, 11, 0]


@pytest.mark.parametrize("size", [4097, 65536, 65537])
def test_permute_is_a_bijection_of_large_sizes_too(size: int) -> None:
    assert len({permute(index, size, 7) for index in range(size)}) == size


@given(st.integers(1, 2**50), st.integers(0, 2**64 - 1), st.data())
def test_permute_stays_in_range_and_is_undone(size: int, key: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    image = permute(index, size, key)
    assert 0 <= image < size
    assert unpermute(image, size, key) == index


def test_what_is_out_of_range_is_not_permuted() -> None:
    for function in (permute, unpermute):
        for index in (-1, 5):
            with pytest.raises(AssertionError):
                function(index, 5, 0)


def test_different_keys_give_different_orders() -> None:
    orders = [tuple(permute(index, 50, key) for index in range(50)) for key in range(200)]
    assert len(set(orders)) == 200
    assert tuple(range(50)) not in orders


def test_an_order_is_about_uniform_over_keys() -> None:
    # Where index 3 of 16 goes under 4,000 keys: a chi-square of 15 degrees of freedom has mean 15
    # and standard deviation sqrt(30); the keys are fixed, so five deviations are no gamble.
    places = Counter(permute(3, 16, key) for key in range(4000))
    assert sum((places[n] - 250) ** 2 / 250 for n in range(16)) < 15 + 5 * 30**0.5


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


Documents = list[list[int]]


def make_stream(folder: Path, name: str, shards: list[Documents]) -> list[str]:
    """Write shards of documents whose tokens are all different; their names."""
    names = []
    for number, documents in enumerate(shards):
        names.append(f"train/{name}{number}")
        doc_ids = [1000 * number + row for row in range(len(documents))]
        write_shard(folder / names[-1], documents, doc_ids, [1] * len(documents), 70_000)
    return names


def brute_force(shards: list[Documents], seq_len: int) -> list[list[tuple[int, int]]]:
    """Chunks as (token, document) pairs: all documents in one list, cut."""
    flat = [
        (token, 1000 * number + row)
        for number, documents in enumerate(shards)
        for row, document in enumerate(documents)
        for token in document
    ]
    return [flat[at : at + seq_len + 1] for at in range(0, len(flat) - 1, seq_len)]


SIZES = st.lists(st.lists(st.integers(1, 20), max_size=4), min_size=1, max_size=4)


@given(sizes=SIZES, seq_len=st.integers(1, 12))
def test_chunks_are_those_of_all_documents_in_one_row(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[list[int]], seq_len: int
) -> None:
    numbers = iter(range(10_000))
    shards = [[[next(numbers) for _ in range(n)] for n in shard] for shard in sizes]
    folder = tmp_path_factory.mktemp("stream")
    stream = TokenStream(folder, make_stream(folder, "s", shards), seq_len)
    expected = brute_force(shards, seq_len)
    assert stream.num_tokens == sum(map(sum, sizes))
    assert stream.num_chunks == len(expected)
    for chunk, pairs in enumerate(expected):
        tokens, doc_ids = stream.read(chunk)
        assert tokens.dtype == doc_ids.dtype == np.int64
        assert list(zip(tokens.tolist(), doc_ids.tolist(), strict=True)) == pairs
        located = []
        for part in stream.locate(chunk):
            whole = [token for d in shards[stream.names.index(part.shard)] for token in d]
            located += whole[part.token_start : part.token_start + part.num_tokens]
        assert located == tokens.tolist()
    predicted = [token for pairs in expected for token, _ in pairs[1:]]
    assert predicted == list(range(1, stream.num_tokens))  # every token but the first, once


def test_a_chunk_across_shards_is_a_range_of_each(tmp_path: Path) -> None:
    names = make_stream(tmp_path, "s", [[[1, 2, 3]], [], [[4, 5], [6]], [[7, 8, 9, 10]]])
    stream = TokenStream(tmp_path, names, 6)
    assert stream.locate(0) == (
        TokenRange(shard="train/s0", token_start=0, num_tokens=3),
        TokenRange(shard="train/s2", token_start=0, num_tokens=3),
        TokenRange(shard="train/s3", token_start=0, num_tokens=1),
    )
    assert stream.locate(1) == (TokenRange(shard="train/s3", token_start=0, num_tokens=4),)
    assert stream.num_chunks == 2


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
        {"shard": name, "side": "train", "source": source, "tokens": 0}
        for source, shards in SHARDS.items()
        for name in make_stream(tmp_path, source, shards)
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
    sizes = [stream.num_chunks for stream in order.streams]
    assert sizes == [12, 4, 0]
    assert {key: len(chunks) for key, chunks in seen.items()} == {
        (0, 0): 12, (0, 1): 12, (0, 2): 12, (0, 3): 4, (1, 0): 4, (1, 1): 4, (1, 2): 4, (1, 3): 1,
    }  # fmt: skip
    for (source, _), chunks in seen.items():
        assert len(set(chunks)) == len(chunks)
        assert set(chunks) <= set(range(sizes[source]))
    assert len({tuple(seen[0, epoch]) for epoch in range(3)}) == 3  # a new order every epoch


def test_samples_hold_the_tokens_of_their_chunks(order: SampleOrder) -> None:
    chunks = [brute_force(SHARDS[source], 8) for source in order.sources]
    for sample in range(order.num_samples):
        source, epoch, chunk = order.chunk_of(sample)
        tokens, doc_ids = order.read(sample)
        assert list(zip(tokens.tolist(), doc_ids.tolist(), strict=True)) == chunks[source][chunk]
        place = order.locate(sample)
        assert (place.sample, place.source, place.epoch) == (sample, order.sources[source], epoch)
        assert sum(part.num_tokens for part in place.ranges) == len(tokens)


def test_samples_of_is_the_inverse_of_chunk_of(order: SampleOrder) -> None:
    holding: dict[tuple[int, int], list[int]] = {}
    for sample in range(order.num_samples):
        source, _, chunk = order.chunk_of(sample)
        holding.setdefault((source, chunk), []).append(sample)
    for source, stream in enumerate(order.streams):
        for chunk in range(stream.num_chunks):
            assert order.samples_of(source, chunk) == holding[source, chunk]


def test_the_order_is_a_function_of_the_seed(make_order: Callable[[int], SampleOrder]) -> None:
    def chunks(seed: int) -> list[tuple[int, int, int]]:
        order = make_order(seed)
        return [order.chunk_of(sample) for sample in reversed(range(53))][::-1]

    assert chunks(3) == chunks(3)
    assert chunks(3) != chunks(4)
    # The seed moves chunks, not sources: proportions stay even whatever it is.
    assert [each[0] for each in chunks(3)] == [each[0] for each in chunks(4)]
