"""What is told of a text in one pass is never less than what the steps would find."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.curate.normalise import compose, cut_control_characters
from bessemer.text.traits import COMPOSABLE, COMPOSED, CONTROL, traits_of

from .texts import EDGE_CASES, SETTINGS, TEXTS


def test_composed_characters_change_nothing_around_them() -> None:
    """Of every character that another can be composed of, only the first may be among them."""
    seconds = set()
    for code in range(sys.maxunicode + 1):
        kind, *parts = unicodedata.decomposition(chr(code)).split() or [""]
        if not kind.startswith("<") and parts:
            seconds.update(int(part, 16) for part in parts)
    seconds |= {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}  # vowels and finals of Hangul
    for first, last in COMPOSED:
        for code in range(first, last + 1):
            assert code not in seconds, hex(code)
            assert unicodedata.combining(chr(code)) == 0
            assert unicodedata.normalize("NFC", chr(code)) == chr(code)


@pytest.mark.parametrize(
    ("text", "traits"),
    [
        ("", 0),
        ("tabs\tand\nlines", 0),
        ("caf\u00e9 \u201cquoted\u201d \u20ac \u0416 \u6f22", 0),
        ("cafe\u0301", COMPOSABLE),
        ("\u2001", COMPOSABLE),  # of which NFC makes another
        ("\uac00", COMPOSABLE),  # stands as it is, but a final may follow
        ("\U0001f600", COMPOSABLE),
        ("bell\a", CONTROL),
        ("\r\n", CONTROL),
        ("\x7f", CONTROL),
        ("\u0085", 0),
        ("\x0b\u0301", CONTROL | COMPOSABLE),
    ],
)
def test_traits(text: str, traits: int) -> None:
    assert traits_of(text.encode()) == traits


@SETTINGS
@given(TEXTS | st.text())
def test_without_a_trait_a_step_finds_nothing(text: str) -> None:
    assert_no_less(text)


@pytest.mark.parametrize("text", EDGE_CASES)
def test_without_a_trait_a_step_finds_nothing_in_edge_cases(text: str) -> None:
    assert_no_less(text)


def assert_no_less(text: str) -> None:
    traits = traits_of(text.encode())
    assert bool(traits & CONTROL) == bool(cut_control_characters(text)[1])
    if not traits & COMPOSABLE:
        assert compose(text) == (text, ())
