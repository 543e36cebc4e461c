"""Signals of datatrove's filters, held against what datatrove and spaCy themselves gave.

`golden/datatrove.json` has texts of our own, made by hand and at random of awkward pieces, and for
each what datatrove 0.10.1 (spaCy 3.8.18) makes of it: words, values, decisions, text after C4.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from bessemer.curate.dialects import DIALECTS
from bessemer.text.datatrove.cuts import c4_cuts
from bessemer.text.datatrove.decoded import empty_text, read_text
from bessemer.text.datatrove.signals import DATATROVE_SIGNALS, datatrove_signals
from bessemer.text.datatrove.tables import DECIMAL, LETTER, SPACE, WORD, tables
from bessemer.text.datatrove.tokens import IS_SPACE, empty_tokens, find_tokens

from .checks import apply_cuts, assert_layout_changes_nothing
from .texts import SETTINGS, TEXTS

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "golden" / "datatrove.json").read_text("utf-8")
)["rows"]
WORDS = "word_count@datatrove"
ARRAY = pa.array([row["text"] for row in GOLDEN], pa.large_string())


def words_of(text: str) -> list[str]:
    data = np.frombuffer(text.encode(), np.uint8)
    decoded, tokens = empty_text(len(data)), empty_tokens(len(data))
    num_chars, _ = read_text(data, 0, len(data), tables(), decoded)
    scratch = np.empty(len(data) + 1, np.int32)
    num_tokens = find_tokens(decoded, num_chars, tables(), scratch, tokens)
    return [
        text[tokens.begins[i] : tokens.ends[i]]
        for i in range(num_tokens)
        if not tokens.marks[i] & IS_SPACE
    ]


def test_words_are_those_of_spacy() -> None:
    for row in GOLDEN:
        assert words_of(row["text"]) == row["words"], row["text"]


def test_values_are_those_of_datatrove() -> None:
    found = datatrove_signals(ARRAY)
    assert list(found) == list(DATATROVE_SIGNALS)
    for index, row in enumerate(GOLDEN):
        for name, value in row["values"].items():
            assert found[name][index] == np.float32(value), (name, row["text"])


@pytest.mark.parametrize(
    ("dialect", "verdict", "signals"),
    [
        ("gopher@datatrove", "gopher_quality", list(DIALECTS["gopher@datatrove"])[:8]),
        ("gopher@datatrove", "gopher_repetition", list(DIALECTS["gopher@datatrove"])[8:]),
        ("c4@datatrove", "c4@datatrove", list(DIALECTS["c4@datatrove"])),
        ("c4@fineweb", "c4@fineweb", list(DIALECTS["c4@fineweb"])),
        ("fineweb@datatrove", "fineweb", list(DIALECTS["fineweb@datatrove"])),
    ],
)
def test_decisions_are_those_of_datatrove(dialect: str, verdict: str, signals: list[str]) -> None:
    found = datatrove_signals(ARRAY)
    kept = 0
    for index, row in enumerate(GOLDEN):
        broken = [
            name
            for name in signals
            for bounds in [DIALECTS[dialect][name]]
            if found[name][index] < np.float32(bounds.get("min", -np.inf))
            or found[name][index] > np.float32(bounds.get("max", np.inf))
        ]
        if verdict == "gopher_repetition" and not row["text"]:
            continue  # datatrove drops it as empty, before it measures
        assert bool(broken) == (row[verdict] is not None), (row["text"], broken, row[verdict])
        kept += not broken
    assert 0 < kept < len(GOLDEN)


def test_what_c4_leaves_is_what_datatrove_leaves() -> None:
    rows = [row for row in GOLDEN if row["cut"] is not None]
    assert len(rows) > 20
    texts = pa.array([row["text"] for row in rows], pa.large_string())
    for row, cuts in zip(rows, c4_cuts(texts, needs_punctuation=False), strict=True):
        assert apply_cuts(row["text"], cuts) == row["cut"]


@SETTINGS
@given(TEXTS)
def test_words_cover_all_but_white_space(text: str) -> None:
    assert "".join(words_of(text)) == "".join(text.split())


@SETTINGS
@given(TEXTS)
def test_a_text_that_was_cut_is_not_cut_again(text: str) -> None:
    [cuts] = c4_cuts(pa.array([text], pa.large_string()), needs_punctuation=False)
    left = apply_cuts(text, cuts)
    [again] = c4_cuts(pa.array([left], pa.large_string()), needs_punctuation=False)
    assert apply_cuts(left, again) == left or "[" in text  # a citation may bring forth another


@pytest.mark.parametrize("piece", [":)", "'", "''", "=(", "a.", ":-)x", "x-", "can't-", "(("])
def test_a_chunk_of_nothing_else_takes_time_in_proportion(piece: str) -> None:
    # Joined one by one, each joint moving all that follows, a million of these took hours.
    [many] = datatrove_signals(pa.array([piece * 500_000], pa.large_string()))[WORDS]
    [few] = datatrove_signals(pa.array([piece * 50], pa.large_string()))[WORDS]
    assert many >= few


def test_classes_are_those_of_python() -> None:
    chars = list(map(chr, range(0x110000)))
    for bit, expected in (
        (SPACE, map(str.isspace, chars)),
        (LETTER, map(str.isalpha, chars)),
        (WORD, (char.isalnum() or char == "_" for char in chars)),
        (DECIMAL, map(str.isdecimal, chars)),
    ):
        found = tables().classes & bit != 0
        assert np.array_equal(found, np.fromiter(expected, np.bool_)), bit


def test_layout_of_the_array_changes_nothing() -> None:
    assert_layout_changes_nothing(datatrove_signals, [row["text"] for row in GOLDEN[:30]])


def test_an_emoticon_that_a_neighbour_hides_is_the_known_difference() -> None:
    # spaCy, which looks for exceptions across chunks, takes "= (" for one that is none and so
    # leaves "(:" apart; datatrove counts four words here.
    assert words_of("= (:word") == ["=", "(:", "word"]
