"""Signals of dolma's taggers, held against what dolma itself gave.

`golden/dolma.json` has, for each text of `golden/datatrove.json` and some more, what `gopher_v1`
and `c4_v2` of dolma 1.2.1 say: the scores in the order of `names`, whether a curly bracket, lorem
ipsum or javascript is in it, and the lines (first character, the one behind the last) to take out.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given

from bessemer.curate.dialects import DIALECTS
from bessemer.text.dolma.cuts import c4_dolma_cuts
from bessemer.text.dolma.signals import DOLMA_SIGNALS, dolma_signals

from .checks import apply_cuts, assert_layout_changes_nothing
from .texts import EDGE_CASES, SETTINGS, TEXTS

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "dolma.json").read_text("utf-8"))
TEXTS_OF_DATATROVE = json.loads((FOLDER / "datatrove.json").read_text("utf-8"))["rows"]
# Of the texts of datatrove's vectors the first ones, which there were when these were made.
_NUM_SHARED = len(GOLDEN["rows"]) - len(GOLDEN["more_texts"])
GOLDEN_TEXTS = [row["text"] for row in TEXTS_OF_DATATROVE[:_NUM_SHARED]] + GOLDEN["more_texts"]
ARRAY = pa.array(GOLDEN_TEXTS, pa.large_string())


def test_values_are_those_of_the_tagger() -> None:
    found = dolma_signals(ARRAY)
    assert list(found) == list(DOLMA_SIGNALS)
    for index, row in enumerate(GOLDEN["rows"]):
        for name, value in zip(GOLDEN["names"], row["values"], strict=True):
            assert found[name][index] == np.float32(value), (name, GOLDEN_TEXTS[index])


def test_gopher_decides_as_the_scores_do() -> None:
    found = dolma_signals(ARRAY)
    kept = 0
    for index, row in enumerate(GOLDEN["rows"]):
        scores = dict(zip(GOLDEN["names"], row["values"], strict=True))
        for name, bounds in DIALECTS["gopher@dolma"].items():
            low, high = bounds.get("min", -np.inf), bounds.get("max", np.inf)
            stays = np.float32(low) <= found[name][index] <= np.float32(high)
            assert stays == (low <= scores[name] <= high), (name, GOLDEN_TEXTS[index])
        kept += all(
            bounds.get("min", -np.inf) <= scores[name] <= bounds.get("max", np.inf)
            for name, bounds in DIALECTS["gopher@dolma"].items()
        )
    assert 0 < kept < len(GOLDEN_TEXTS)


def test_c4_drops_what_the_tagger_marks() -> None:
    found = dolma_signals(ARRAY)
    for index, row in enumerate(GOLDEN["rows"]):
        over = [int(found[name][index] > 0) for name in DIALECTS["c4@dolma"]]
        assert over == row["c4"], GOLDEN_TEXTS[index]


def test_c4_takes_out_the_lines_that_the_tagger_marks() -> None:
    num_cut = 0
    for text, row, cuts in zip(GOLDEN_TEXTS, GOLDEN["rows"], c4_dolma_cuts(ARRAY), strict=True):
        if len(text.lower()) != len(text):
            continue  # the tagger's places are those of the text in small letters
        marked = {place for first, last in row["cut"] for place in range(first, last)}
        expected = "".join(char for place, char in enumerate(text) if place not in marked)
        assert apply_cuts(text, cuts) == expected
        assert all(replacement is None for _, _, replacement in cuts)
        num_cut += bool(cuts)
    assert num_cut > 100


def left_by_c4(text: str) -> str:
    """The lines that stay, by Python's str."""
    return "".join(
        line + "\n" * (number < text.count("\n"))
        for number, line in enumerate(text.split("\n"))
        if line.strip().endswith((".", "?", "!", '"')) and len(line.split()) >= 3
    )


@SETTINGS
@given(TEXTS)
def test_lines_that_stay(text: str) -> None:
    [cuts] = c4_dolma_cuts(pa.array([text], pa.large_string()))
    assert apply_cuts(text, cuts) == left_by_c4(text)


def test_a_median_of_an_even_number_of_words_may_end_in_a_half() -> None:
    found = dolma_signals(pa.array(["aa bbb", "a bb ccccc dddddddd", "x" * 70_000]))
    assert found["median_word_chars@dolma"].tolist() == [2.5, 3.5, 70_000.0]


def test_layout_of_the_array_changes_nothing() -> None:
    assert_layout_changes_nothing(dolma_signals, EDGE_CASES)
