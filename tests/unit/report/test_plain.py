"""Unseen and reordering characters are shown; ordinary text of any script is left alone."""

import pytest

from bessemer.report.plain import beginning, condensed, ending, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("dos\r\nline", "dos\nline"),
        ("bell\x07", "bell\u2407"),
        ("old\rmac", "old\u240dmac"),
        ("\x1b[31mred\x7f", "\u241b[31mred\u2421"),
        ("c1\x85", "c1⟨U+0085⟩"),
        ("evil\u202egnp.exe", "evil⟨U+202E⟩gnp.exe"),
        ("isolate\u2066a\u2069", "isolate⟨U+2066⟩a⟨U+2069⟩"),
        ("zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("soft\xadhyphen", "soft⟨U+00AD⟩hyphen"),
        ("line\u2028separator", "line⟨U+2028⟩separator"),
        ("lone\ud800surrogate", "lone⟨U+D800⟩surrogate"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("e\u0301te\u0301", "e\u0301te\u0301"),
        ("z" + "\u0300" * 50, "z\u0300\u0300\u0300…"),
        ("👩‍👩‍👧 1️⃣", "👩‍👩‍👧 1️⃣"),
        ("हिन्दी العربية עברית 中文 ไทย", "हिन्दी العربية עברית 中文 ไทย"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    visible(text).encode()  # no lone surrogate is left


def test_visible_twice_is_visible_once() -> None:
    text = "".join(map(chr, range(0x3000))) + "\ud912\U000e0100"
    assert visible(visible(text)) == visible(text)


def test_beginning_and_ending() -> None:
    assert beginning("abcdef", 4) == ("abcd", True)
    assert beginning("abcd", 4) == ("abcd", False)
    assert beginning("", 4) == ("", False)
    assert ending("abcdef", 4) == "…def"
    assert ending("abcd", 4) == "abcd"


def test_a_beginning_ends_with_a_word_and_has_few_lines() -> None:
    assert beginning("one two three", 9) == ("one two", True)
    assert beginning("one two three", 7) == ("one two", True)
    assert beginning("one two three", 13) == ("one two three", False)
    assert beginning("a bcdefghijk", 8) == ("a bcdefg", True)  # or hardly a word would be shown
    assert beginning("中文没有空格", 4) == ("中文没有", True)
    assert beginning("one\ntwo\nthree", 99, 2) == ("one\ntwo", True)
    assert beginning("one\n\nthree", 99, 2) == ("one", True)
    assert beginning("one\ntwo\n", 99, 2) == ("one\ntwo", False)


def test_condensed_keeps_one_blank_line_and_every_indentation() -> None:
    assert condensed("\n \n  a\n\n\n  b\n \t\nc\n") == "  a\n\n  b\n \t\nc\n"
