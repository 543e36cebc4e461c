"""Runs of characters: which texts share them, by sets of strings; their hashes, by the twin."""

from __future__ import annotations

import itertools
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.character_shingles import MAX_CHARS_PER_SHINGLE, character_shingles
from bessemer.text.set_similarity import containment, jaccard

from . import twins
from .texts import EDGE_CASES, SETTINGS, TEXTS, layouts


def sets_of(array: pa.Array | pa.ChunkedArray, chars_per_shingle: int) -> list[list[int]]:
    offsets, hashes = character_shingles(array, chars_per_shingle)
    assert offsets.dtype == np.int64 and hashes.dtype == np.uint64
    assert offsets[0] == 0 and offsets[-1] == len(hashes)
    return [hashes[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def runs(text: str, length: int) -> set[str]:
    """The runs of a text, or all of it if it is shorter."""
    return {text[at : at + length] for at in range(max(1, len(text) - length + 1))} - {""}


@pytest.mark.parametrize("layout", layouts([]))
def test_twin_on_edge_cases(layout: str) -> None:
    texts = [*EDGE_CASES, None, *reversed(EDGE_CASES)]
    for length in (1, 3, 24):
        assert sets_of(layouts(texts)[layout], length) == [
            twins.character_shingle_set(text or "", length) for text in texts
        ]
    assert sets_of(layouts([])[layout], 3) == []


@SETTINGS
@given(st.lists(TEXTS, max_size=5), st.integers(1, MAX_CHARS_PER_SHINGLE))
def test_twin_on_random_texts(texts: list[str], length: int) -> None:
    found = sets_of(pa.array(texts, pa.large_string()), length)
    assert found == [twins.character_shingle_set(text, length) for text in texts]


# Few characters of one to four bytes, so that runs recur and their parts are swapped.
MIXED = st.text(st.sampled_from("abé\u0301語🔥\n"), max_size=40)


@SETTINGS
@given(MIXED, MIXED, st.integers(1, 8))
def test_similarity_is_that_of_sets_of_strings(left: str, right: str, length: int) -> None:
    pair = character_shingles(pa.array([left, right], pa.large_string()), length)
    a, b = runs(left, length), runs(right, length)
    assert np.diff(pair[0]).tolist() == [len(a), len(b)]
    first, second = np.array([0]), np.array([1])
    assert jaccard(*pair, first, second) == [len(a & b) / max(len(a | b), 1)]
    assert containment(*pair, first, second) == [len(a & b) / max(min(len(a), len(b)), 1)]


def test_characters_are_code_points_as_they_are() -> None:
    composed, parted = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    sizes = [len(each) for each in sets_of(pa.array([composed, parted, "語🔥", "aA", "a a"]), 1)]
    assert sizes == [1, 2, 2, 2, 2]
    assert sets_of(pa.array(["Ab c"]), 3) != sets_of(pa.array(["ab c"]), 3)
    assert sets_of(pa.array(["a  b"]), 4) != sets_of(pa.array(["a\n b"]), 4)


def test_short_texts_and_texts_without_words_have_a_shingle_of_all_they_are() -> None:
    found = sets_of(pa.array(["?!", "?! ", "?!", "", "👍🔥", None]), 24)
    assert list(map(len, found)) == [1, 1, 1, 0, 1, 0]
    assert found[0] == found[2] != found[1]


def test_hashes_of_all_runs_over_two_letters_differ_and_fill_sixty_four_bits() -> None:
    """All 2**16 runs of sixteen a and b: anagrams of one another, mostly, and powers of one base
    cancel where a hash is weak."""
    texts = ["".join(run) for run in itertools.product("ab", repeat=16)]
    _, hashes = character_shingles(pa.array(texts), 16)
    assert len(np.unique(hashes)) == 2**16
    ones = [np.mean(hashes >> np.uint64(bit) & np.uint64(1)) for bit in range(64)]
    # The share of ones among 2**16 fair bits has a deviation of 1/512: 5 of them once in 27,000.
    assert np.abs(np.array(ones) - 0.5).max() < 5 / 512


@pytest.mark.parametrize("swapped", [1, 2, 4, 8, 16, 32, 63])
def test_swapped_characters_make_another_shingle(swapped: int) -> None:
    """A swap is multiplied by STEP**d - 1, whose low bits are zeros: seven of them at d = 32."""
    texts = []
    for code in range(0x4E00, 0x4E00 + 2000):
        run = [chr(code), *"x" * (swapped - 1), chr(code + 2000), *"x" * (63 - swapped)]
        texts += [
            "".join(run),
            "".join([run[swapped], *run[1:swapped], run[0], *run[swapped + 1 :]]),
        ]
    _, hashes = character_shingles(pa.array(texts), 64)
    assert len(np.unique(hashes)) == len(texts) == 4000


@pytest.mark.parametrize("length", [0, 65])
def test_a_length_that_cannot_be_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"chars_per_shingle is {length}; it must be 1 to 64"):
        character_shingles(pa.array(["a"]), length)
