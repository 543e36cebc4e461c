"""Texts that share a run of words share its hash, and a fingerprint; others share neither."""

from __future__ import annotations

import re
from itertools import pairwise, product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.runs import empty_filter, fill_filter, fingerprints, may_hold, run_hashes

# Few words, so that runs do recur; case and what stands between them must not count.
WORD = st.sampled_from(["a", "B", "b", "ein", "Ein", "x1", "é", "字"])
TEXTS = st.lists(
    st.lists(st.tuples(WORD, st.sampled_from([" ", ", ", "\n", " - "])), max_size=30).map(
        lambda pairs: "".join(word + gap for word, gap in pairs)
    ),
    max_size=6,
)


def words(text: str) -> list[str]:
    return re.findall(r"字|[a-zé0-9]+", text.lower())


def runs(text: str, length: int) -> list[tuple[str, ...]]:
    found = words(text)
    return [tuple(found[at : at + length]) for at in range(len(found) - length + 1)]


def by_document(hashed: tuple[np.ndarray, np.ndarray], texts: list[str]) -> list[tuple[int, ...]]:
    offsets, hashes = hashed
    assert (offsets[0], offsets[-1], len(offsets)) == (0, len(hashes), len(texts) + 1)
    return [tuple(hashes[a:b].tolist()) for a, b in pairwise(offsets)]


@given(TEXTS, st.integers(1, 9))
def test_equal_runs_have_equal_hashes_and_no_others(texts: list[str], length: int) -> None:
    found = by_document(run_hashes(pa.array(texts, pa.large_string()), length), texts)
    expected = [run for text in texts for run in runs(text, length)]
    hashes = [value for document in found for value in document]
    assert [len(document) for document in found] == [len(runs(text, length)) for text in texts]
    assert len(set(zip(expected, hashes, strict=True))) == len(set(expected)) == len(set(hashes))


@given(TEXTS, st.integers(1, 12))
def test_texts_that_share_a_run_share_a_fingerprint_and_a_shorter_run_if_they_do(
    texts: list[str], length: int
) -> None:
    found = by_document(fingerprints(pa.array(texts, pa.large_string()), length), texts)
    for (left, picked), (right, others) in product(zip(texts, found, strict=True), repeat=2):
        if set(runs(left, length)) & set(runs(right, length)):
            assert set(picked) & set(others)
        if set(picked) & set(others):
            shorter = (length + 1) // 2
            assert set(runs(left, shorter)) & set(runs(right, shorter))
    for text, picked in zip(texts, found, strict=True):
        assert bool(picked) == (len(words(text)) >= length)


def test_fingerprints_are_few() -> None:
    """Of a window of w random hashes a new one is least with odds of 2 in w + 1 (the paper, 4)."""
    draw = np.random.default_rng(0)
    text = " ".join(f"w{number}" for number in draw.integers(0, 10**6, 20_000))
    [picked] = by_document(fingerprints(pa.array([text]), 50), [text])
    window = 50 - 25 + 1
    assert len(picked) == pytest.approx(20_000 * 2 / (window + 1), rel=0.05)


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=200),
    st.lists(st.integers(0, 2**64 - 1), max_size=50),
    st.sampled_from([8, 64, 1 << 20]),
)
def test_a_filter_never_denies_what_it_was_filled_with(
    filled: list[int], others: list[int], max_bytes: int
) -> None:
    bits = empty_filter(len(filled), max_bytes)
    assert bits.nbytes <= max_bytes
    fill_filter(bits, np.array(filled, np.uint64))
    assert may_hold(bits, np.array(filled, np.uint64)).all()
    assert len(may_hold(bits, np.array(others, np.uint64))) == len(others)


def test_a_filter_with_room_passes_few_others() -> None:
    draw = np.random.default_rng(1)
    filled, others = draw.integers(0, 2**64, (2, 50_000), np.uint64)
    bits = empty_filter(len(filled), 1 << 30)
    assert not may_hold(bits, filled).any()
    fill_filter(bits, filled)
    assert may_hold(bits, others).mean() < 0.01


@pytest.mark.parametrize("hashed", [run_hashes, fingerprints])
def test_a_run_has_a_word(hashed: object) -> None:
    with pytest.raises(ValueError, match="words_per_run is 0; it must be at least 1"):
        hashed(pa.array(["a"]), 0)  # type: ignore[operator]
