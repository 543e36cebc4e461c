"""Repeats are those that naive search finds; keys of windows are what their definition says."""

import itertools
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.text.buffers import utf8_buffers
from bessemer.text.repeats import find_repeats
from bessemer.text.window_keys import Symbols, cut_runs, window_runs
from bessemer.text.words import word_spans

from . import twins
from .texts import SETTINGS

MASK = 2**64 - 1
STEP = 0x9E3779B97F4A7C15
LENGTHS = st.integers(1, 9)
CORPORA = st.sampled_from(["a", "ab", "abc", "abcdefgh", "aé "]).flatmap(
    lambda alphabet: st.lists(st.text(alphabet, max_size=40), max_size=5)
)


def naive(documents: list[list[int]], length: int) -> list[list[bool]]:
    """For each symbol whether it is in a window that stands at an earlier place, apart from it."""
    first: dict[tuple[int, ...], tuple[int, int]] = {}
    out = []
    for number, symbols in enumerate(documents):
        covered = [False] * len(symbols)
        for at in range(len(symbols) - length + 1):
            document, place = first.setdefault(tuple(symbols[at : at + length]), (number, at))
            if document < number or place + length <= at:
                covered[at : at + length] = [True] * length
        out.append(covered)
    return out


def first_places(documents: list[list[int]], length: int) -> dict[tuple[int, ...], int]:
    """The document in which each window stands first."""
    first: dict[tuple[int, ...], int] = {}
    for number, symbols in enumerate(documents):
        for at in range(len(symbols) - length + 1):
            first.setdefault(tuple(symbols[at : at + length]), number)
    return first


def search(
    offsets: np.ndarray, symbols: Symbols, length: int, max_windows: int
) -> tuple[list[list[bool]], set[int], list[tuple[int, int, int]]]:
    """Covered symbols, documents that others repeat, and (document, window, source document) of
    the first window of each stretch: of keys that stand at two places alone, as the stage does."""
    keys, document, first, num_windows, places = window_runs(offsets, symbols, length)
    distinct, count = np.unique(np.repeat(keys, places), return_counts=True)
    wanted = np.isin(keys, distinct[count > 1])
    keys, document, first = keys[wanted], document[wanted], first[wanted]
    cuts, data = cut_runs(offsets, symbols, document, first, num_windows[wanted] + length - 1)
    found, is_source = find_repeats(cuts, data, keys, document, first, length, max_windows)
    assert all(column.dtype == np.int64 for column in found)
    covered = [[False] * n for n in np.diff(offsets).tolist()]
    stretches = []
    for run, start, end, source in zip(*(column.tolist() for column in found), strict=True):
        begin, stop = first[run] + start, first[run] + end + length - 1
        covered[document[run]][begin:stop] = [True] * (stop - begin)
        stretches.append((int(document[run]), int(begin), int(document[source])))
    return covered, set(document[is_source].tolist()), stretches


def check(offsets: np.ndarray, symbols: Symbols, length: int, max_windows: int) -> None:
    documents = [symbols[a:b].tolist() for a, b in itertools.pairwise(offsets.tolist())]
    covered, sources, stretches = search(offsets, symbols, length, max_windows)
    assert covered == naive(documents, length)
    first = first_places(documents, length)
    for document, at, source in stretches:
        assert first[tuple(documents[document][at : at + length])] == source
    repeated = {
        first[window]
        for number, symbols in enumerate(documents)
        for at in range(len(symbols) - length + 1)
        if first[window := tuple(symbols[at : at + length])] != number
    }
    assert sources == repeated


@SETTINGS
@given(CORPORA, LENGTHS, st.sampled_from([1, 2, 7, 1000]))
def test_repeated_bytes_are_those_that_naive_search_finds(
    texts: list[str], length: int, max_windows: int
) -> None:
    check(*utf8_buffers(pa.array(texts, pa.large_string())), length, max_windows)


@settings(SETTINGS, max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from(["a", "B", "b", "c.", "é"]), max_size=30), max_size=4),
    LENGTHS,
)
def test_repeated_words_are_those_that_naive_search_finds(
    texts: list[list[str]], length: int
) -> None:
    array = pa.array([" ".join(text) for text in texts], pa.large_string())
    offsets, _, _, hashes = word_spans(array)
    check(offsets, hashes, length, 1000)


def test_repeats_in_a_larger_corpus() -> None:
    """Phrases of sixty letters, put together at random, over windows of thirty."""
    draw = random.Random(4)
    phrases = ["".join(draw.choices("abcdefgh ", k=60)) for _ in range(40)]
    texts = ["".join(draw.choices(phrases, k=draw.randrange(12))) for _ in range(60)]
    texts = [text[draw.randrange(9) :] for text in texts]
    for max_windows in (50, 10**6):
        check(*utf8_buffers(pa.array(texts, pa.large_string())), 30, max_windows)


def gram_hashes(data: bytes, gram: int) -> list[int]:
    """The hashes of the k-grams of a text, by their definition."""
    values = [twins.finish((byte + 1) * STEP & MASK) for byte in data]
    hashes = []
    for at in range(len(data) - gram + 1):
        state = 0
        for value in values[at : at + gram]:
            state = (state * STEP + value) & MASK
        hashes.append(twins.finish(state))
    return hashes


@SETTINGS
@given(CORPORA, LENGTHS)
def test_runs_hold_every_window_once_under_its_key(texts: list[str], length: int) -> None:
    offsets, data = utf8_buffers(pa.array(texts, pa.large_string()))
    expected = []
    for number, text in enumerate(texts):
        hashes = gram_hashes(text.encode(), (length + 1) // 2)
        width = length - (length + 1) // 2 + 1
        windows = [min(hashes[at : at + width]) for at in range(len(hashes) - width + 1)]
        at = 0
        for key, run in itertools.groupby(windows):
            size = len(list(run))
            num_places = hashes[at : at + size + width - 1].count(key)
            expected.append((key, number, at, size, min(num_places, 2)))
            at += size
    found = zip(*(column.tolist() for column in window_runs(offsets, data, length)), strict=True)
    assert list(found) == expected


@pytest.mark.parametrize("text", ["a" * 1000, " " * 999 + "x", "ab" * 500, "\u3042" * 300])
def test_a_stretch_of_one_character_is_few_runs_and_a_window_of_it_stays(text: str) -> None:
    offsets, data = utf8_buffers(pa.array([text], pa.large_string()))
    keys, _, _, num_windows, places = window_runs(offsets, data, 200)
    assert len(keys) <= 60
    assert places[num_windows.argmax()] == 2
    check(offsets, data, 200, 1000)
    covered, _, _ = search(offsets, data, 200, 1000)
    assert not any(covered[0][:200])
    assert sum(covered[0]) >= len(text.encode()) - 250


def test_places_beyond_four_gigabytes(tmp_path: Path) -> None:
    """A file with a hole of 4 GiB, of which only the end is read."""
    draw = random.Random(5)
    text = "".join(draw.choices("abcd", k=3000)).encode()
    text += text[:700]
    beyond = 2**32 + 17
    path = tmp_path / "symbols"
    with path.open("wb") as file:
        file.seek(beyond)
        file.write(text)
    symbols = np.memmap(path, np.uint8, "r").view(np.ndarray)
    near = np.array([0, 1500, len(text)])
    here = np.frombuffer(text, np.uint8)
    assert [column.tolist() for column in window_runs(near + beyond, symbols, 50)] == [
        column.tolist() for column in window_runs(near, here, 50)
    ]
    keys, document, first, num_windows, _ = window_runs(near, here, 50)
    cuts, data = cut_runs(near, here, document, first, num_windows + 49)
    far_cuts, far_data = cut_runs(near + beyond, symbols, document, first, num_windows + 49)
    assert far_cuts.tolist() == cuts.tolist() and far_data.tobytes() == data.tobytes()
    with path.open("r+b") as file:
        file.seek(beyond)
        file.write(data.tobytes())
    symbols = np.memmap(path, np.uint8, "r").view(np.ndarray)
    found, _ = find_repeats(cuts, data, keys, document, first, 50, 1000)
    far, _ = find_repeats(cuts + beyond, symbols, keys, document, first, 50, 1000)
    assert len(found.run) > 0
    assert [column.tolist() for column in far] == [column.tolist() for column in found]
