"""Scripts: the range table against another Unicode database, a row by hand, and the twin."""

import sys
import unicodedata
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.scripts import (
    EMOJI,
    LETTERS_OF_SCRIPTS,
    SCRIPT_SIGNALS,
    kind_table,
    script_signals,
)

from . import twins
from .checks import assert_nothing_in_blank_texts, assert_signals_like_twin, edge_cases
from .texts import SETTINGS, TEXTS, layouts, raw_array

PROPERTIES = {
    script: rf"\p{{Script={script}}}" if script != "kana" else r"\p{Script=Hiragana}|\p{Katakana}"
    for script in LETTERS_OF_SCRIPTS
}
MIXED = st.text(
    st.sampled_from(
        "aZéßЖяΩς漢々ひカｶ한ᄀسאदไ๑กअԱ中 \n,.!$+€☀😀🇩👍🏽\u200d\u200b\u00ad\ue000\U000e0080ǅ©⅔"
    ),
    max_size=40,
)


def signals_of(text: str) -> dict[str, float]:
    return {name: float(values[0]) for name, values in script_signals(pa.array([text])).items()}


def is_emoji(char: str) -> bool:
    pattern = r"[\p{Emoji_Presentation}\p{Extended_Pictographic}]"
    return char not in "©®™" and regex.match(pattern, char) is not None


def script_of(char: str) -> str:
    found = (name for name, pattern in PROPERTIES.items() if regex.match(pattern, char))
    return next(found, "other")


def twin(text: str) -> dict[str, np.float32]:
    category = unicodedata.category
    letters = [char for char in text if category(char)[0] == "L"]
    scripts = [script_of(char) for char in letters]
    visible = [char for char in text if not twins.is_space(char)]
    emoji = [char for char in visible if is_emoji(char)]
    others = [category(char) for char in visible if not is_emoji(char)]
    names = [*LETTERS_OF_SCRIPTS, "other"]
    row = {f"{name}_letter_frac": twins.share(scripts.count(name), len(letters)) for name in names}
    num_symbols = sum(kind[0] == "S" for kind in others) + len(emoji)
    return row | {
        "dominant_script_frac": twins.share(max(map(scripts.count, names)), len(letters)),
        "uppercase_letter_frac": twins.share(
            sum(category(char) in ("Lu", "Lt") for char in letters), len(letters)
        ),
        "punct_frac": twins.share(sum(kind[0] == "P" for kind in others), len(visible)),
        "symbol_frac": twins.share(num_symbols, len(visible)),
        "emoji_frac": twins.share(len(emoji), len(visible)),
        "format_frac": twins.share(others.count("Cf"), len(visible)),
        "unassigned_frac": twins.share(others.count("Co") + others.count("Cn"), len(visible)),
    }


assert_like_twin = partial(assert_signals_like_twin, script_signals, SCRIPT_SIGNALS, twin)


def test_a_whole_row_by_hand() -> None:
    assert {
        name: value for name, value in signals_of("Abc яЖ 漢, ひ! 1€ 😀\u200d").items() if value
    } == (
        pytest.approx(
            {
                "latin_letter_frac": 3 / 7,
                "cyrillic_letter_frac": 2 / 7,
                "han_letter_frac": 1 / 7,
                "kana_letter_frac": 1 / 7,
                "dominant_script_frac": 3 / 7,
                "uppercase_letter_frac": 2 / 7,
                "punct_frac": 2 / 13,
                "symbol_frac": 2 / 13,
                "emoji_frac": 1 / 13,
                "format_frac": 1 / 13,
            },
            rel=1e-6,
        )
    )


@pytest.mark.parametrize("script", LETTERS_OF_SCRIPTS)
def test_letters_of_each_script_like_another_database(script: str) -> None:
    """Ranges hold every letter of the script and none of another, assigned since or not."""
    ranges = LETTERS_OF_SCRIPTS[script]
    held = {code for first, last in ranges for code in range(first, last + 1)}
    pattern = regex.compile(rf"(?=\p{{L}})(?:{PROPERTIES[script]})")
    letters = regex.compile(r"\p{L}")
    chars = {code: chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000}
    of_script = {code for code, char in chars.items() if pattern.match(char)}
    assert of_script <= held
    assert not {code for code in held - of_script if letters.match(chars[code])}
    assert all(first <= last for first, last in ranges)


def test_kind_of_every_code_point() -> None:
    """The table is filled in where characters are: nothing else is anything but unassigned."""
    table = kind_table()
    assert len(table) == sys.maxunicode + 1
    of_other = {"Cf": 5, "Co": 6, "Cn": 6}
    for code in range(len(table)):
        char = chr(code)
        category = unicodedata.category(char)
        if twins.is_space(char):
            expected = 0
        elif is_emoji(char):
            expected = 4
        elif category[0] == "L":
            assert table[code] >= 8 and table[code] & 1 == (category in ("Lu", "Lt"))
            continue
        else:
            expected = of_other.get(category, {"P": 2, "S": 3}.get(category[0], 1))
        assert table[code] == expected, f"U+{code:04X}"


def test_emoji_like_another_database() -> None:
    held = set()
    for span in EMOJI.split():
        first, _, last = span.partition("-")
        held |= set(range(int(first, 16), int(last or first, 16) + 1))
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert held == {code for code in codes if is_emoji(chr(code))}


def test_empty_null_and_blank_documents() -> None:
    assert_nothing_in_blank_texts(script_signals, SCRIPT_SIGNALS)


@pytest.mark.parametrize("layout", layouts([]))
def test_twin_on_edge_cases(layout: str) -> None:
    assert_like_twin(*edge_cases(layout))


@SETTINGS
@given(st.lists(TEXTS | MIXED, min_size=1, max_size=5))
def test_twin_on_random_texts(texts: list[str]) -> None:
    assert_like_twin(pa.array(texts, pa.large_string()), texts)


@SETTINGS
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
def test_twin_on_malformed_bytes(documents: list[bytes]) -> None:
    assert_like_twin(raw_array(documents), [twins.as_text(document) for document in documents])


@SETTINGS
@given(TEXTS | MIXED)
def test_shares_of_scripts_sum_to_one(text: str) -> None:
    row = signals_of(text)
    total = sum(row[f"{name}_letter_frac"] for name in [*LETTERS_OF_SCRIPTS, "other"])
    assert total == pytest.approx(float(any(map(str.isalpha, text))), abs=1e-5)
