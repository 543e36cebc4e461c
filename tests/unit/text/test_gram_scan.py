"""Every place of a gram, and nothing else: against a search in plain Python."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.gram_scan import MOST_BETWEEN, Grams, find_grams, make_table
from bessemer.text.tokens import list_tokens

from .texts import SETTINGS

Gram = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]  # its words, and those of followers
WORD = st.sampled_from(["a", "b", "Å"])
RUN = st.lists(WORD, min_size=1, max_size=3).map(tuple)
GRAM = st.tuples(
    st.lists(WORD, min_size=2, max_size=6).map(tuple), st.lists(RUN, max_size=2).map(tuple)
)
DOCUMENT = st.lists(WORD, max_size=60)


def table_of(grams: list[Gram], anchors: tuple[int, ...]) -> object:
    runs = [run for words, behind in grams for run in (words, *behind)]
    tokens = list_tokens(pa.array([" ".join(run) for run in runs], pa.large_string()), False)
    firsts = np.cumsum([0, *(1 + len(behind) for _, behind in grams)])
    starts, lengths = tokens.offsets[:-1], np.diff(tokens.offsets)
    of_follower = np.ones(len(runs), np.bool_)
    of_follower[firsts[:-1]] = False
    return make_table(
        Grams(
            tokens=tokens.hashes,
            starts=starts[firsts[:-1]],
            lengths=lengths[firsts[:-1]],
            follow=np.cumsum([0, *(len(behind) for _, behind in grams)]),
            follow_starts=starts[of_follower],
            follow_lengths=lengths[of_follower],
        ),
        anchors,
    )


def twin(document: list[str], gram: Gram) -> list[tuple[int, int]]:
    """(first token, token behind the last follower) of every place of a gram."""
    words, behind = gram
    document = [word.lower() for word in document]
    found = []
    for first in range(len(document)):
        end = first + len(words)
        if document[first:end] != [word.lower() for word in words]:
            continue
        for run in behind:
            wanted = [word.lower() for word in run]
            places = [
                at
                for at in range(end, end + MOST_BETWEEN + 1)
                if document[at : at + len(run)] == wanted
            ]
            if not places:
                break
            end = places[0] + len(run)
        else:
            found.append((first, end))
    return found


@SETTINGS
@given(st.lists(GRAM, min_size=1, max_size=5), st.lists(DOCUMENT, max_size=4))
def test_places_are_those_of_a_plain_search(grams: list[Gram], documents: list[list[str]]) -> None:
    table = table_of(grams, (2, 3, 5))
    texts = [" ".join(document) for document in documents]
    found = find_grams(pa.array(texts, pa.large_string()), table, with_signs=False)
    rows = zip(found.document, found.gram, found.first_token, found.end_token, strict=True)
    expected = [
        (number, gram, first, end)
        for number, document in enumerate(documents)
        for gram, each in enumerate(grams)
        for first, end in twin(document, each)
    ]
    assert sorted(rows) == sorted(expected)


def test_more_places_than_there_was_room_for() -> None:
    table = table_of([(("a", "b"), ())], (2,))
    text = "é. " + "A, b; " * 1000
    found = find_grams(pa.array([text], pa.large_string()), table, with_signs=False)
    assert found.first_token.tolist() == list(range(1, 2000, 2))
    data = text.encode()
    assert {data[a:b] for a, b in zip(found.first_byte, found.end_byte, strict=True)} == {b"A, b"}


def test_a_follower_may_stand_so_far_behind_and_no_farther() -> None:
    table = table_of([(("a", "b"), (("c",),))], (2,))
    texts = [f"a b {'x ' * between}c" for between in (0, MOST_BETWEEN, MOST_BETWEEN + 1)]
    found = find_grams(pa.array(texts, pa.large_string()), table, with_signs=False)
    assert found.document.tolist() == [0, 1]
    assert found.end_token.tolist() == [3, MOST_BETWEEN + 3]


def test_a_gram_shorter_than_every_anchor_is_refused() -> None:
    with pytest.raises(ValueError, match="a gram of 2 tokens is shorter than any anchor"):
        table_of([(("a", "b"), ())], (3,))
