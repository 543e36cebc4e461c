"""Buckets and scores of n-grams: by hand, against the twin, and for what a score depends on."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.ngrams import (
    bucket_scores,
    buckets_of,
    linear_scores,
    ngram_buckets,
    pair_hashes,
)

from . import twins
from .texts import EDGE_CASES, SETTINGS, TEXTS, layouts


def expected(text: str, bits: int) -> list[int]:
    """The distinct buckets of a text in order of first appearance."""
    words = [twins.word_hash(word) for word in twins.words(text)]
    keys = []
    for place, word in enumerate(words):
        keys.append(word)
        keys += [twins.running_hash(words[place : place + 2])] if place + 1 < len(words) else []
    return list(dict.fromkeys(key >> (64 - bits) for key in keys))


def found(array: pa.Array | pa.ChunkedArray, bits: int) -> list[list[int]]:
    offsets, buckets = ngram_buckets(array, bits)
    assert (offsets.dtype, buckets.dtype, offsets[-1]) == (np.int64, np.int32, len(buckets))
    return [buckets[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def test_buckets_by_hand() -> None:
    a, b = twins.word_hash("a"), twins.word_hash("b")
    ab, ba, aa = (twins.running_hash(pair) for pair in ([a, b], [b, a], [a, a]))
    rows = found(pa.array(["A b", "b, a.", "a a a", "a", "...", None]), 20)
    assert rows == [
        [key >> 44 for key in keys] for keys in ([a, ab, b], [b, ba, a], [a, aa], [a], [], [])
    ]
    assert pair_hashes(np.array([a, b, a], np.uint64)).tolist() == [ab, ba]
    assert pair_hashes(np.array([], np.uint64)).tolist() == []
    assert buckets_of(np.array([a, ab], np.uint64), 20).tolist() == [a >> 44, ab >> 44]


@pytest.mark.parametrize("layout", layouts([""]))
def test_twin_on_edge_cases(layout: str) -> None:
    array = layouts(EDGE_CASES)[layout]
    assert found(array, 12) == [expected(text, 12) for text in EDGE_CASES]


@SETTINGS
@given(st.lists(TEXTS, max_size=5), st.sampled_from([1, 4, 20]))
def test_twin_on_random_texts(texts: list[str], bits: int) -> None:
    assert found(pa.array(texts, pa.large_string()), bits) == [expected(t, bits) for t in texts]


@SETTINGS
@given(st.lists(TEXTS, max_size=5))
def test_scores_are_sums_of_weights_by_the_root_of_their_number(texts: list[str]) -> None:
    weights = np.random.default_rng(0).normal(size=1 << 12).astype(np.float32)
    array = pa.array(texts, pa.large_string())
    scores, num_buckets = linear_scores(array, weights, 0.5)
    rows = [expected(text, 12) for text in texts]
    assert num_buckets.tolist() == [len(row) for row in rows]
    sums = [math.fsum(float(weights[bucket]) for bucket in row) for row in rows]
    for score, row, total in zip(scores, rows, sums, strict=True):
        # float64 sums in another order than fsum's: a few units in the last place
        assert score == pytest.approx(0.5 + (total / math.sqrt(len(row)) if row else 0), abs=1e-12)
    assert np.array_equal(bucket_scores(ngram_buckets(array, 12), weights, 0.5), scores)


def test_neither_neighbours_nor_repetition_change_a_score() -> None:
    weights = np.random.default_rng(1).normal(size=1 << 12).astype(np.float32)
    text = "The iron was poured into the mould. "
    alone = linear_scores(pa.array([text]), weights, 0.0)[0][0]
    among = linear_scores(pa.array(["x", text, None, text, text * 3]), weights, 0.0)[0]
    assert among[1] == among[3] == alone
    once = set(expected(text, 12))
    assert set(expected(text * 3, 12)) - once == {expected(text * 2, 12)[-1]}  # "mould the"


def test_more_buckets_than_were_reckoned_with_are_all_listed() -> None:
    texts = [" ".join(chr(0x4E00 + 97 * n % 20000) for n in range(5000)), "一" * 3, "b"]
    assert found(pa.array(texts), 20) == [expected(text, 20) for text in texts]
