"""C4 and Gopher as DCLM has them, held against what DCLM's own functions gave.

`golden/dclm.json` has, for each text of `golden/datatrove.json` and some more, the step of C4 that
drops it (null: none), its sentences by NLTK, the text that is left then (null: dropped before, or
left as it was); what its functions of words and lines give for Gopher's measures, in the order of
`names`; and, in the order of FILTERS, whether its filters of Gopher's rules keep the text (1: yes).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from bessemer.curate.dialects import DIALECTS
from bessemer.text.dclm.cuts import c4_dclm_cuts
from bessemer.text.dclm.signals import DCLM_SIGNALS, dclm_signals

from .checks import apply_cuts, assert_layout_changes_nothing
from .texts import EDGE_CASES, SETTINGS, TEXTS

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "dclm.json").read_text("utf-8"))
TEXTS_OF_DATATROVE = json.loads((FOLDER / "datatrove.json").read_text("utf-8"))["rows"]
# Of the texts of datatrove's vectors the first ones, which there were when these were made.
_NUM_SHARED = len(GOLDEN["rows"]) - len(GOLDEN["more_texts"])
GOLDEN_TEXTS = [row["text"] for row in TEXTS_OF_DATATROVE[:_NUM_SHARED]] + GOLDEN["more_texts"]
ARRAY = pa.array(GOLDEN_TEXTS, pa.large_string())


FILTERS = (
    ("word_count@dclm",),
    ("mean_word_chars@dclm",),
    ("symbol_word_frac@dclm",),
    ("bullet_line_frac@dclm",),
    ("ellipsis_line_frac@dclm",),
    ("no_alpha_word_frac@dclm",),
    ("stop_word_count@dclm",),
    tuple(name for name in DIALECTS["gopher@dclm"] if name.startswith(("dup_", "top_"))),
)
"""The rules of each of DCLM's filters."""


def is_kept(found: dict[str, Any], index: int, rules: dict[str, dict[str, float]]) -> bool:
    return all(
        np.float32(bounds.get("min", -np.inf))
        <= found[name][index]
        <= np.float32(bounds.get("max", np.inf))
        for name, bounds in rules.items()
    )


def test_values_are_those_of_dclm() -> None:
    found = dclm_signals(ARRAY)
    assert set(DIALECTS["gopher@dclm"]) == set(GOLDEN["names"])
    for index, row in enumerate(GOLDEN["rows"]):
        for name, value in zip(GOLDEN["names"], row[3], strict=True):
            assert found[name][index] == np.float32(value), (name, GOLDEN_TEXTS[index])


@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_gopher_decides_as_dclm_does(number: int) -> None:
    found = dclm_signals(ARRAY)
    rules = {name: DIALECTS["gopher@dclm"][name] for name in FILTERS[number]}
    num_kept = 0
    for index, row in enumerate(GOLDEN["rows"]):
        if not GOLDEN_TEXTS[index].strip():
            continue  # some of its filters drop a text without words, here the number of words does
        assert is_kept(found, index, rules) == (row[4][number] == "1"), GOLDEN_TEXTS[index]
        num_kept += row[4][number] == "1"
    assert 5 < num_kept < len(GOLDEN_TEXTS)


def test_the_filters_are_all_rules() -> None:
    assert {name for rules in FILTERS for name in rules} == set(DIALECTS["gopher@dclm"])


def test_decisions_are_those_of_dclm() -> None:
    found = dclm_signals(ARRAY)
    assert list(found) == list(DCLM_SIGNALS)
    num_kept = 0
    for index, (step, *_) in enumerate(GOLDEN["rows"]):
        assert is_kept(found, index, DIALECTS["c4@dclm"]) == (step is None), (
            step,
            GOLDEN_TEXTS[index],
        )
        num_kept += step is None
    assert 40 < num_kept < len(GOLDEN_TEXTS)


@pytest.mark.parametrize(
    ("step", "signal"),
    [("lorem", "c4_lorem_ipsum_line_count@dclm"), ("curly", "c4_curly_bracket_line_count@dclm")],
)
def test_the_step_that_drops_a_text_has_its_signal(step: str, signal: str) -> None:
    indices = [index for index, row in enumerate(GOLDEN["rows"]) if row[0] == step]
    assert indices
    assert all(dclm_signals(ARRAY)[signal][index] > 0 for index in indices)


def test_sentences_are_those_of_nltk() -> None:
    found = dclm_signals(ARRAY)["c4_sentence_count@dclm"]
    reached = [index for index, row in enumerate(GOLDEN["rows"]) if row[1] is not None]
    assert len(reached) > 70
    for index in reached:
        assert found[index] == GOLDEN["rows"][index][1], GOLDEN_TEXTS[index]


def test_an_abbreviation_that_ends_a_sentence_is_the_known_difference() -> None:
    # NLTK knows that "however" is met in small letters, so the capital begins a sentence: it
    # counts three.
    text = "They live in the U.S. However, he came back later. That is all of it."
    assert dclm_signals(pa.array([text]))["c4_sentence_count@dclm"] == [2]


def test_what_is_left_is_what_dclm_leaves() -> None:
    num_cut = 0
    for text, (_, sentences, left, *_), cuts in zip(
        GOLDEN_TEXTS, GOLDEN["rows"], c4_dclm_cuts(ARRAY), strict=True
    ):
        if sentences is not None:
            assert apply_cuts(text, cuts) == (text if left is None else left)
            num_cut += left is not None
    assert num_cut > 50


def test_a_text_may_have_190_000_characters() -> None:
    text = "Four words and six. " * 9_500
    found = dclm_signals(pa.array([text, text + "é"]))
    assert found["c4_char_count@dclm"].tolist() == [190_000, 190_001]
    assert [is_kept(found, index, DIALECTS["c4@dclm"]) for index in range(2)] == [True, False]


@SETTINGS
@given(TEXTS)
def test_a_text_that_was_cut_is_not_cut_again(text: str) -> None:
    [cuts] = c4_dclm_cuts(pa.array([text], pa.large_string()))
    left = apply_cuts(text, cuts)
    [again] = c4_dclm_cuts(pa.array([left], pa.large_string()))
    assert apply_cuts(left, again) == left or "[" in text  # a citation may bring forth another


def test_layout_of_the_array_changes_nothing() -> None:
    assert_layout_changes_nothing(dclm_signals, EDGE_CASES)
