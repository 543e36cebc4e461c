"""One definition of a word: hand-written cases first, then the twin on everything else."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.words import max_words, word_spans

from . import twins
from .texts import EDGE_CASES, SETTINGS, TEXTS, layouts, raw_array


def words_of(text: str) -> list[str]:
    _, starts, stops, _ = word_spans(pa.array([text]))
    data = text.encode()
    return [data[start:stop].decode() for start, stop in zip(starts, stops, strict=True)]


def hashes_of(text: str) -> list[int]:
    return word_spans(pa.array([text]))[3].tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Hello, world!", ["Hello", "world"]),
        ("don't 'tis dogs' O''Brien", ["don't", "tis", "dogs", "O", "Brien"]),
        ("don’t rock’n’roll", ["don’t", "rock’n’roll"]),
        ("80's a'1", ["80", "s", "a", "1"]),
        ("snake_case __init__ _", ["snake_case", "__init__", "_"]),
        ("3.14 1,000 x2y", ["3", "14", "1", "000", "x2y"]),
        ("中文abc字", ["中", "文", "abc", "字"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("กั", ["กั"]),
        ("๑๒๓ 20年", ["๑๒๓", "20", "年"]),
        ("中'文 a'中 中'a", ["中", "文", "a", "中", "中", "a"]),
        ("e\u0301t\u0301e's", ["e\u0301t\u0301e's"]),
        ("❤️ \u0301lone", ["lone"]),
        ("soft\u00adhyphen a\u00a0b", ["soft", "hyphen", "a", "b"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
    ],
)
def test_words_by_hand(text: str, words: list[str]) -> None:
    assert words_of(text) == words
    assert twins.words(text) == words


def test_case_and_apostrophes_fold_and_digits_do_not() -> None:
    assert hashes_of("Don't SHOUT Σίσυφος") == hashes_of("don’t shout σίσυφοσ")
    assert hashes_of("İ") == hashes_of("i")
    assert len(set(hashes_of("page1 page2 page 1 2 12 21"))) == 7


def test_hashes_are_frozen() -> None:
    """A changed hash is a changed identity of every shingle ever stored."""
    assert hashes_of("the don't 中") == [
        0x06D5364879474E36,
        0x05A351FFEB59308E,
        0xBAC0D80D6504F23E,
    ]


def test_hashes_spread() -> None:
    """Every output bit is set in half of a million hashes of numbers, within five deviations."""
    _, _, _, hashes = word_spans(pa.array([" ".join(map(str, range(1_000_000)))]))
    assert len(np.unique(hashes)) == 1_000_000
    bits = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=0)
    assert abs(bits.astype(np.int64) - 500_000).max() < 5 * 500  # sqrt(n / 4) = 500


def expected(texts: list[str]) -> tuple[list[int], list[int], list[int], list[int]]:
    offsets, starts, stops, hashes = [0], [], [], []
    for text in texts:
        for start, stop in twins.word_matches(text):
            starts.append(len(text[:start].encode()))
            stops.append(len(text[:stop].encode()))
            hashes.append(twins.word_hash(text[start:stop]))
        offsets.append(len(hashes))
    return offsets, starts, stops, hashes


def found(array: pa.Array | pa.ChunkedArray) -> tuple[list[int], list[int], list[int], list[int]]:
    offsets, starts, stops, hashes = word_spans(array)
    assert (offsets.dtype, starts.dtype, stops.dtype, hashes.dtype) == (
        np.int64, np.int32, np.int32, np.uint64,
    )  # fmt: skip
    return offsets.tolist(), starts.tolist(), stops.tolist(), hashes.tolist()


@pytest.mark.parametrize("layout", layouts([]))
def test_twin_on_edge_cases(layout: str) -> None:
    texts = [*EDGE_CASES, None, *reversed(EDGE_CASES)]
    assert found(layouts(texts)[layout]) == expected([text or "" for text in texts])
    assert found(layouts([])[layout]) == ([0], [], [], [])


@SETTINGS
@given(st.lists(TEXTS, max_size=5))
def test_twin_on_random_texts(texts: list[str]) -> None:
    assert found(pa.array(texts, pa.large_string())) == expected(texts)


@SETTINGS
@given(st.lists(st.binary(max_size=20), max_size=4))
def test_malformed_bytes_separate_words(documents: list[bytes]) -> None:
    _, _, _, hashes = word_spans(raw_array(documents))
    texts = [twins.as_text(document) for document in documents]
    assert hashes.tolist() == [
        twins.word_hash(word) for text in texts for word in twins.words(text)
    ]


@SETTINGS
@given(TEXTS)
def test_never_more_words_than_scratch(text: str) -> None:
    assert len(words_of(text)) <= max_words(len(text.encode()))


def test_a_text_of_nothing_but_short_words() -> None:
    offsets, _, stops, _ = word_spans(pa.array(["a " * 5000, "a中" * 5000]))
    assert offsets.tolist() == [0, 5000, 15000]
    assert stops[-1] == 20000
