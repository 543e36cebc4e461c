"""What every family of measures says of the corners of Unicode, each value counted by hand.

A measure without @ is ours and goes by Unicode's general categories; one with @ goes by what the
peer's Python does. Where the two differ, both stand here. Rows are (text, signal, value): a change
of any of them changes which documents of a multilingual corpus are kept.
"""

import json
import unicodedata

import numpy as np
import pyarrow as pa
import pytest

from bessemer.text.blocklists import DOMAINS, WORDS, hash_entries, make_url_lists
from bessemer.text.code import code_signals
from bessemer.text.redpajama import redpajama_signals
from bessemer.text.scripts import script_signals
from bessemer.text.urls import url_signals
from bessemer.text.web_lines import web_line_signals
from bessemer.text.word_families import quality_signals, repetition_signals

from .texts import raw_array


def measure(array: pa.Array, extension: str = "c") -> dict[str, float]:
    row = {
        **quality_signals(array),
        **repetition_signals(array),
        **web_line_signals(array),
        **redpajama_signals(array),
        **code_signals(array, [extension] * len(array)),
        **script_signals(array),
    }
    return {name: float(values[0]) for name, values in row.items()}


def check(text: str, expected: dict[str, float]) -> None:
    found = measure(pa.array([text], pa.large_string()))
    wrong = {
        name: (found[name], value)
        for name, value in expected.items()
        if found[name] != float(np.float32(value))
    }
    assert not wrong, "signal: (found, expected)"


# U+000B, U+000C, U+001C to U+001E, U+0085, U+2028 and U+2029 end a line for str.splitlines alone.
SEPARATORS = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_only_splitlines_knows_these_line_separators(separator: str) -> None:
    check(
        f"ab{separator}ab",
        {
            "line_count": 1,
            "word_count": 2,
            "max_line_chars": 5,
            "dup_line_frac": 0,
            "one_word_line_frac": 0,  # two words between white space, by str.split
            "word_count@redpajama": 2,
            "mean_line_words@redpajama": 2,
            "max_line_chars@redpajama": 2,
            "mean_line_chars@redpajama": 2,
            "line_count@curator": 1,
            "max_run_chars": 2,
        },
    )


@pytest.mark.parametrize(("ending", "chars"), [("\n", 5), ("\r\n", 6)])
def test_unix_and_windows_endings_part_the_same_lines(ending: str, chars: int) -> None:
    check(
        f"ab{ending}ab",
        {
            "char_count": chars,
            "line_count": 2,
            "max_line_chars": 2,
            "dup_line_frac": 1 / 2,
            "one_word_line_frac": 1,
            "max_line_chars@redpajama": 2,
            "line_count@curator": 2,
            "mean_line_words@redpajama": 1,
        },
    )


def test_a_lone_carriage_return_ends_a_line_for_splitlines_alone() -> None:
    check("ab\rab", {"line_count": 1, "max_line_chars@redpajama": 2, "word_count": 2})


def test_information_separators_are_white_space_to_python_not_to_unicode() -> None:
    check("\x1c\x1f", {"whitespace_frac": 0, "control_frac": 1, "max_run_chars": 0})
    # A line of them alone: one to us, blank to DCLM.
    check("\x1c", {"line_count": 1, "one_word_line_frac": 0, "removed_line_frac@dclm": 0})


@pytest.mark.parametrize(
    ("composed", "decomposed"),
    [("é", "e\u0301"), ("Å", "A\u030a"), ("각", "\u1100\u1161\u11a8")],
)
def test_composed_and_decomposed_letters(composed: str, decomposed: str) -> None:
    """We do not normalise: two words; RedPajama does: one, and longer by its marks."""
    assert unicodedata.normalize("NFD", composed) == decomposed
    size = len(decomposed)
    check(
        f"{composed} {decomposed}",
        {
            "word_count": 2,
            "unique_word_frac": 1,
            "mean_word_chars": (1 + size) / 2,
            "alnum_frac": 1,
            "unique_word_frac@redpajama": 1 / 2,
            "mean_word_chars@redpajama": size,
            "word_count@redpajama": 2,
        },
    )


def test_combining_marks() -> None:
    check(
        "e\u0301a \u0301b",
        {
            "word_count": 2,  # the mark on nothing begins no word
            "alpha_frac": 1,  # marks go with letters
            "latin_letter_frac": 1,  # but have no script of their own
            "alpha_frac@starcoder": 3 / 6,  # str.isalpha: no mark, and white space counts
            "alnum_frac@redpajama": 3 / 6,
            "alpha_per_token_chars": 3 / 5,  # e, the mark, a, the mark, b
            "sentence_count@redpajama": 1,
        },
    )


def test_scripts_written_without_spaces() -> None:
    """A letter of Chinese, Thai, Lao or Khmer is a word of ours; white space makes theirs."""
    for text, words, script in [
        ("中文字", 3, "han"),
        ("ひらカナ", 4, "kana"),
        ("ไทยกำ", 5, "thai"),  # U+0E33 is a letter of its own
        ("ລາວ", 3, "other"),
        ("ខ្មែរ", 3, "other"),  # two marks belong to the letters before them
        ("한국어", 1, "hangul"),
    ]:
        check(
            text,
            {
                "word_count": words,
                f"{script}_letter_frac": 1,
                "dominant_script_frac": 1,
                "word_count@redpajama": 1,
                "one_word_line_frac": 1,
                "removed_word_frac@dclm": 1,  # a line of one word: so it goes with DCLM
                "max_run_chars": len(text),
            },
        )


def test_thai_vowel_signs_are_marks_and_no_letters() -> None:
    check("กิ", {"word_count": 1, "thai_letter_frac": 1, "alpha_frac@starcoder": 1 / 2})


def test_terminal_punctuation_of_many_scripts() -> None:
    lines = ["Yes.", "“Yes.”", "‘Yes.’", "はい。", "「はい。」", "हाँ।", "نعم؟", 'So "yes"']
    check(
        "\n".join(lines),
        {
            "line_count": 8,
            "terminal_punct_line_frac": 1,
            # . ! ? and U+201D only: the first two.
            "terminal_punct_line_frac@redpajama": 2 / 8,
        },
    )
    check(
        "a\u2026\nb...\nc. . .",
        {"ellipsis_line_frac": 2 / 3, "ellipsis_line_frac@redpajama": 2 / 3},
    )


def test_curly_apostrophes() -> None:
    check("don’t don't", {"word_count": 2, "unique_word_frac": 1 / 2})
    # RedPajama takes out ASCII punctuation alone, so that these are two words.
    check("don’t don't", {"unique_word_frac@redpajama": 1, "mean_word_chars@redpajama": 9 / 2})


def test_an_emoji_sequence_is_no_word_to_us() -> None:
    family = "👩\u200d👩\u200d👧"
    check(
        f"{family} ok",
        {
            "char_count": 8,
            "word_count": 1,
            "word_count@redpajama": 2,
            "emoji_frac": 3 / 7,
            "symbol_frac": 3 / 7,
            "format_frac": 2 / 7,  # the joiners
            "alnum_frac": 2 / 7,
            "no_alpha_word_frac@redpajama": 1 / 2,
            "alpha_per_token_chars": 2 / 2,
        },
    )
    # A skin tone, a flag of two letters, a keycap of a digit, a heart with its selector.
    check("👍🏽", {"emoji_frac": 1, "char_count": 2})
    check("🇩🇪", {"emoji_frac": 1, "symbol_frac": 1})
    check("1\ufe0f\u20e3", {"emoji_frac": 0, "digit_frac": 1 / 3, "word_count": 1})
    check("❤\ufe0f", {"emoji_frac": 1 / 2, "word_count": 0})


def test_right_to_left_text_and_its_marks() -> None:
    check(
        "שלום\u200f العربية\u061c ١٢٣؟",
        {
            "word_count": 3,
            "hebrew_letter_frac": 4 / 11,
            "arabic_letter_frac": 7 / 11,
            "dominant_script_frac": 7 / 11,
            "format_frac": 2 / 17,
            "punct_frac": 1 / 17,
            "digit_frac": 3 / 17,
            "numeric_char_frac@redpajama": 3 / 19,
            "terminal_punct_line_frac": 1,
            "terminal_punct_line_frac@redpajama": 0,
        },
    )


def test_digits_that_are_not_ascii() -> None:
    check("١٢ ²½ Ⅷ④", {"digit_frac": 2 / 6, "alnum_frac": 1, "numeric_char_frac@redpajama": 6 / 8})
    check("²²²²", {"numeric_line_frac": 1, "digit_frac": 0})  # str.isdigit takes superscripts
    check("½½½½", {"numeric_line_frac": 0})
    check("٣ likes", {"counter_line_frac": 1})


def test_a_byte_order_mark() -> None:
    """It is a format character: no white space, no word, and it hides what it stands before."""
    check(
        "\ufeff- the\n# x",
        {
            "char_count": 10,
            "word_count": 2,
            "bullet_line_frac": 0,
            "format_frac": 1 / 7,
            "whitespace_frac": 3 / 10,
            "word_count@redpajama": 3,  # the mark, once the hyphen is taken out
        },
    )
    check("\ufeff<?xml version='1.0'?>", {"xml_header_count": 1})


def test_the_replacement_character() -> None:
    check(
        "a\ufffdb",
        {
            "control_frac": 1 / 3,
            "word_count": 2,
            "symbol_frac": 1 / 3,
            "word_count@redpajama": 1,
            "unassigned_frac": 0,
        },
    )


def test_bytes_that_are_no_utf8_are_replacement_characters() -> None:
    for data in (b"\xed\xa0\xbd", b"\xff\xfe\x80", b"\xf0\x9f\x98"):  # a surrogate, and others
        found = measure(raw_array([data]))
        assert (found["char_count"], found["control_frac"], found["symbol_frac"]) == (3, 1, 1)
        assert found["word_count@redpajama"] == 1


def test_surrogate_pairs_in_json_are_one_character() -> None:
    check(json.loads('"\\ud83d\\ude00"'), {"char_count": 1, "emoji_frac": 1})
    with pytest.raises(UnicodeEncodeError):
        pa.array([json.loads('"\\ud83d"')])  # half of one is no text: readers quarantine it


@pytest.mark.parametrize("sign", ["\u200b", "\u200c", "\u200d", "\u2060", "\u00ad"])
def test_zero_width_characters_and_soft_hyphens(sign: str) -> None:
    """They part words of ours, are no white space, and stay in words of RedPajama."""
    check(
        f"ab{sign}cd",
        {
            "word_count": 2,
            "whitespace_frac": 0,
            "format_frac": 1 / 5,
            "word_count@redpajama": 1,
            "mean_word_chars@redpajama": 5,
            "max_run_chars": 5,
            "alnum_frac": 4 / 5,
        },
    )


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2003", "\u1680"])
def test_spaces_that_are_not_ascii(space: str) -> None:
    check(
        f"ab{space}cd",
        {
            "word_count": 2,
            "whitespace_frac": 1 / 5,
            "word_count@redpajama": 2,
            "one_word_line_frac": 0,
            "max_run_chars": 2,
        },
    )


def test_case_without_and_beyond_ascii() -> None:
    check("ÉCOLE été ǅ", {"uppercase_letter_frac": 6 / 9, "all_caps_word_frac@redpajama": 1 / 3})
    check("ΣΊΣΥΦΟΣ Σίσυφος", {"unique_word_frac": 1 / 2})
    check("STRASSE straße", {"unique_word_frac": 1})
    check("中文", {"uppercase_letter_frac": 0, "uppercase_line_frac": 0})


def test_private_use_and_unassigned_code_points() -> None:
    check(
        "\ue000\U000f0000\u0378x",
        {"unassigned_frac": 3 / 4, "word_count": 1, "alnum_frac": 1 / 4, "latin_letter_frac": 1},
    )


def test_characters_beyond_the_basic_plane() -> None:
    check(
        "𠀀𝒜",
        {"char_count": 2, "word_count": 2, "han_letter_frac": 1 / 2, "other_letter_frac": 1 / 2},
    )


def test_comments_are_counted_in_characters() -> None:
    check("// é中😀\nx", {"comment_frac": 6 / 8})


def test_names_of_hosts_in_other_scripts() -> None:
    """Letters beyond ASCII are compared as they are written, in their case and form."""
    lists = make_url_lists(
        {
            DOMAINS: hash_entries(pa.array(["bücher.example"]), DOMAINS),
            WORDS: hash_entries(pa.array(["spam"]), WORDS),
        }
    )
    urls = ["http://www.bücher.example/", "http://BÜCHER.example/", "http://x.y/éSPAMé"]
    found = url_signals(pa.array(urls), lists)
    assert found["url_blocked_domain_count"].tolist() == [1, 0, 0]
    assert found["url_blocked_word_count"].tolist() == [0, 0, 1]
