"""Repetition signals: whole rows by hand, the dialect's corners, and the twin on the rest."""

from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.repetition import REPETITION_SIGNALS
from bessemer.text.word_families import repetition_signals

from . import twins
from .checks import assert_nothing_in_blank_texts, assert_signals_like_twin, edge_cases
from .texts import SETTINGS, TEXTS, layouts, raw_array


def signals_of(text: str) -> dict[str, float]:
    return {name: float(values[0]) for name, values in repetition_signals(pa.array([text])).items()}


def non_zero(text: str) -> dict[str, float]:
    return {name: value for name, value in signals_of(text).items() if value}


assert_like_twin = partial(
    assert_signals_like_twin, repetition_signals, REPETITION_SIGNALS, twins.repetition
)


def close(signals: dict[str, float]) -> object:
    return pytest.approx(signals, rel=1e-6)  # float32 carries seven digits


def test_lines_and_paragraphs_by_hand() -> None:
    text = "menu\nhome\n\n  menu \r\nhome\n \nabcdef\n\nmenu"
    # Lines menu home menu home abcdef menu: 3 repeats with 12 of 26 characters.
    # Paragraphs (menu home) (menu home) (abcdef) (menu): 1 repeat with 8 of 26 characters.
    # Words menu home menu home abcdef menu: n-grams run on from line to line.
    assert non_zero(text) == close(
        {
            "dup_line_frac": 3 / 6,
            "dup_line_char_frac": 12 / 26,
            "dup_para_frac": 1 / 4,
            "dup_para_char_frac": 8 / 26,
            "top_2gram_char_frac": 16 / 26,
        }
    )


def test_ngrams_by_hand() -> None:
    # a b c d e (5 words), x, a b c d e, y: 12 words of one character.
    assert non_zero("a b c d e, x. A B C D E y") == close(
        {
            "top_2gram_char_frac": 4 / 12,
            "top_3gram_char_frac": 6 / 12,
            "top_4gram_char_frac": 8 / 12,
            "dup_5gram_char_frac": 5 / 12,
        }
    )


def test_order_of_words_matters() -> None:
    assert non_zero("a b x b a") == {}


def test_most_frequent_of_equals_is_the_longest() -> None:
    # "a b" and "long words" occur twice each; all words have 25 characters.
    signals = signals_of("a b x long words y a b z long words")
    assert signals["top_2gram_char_frac"] == np.float32(18 / 25)


def test_an_ngram_that_overlaps_itself_counts_each_character_once() -> None:
    assert non_zero("ha ha ha ha") == {"top_2gram_char_frac": 1, "top_3gram_char_frac": 1}
    # Twelve times: repeats of the 5-gram begin at the second word, of the 10-gram too.
    assert signals_of("ha " * 12)["dup_5gram_char_frac"] == np.float32(11 / 12)
    assert signals_of("ha " * 12)["dup_10gram_char_frac"] == np.float32(11 / 12)
    assert signals_of("ha " * 10)["dup_10gram_char_frac"] == 0


def test_the_first_occurrence_is_no_repeat() -> None:
    text = "one two three four five six seven eight nine ten "
    signals = signals_of(text * 3)
    assert {signals[f"dup_{n}gram_char_frac"] for n in range(5, 11)} == {float(np.float32(2 / 3))}


def test_empty_null_and_blank_documents() -> None:
    assert_nothing_in_blank_texts(repetition_signals, REPETITION_SIGNALS)


def test_names_end_in_their_unit() -> None:
    assert len(REPETITION_SIGNALS) == 13
    assert all(name.endswith("_frac") and REPETITION_SIGNALS[name] for name in REPETITION_SIGNALS)


@pytest.mark.parametrize("layout", layouts([]))
def test_twin_on_edge_cases(layout: str) -> None:
    assert_like_twin(*edge_cases(layout))


@SETTINGS
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_twin_on_random_texts(texts: list[str]) -> None:
    assert_like_twin(pa.array(texts, pa.large_string()), texts)


@SETTINGS
@given(st.lists(st.sampled_from("abc\n"), max_size=80).map(" ".join))
def test_twin_on_texts_of_few_words(text: str) -> None:
    """Where everything repeats, at every order and across every overlap."""
    assert_like_twin(pa.array([text]), [text])


@SETTINGS
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
def test_twin_on_malformed_bytes(documents: list[bytes]) -> None:
    assert_like_twin(raw_array(documents), [twins.as_text(document) for document in documents])


@SETTINGS
@given(TEXTS)
def test_shares_lie_between_0_and_1(text: str) -> None:
    assert all(0 <= value <= 1 for value in signals_of(text).values())


def test_a_long_document_after_a_short_one_and_back() -> None:
    """Scratch is reused: nothing of one document may show in the next."""
    long = "spam and egg and ham " * 500
    rows = repetition_signals(pa.array(["a b", long, "a b", long, ""]))
    for values in rows.values():
        assert values[0] == values[2] == values[4] == 0
        assert values[1] == values[3]
    assert rows["dup_10gram_char_frac"][1] == np.float32(499 / 500)
