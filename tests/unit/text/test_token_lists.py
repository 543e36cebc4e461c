"""The fast list of words is that of words.py, and signs are what stands between them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from bessemer.text.tokens import list_tokens
from bessemer.text.words import word_spans

from . import twins
from .texts import EDGE_CASES, SETTINGS, TEXTS, layouts, raw_array


def tokens_of(text: str) -> list[str]:
    found = list_tokens(pa.array([text]), with_signs=True)
    data = text.encode()
    return [data[a:b].decode() for a, b in zip(found.starts, found.stops, strict=True)]


def twin(text: str) -> list[str]:
    """Words by the twin, and every character outside them that is no white space."""
    found, done = [], 0
    for start, stop in [*twins.word_matches(text), (len(text), len(text))]:
        found += [char for char in text[done:start] if not twins.is_space(char)]
        found += [text[start:stop]] if start < stop else []
        done = stop
    return found


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("f(x) != 2.5", ["f", "(", "x", ")", "!", "=", "2", ".", "5"]),
        ("don't 'tis", ["don't", "'", "tis"]),
        ("a\u00a0b\u200bc", ["a", "b", "\u200b", "c"]),
        ("中文。x", ["中", "文", "。", "x"]),
        ("…", ["…"]),
    ],
)
def test_tokens_by_hand(text: str, tokens: list[str]) -> None:
    assert tokens_of(text) == tokens


@SETTINGS
@given(TEXTS)
def test_words_are_those_of_the_general_rules(text: str) -> None:
    array = pa.array([text, "between", text])
    offsets, starts, stops, hashes = word_spans(array)
    found = list_tokens(array, with_signs=False)
    for mine, other in zip(found, (offsets, hashes, starts, stops), strict=True):
        assert np.array_equal(mine, other)


@SETTINGS
@given(TEXTS)
def test_tokens_agree_with_the_twin(text: str) -> None:
    found = list_tokens(pa.array([text]), with_signs=True)
    expected = twin(text)
    assert tokens_of(text) == expected
    assert found.hashes.tolist() == [twins.word_hash(token) for token in expected]


def test_edge_cases_in_any_layout() -> None:
    expected = list_tokens(pa.array(EDGE_CASES, pa.large_string()), with_signs=True)
    assert [tokens_of(text) for text in EDGE_CASES] == [twin(text) for text in EDGE_CASES]
    for array in layouts(list(EDGE_CASES)).values():
        found = list_tokens(array, with_signs=True)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_damaged_utf8_is_read_to_the_end() -> None:
    data = [b"caf\xe9 x", b"\xff\xfe", b"a'\xe2\x80"]
    found = list_tokens(raw_array(data), with_signs=False)
    offsets, starts, stops, hashes = word_spans(raw_array(data))
    assert np.array_equal(found.hashes, hashes)
    assert np.array_equal(found.offsets, offsets)
    assert np.array_equal(found.starts, starts)
    assert np.array_equal(found.stops, stops)
