"""Quality signals: one whole row by hand, the traps one by one, and the twin on everything else."""

from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text import gopher, quality
from bessemer.text.quality import QUALITY_SIGNALS
from bessemer.text.word_families import quality_signals

from . import twins
from .checks import assert_nothing_in_blank_texts, assert_signals_like_twin, edge_cases
from .texts import SETTINGS, TEXTS, layouts, raw_array


def signals_of(text: str) -> dict[str, float]:
    return {name: float(values[0]) for name, values in quality_signals(pa.array([text])).items()}


assert_like_twin = partial(
    assert_signals_like_twin, quality_signals, QUALITY_SIGNALS, twins.quality
)


def test_a_whole_row_by_hand() -> None:
    text = "- The cat...\n  to #be, to be?\r\n\n42 … \n"
    assert signals_of(text) == pytest.approx(
        {
            "char_count": 38,
            "word_count": 7,  # The cat to be to be 42
            "unique_word_frac": 5 / 7,
            "mean_word_chars": 16 / 7,
            "alpha_word_frac": 6 / 7,
            "stop_word_count": 3,
            "hash_per_word_frac": 1 / 7,
            "ellipsis_per_word_frac": 2 / 7,
            "newline_per_word_frac": 4 / 7,
            "line_count": 3,
            "mean_line_chars": (12 + 16 + 5) / 3,
            "max_line_chars": 16,
            "short_line_frac": 1,
            "bullet_line_frac": 1 / 3,
            "ellipsis_line_frac": 2 / 3,
            "terminal_punct_line_frac": 1,
            "running_word_frac": 4 / 7,  # to be to be
            "alnum_frac": 16 / 24,
            "alpha_frac": 14 / 24,
            "digit_frac": 2 / 24,
            "whitespace_frac": 14 / 38,
            "control_frac": 0,
        },
        rel=1e-6,  # float32 carries seven digits
    )


def test_empty_null_and_blank_documents() -> None:
    assert_nothing_in_blank_texts(
        quality_signals, QUALITY_SIGNALS, {"char_count": 4, "whitespace_frac": 1}
    )


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        # Only "\n" ends a line; str.splitlines would see six lines here.
        ("a\x0bb\x0cc\x1cd\x85e\u2028f", "line_count", 1),
        ("one\r\ntwo\r\n", "max_line_chars", 3),
        ("one\rtwo", "line_count", 1),
        # Both spellings of the ellipsis count, runs without overlap.
        ("a ... b … c ....... d", "ellipsis_per_word_frac", 1),
        ("a...\nb…\nc..\nd. . .\ne... ", "ellipsis_line_frac", 0.6000000238418579),
        # Stop words are counted once each, not per occurrence.
        ("The the THE of", "stop_word_count", 2),
        ("thee ofof", "stop_word_count", 0),
        # Curly and other scripts' closing marks end a line.
        ("“Yes.”\n终。\nहै।\nلماذا؟\nno,\nno", "terminal_punct_line_frac", 0.6666666865348816),
        ("• a\n\t* b\n- c\n● d\n‣ e\n◦ f\n– g\n1. h", "bullet_line_frac", 0.75),
        # Ten words run; four with a closing mark, of whatever kind, do too; an entry does not.
        ("a b c d e f g h i j\nk l m n o p q r s t.", "running_word_frac", 1),
        ("a b c d e f g h i\nj", "running_word_frac", 0),
        ("He kindly stopped for me –\nAnd Immortality.", "running_word_frac", 0.7142857313156128),
        ("one two three.\nnext of us;\nHome page of us", "running_word_frac", 0),
        ("これは文です。\n目次", "running_word_frac", 0.75),
        # Scripts without spaces have words too.
        ("日本語の文", "word_count", 5),
        ("日本語の文", "mean_word_chars", 1),
        ("है", "alpha_frac", 1),
        ("½²①", "digit_frac", 0),
        ("½²①", "alnum_frac", 1),
        ("a\x00\x0b\x1f\ufffd\t\n\r\x7f", "control_frac", 0.4444444477558136),
        ("\x00", "line_count", 1),
        ("#", "hash_per_word_frac", 0),
        ("x" * 30 + "\n" + "x" * 31, "short_line_frac", 0.5),
        ("é" * 30, "short_line_frac", 1),
    ],
)
def test_traps(text: str, name: str, value: float) -> None:
    assert signals_of(text)[name] == value


def test_names_end_in_their_unit() -> None:
    assert all(name.endswith(("_count", "_frac", "_chars")) for name in QUALITY_SIGNALS)
    assert all(QUALITY_SIGNALS.values())


def test_twin_compares_the_same_signs() -> None:
    assert set(gopher.STOP_WORDS) == twins.STOP_WORDS
    assert set(quality.BULLETS) == twins.BULLETS
    assert set(quality.TERMINAL_PUNCTUATION) == twins.TERMINALS
    assert set(quality.CLAUSE_PUNCTUATION) == twins.CLAUSE_SIGNS
    assert quality.SHORT_LINE_CHARS == 30
    assert (quality.RUNNING_LINE_WORDS, quality.CLAUSE_LINE_WORDS) == (10, 4)


@pytest.mark.parametrize("layout", layouts([]))
def test_twin_on_edge_cases(layout: str) -> None:
    assert_like_twin(*edge_cases(layout))


@SETTINGS
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_twin_on_random_texts(texts: list[str]) -> None:
    assert_like_twin(pa.array(texts, pa.large_string()), texts)


@SETTINGS
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
def test_twin_on_malformed_bytes(documents: list[bytes]) -> None:
    assert_like_twin(raw_array(documents), [twins.as_text(document) for document in documents])


@SETTINGS
@given(TEXTS)
def test_shares_lie_between_0_and_1(text: str) -> None:
    for name, value in signals_of(text).items():
        if name.endswith("_frac") and "_per_" not in name:
            assert 0 <= value <= 1, name
