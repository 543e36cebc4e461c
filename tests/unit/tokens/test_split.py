"""Text is cut where `tokenizers` cuts it with the same pattern, whatever the text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate, product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from bessemer.text.buffers import utf8_buffers
from bessemer.tokens.hostile import HOSTILE
from bessemer.tokens.patterns import DIGITS_SPLIT, PATTERNS
from bessemer.tokens.split import (
    LETTER,
    LINE_END,
    LOWER,
    MARK,
    NUMBER,
    OTHER,
    RULES,
    SPACE,
    UNCASED,
    UPPER,
    class_table,
    split,
)

KNOWN = {name: PATTERNS[name] for name in ("gpt2", "qwen2", "cl100k", "o200k")} | {
    "ours": DIGITS_SPLIT
}
SAMPLES = Path(__file__).parents[3] / "samples"
# Every class twice, and all that a pattern names.
SIGNS = (
    "aehiLSTVRED''’ſKß ĲǅǆʰªAZ漢かไ\u0301\u0308\u20dd09Ⅷ½٣ \n\r\t\v\u00a0\u2028\x85"
    "/.,!?_$<\x00\ufffd🔥"
)


def borders(texts: Sequence[str], pattern: str) -> list[list[int]]:
    """Where pretokens end, in bytes of each text, found by us."""
    offsets, ends = split(
        *utf8_buffers(pa.array(texts, pa.large_string())), class_table(), RULES[pattern]
    )
    firsts = [0, *ends.tolist()]
    return [
        (offsets[first + 1 : last + 1] - offsets[first]).tolist()
        for first, last in zip(firsts, ends.tolist(), strict=False)
    ]


def their_borders(text: str, pattern: str) -> list[int]:
    """Where pretokens end, in bytes, found by Oniguruma."""
    pretokens = pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)
    return list(accumulate(len(pretoken.encode()) for pretoken, _ in pretokens))


def assert_alike(texts: Sequence[str], pattern: str) -> None:
    for text, found in zip(texts, borders(texts, pattern), strict=True):
        assert found == their_borders(text, pattern), text[:200]


def test_all_published_patterns_are_known() -> None:
    assert set(RULES) == {*PATTERNS.values(), DIGITS_SPLIT} == set(KNOWN.values())


@pytest.mark.parametrize("name", KNOWN)
def test_hostile_texts(name: str) -> None:
    runs = [sign * 3000 for sign in (" \n", "\r\n ", "漢", "!", "' ", "\u0301", "'s", "aA", "1")]
    assert_alike([t for t in HOSTILE.values() if len(t) < 10**6] + runs, KNOWN[name])


@pytest.mark.parametrize("name", KNOWN)
@given(texts=st.lists(st.text(st.one_of(st.sampled_from(SIGNS), st.characters(codec="utf-8")))))
@example(["", "a", "", ""])
def test_any_text(name: str, texts: list[str]) -> None:
    assert_alike(texts, KNOWN[name])


@pytest.mark.parametrize("name", KNOWN)
def test_signs_of_every_class_in_every_order(name: str) -> None:
    """All runs of three signs, each before a letter and before a blank, then alone."""
    triples = ["".join(three) for three in product("aSLʰǅ漢\u0301'ſ9½ \n\r\u00a0/.🔥", repeat=3)]
    texts = ["".join(f"{three}x{three} " for three in triples[at::50]) for at in range(50)]
    assert_alike([*texts, *triples], KNOWN[name])


@pytest.mark.parametrize("name", KNOWN)
def test_both_ends_of_every_range_of_unicode(name: str) -> None:
    """Every code point whose neighbour before or after is of another class."""
    table = class_table().astype(np.int64)
    edges = np.flatnonzero(np.diff(table, append=0) | np.diff(table, prepend=0))
    signs = [chr(code) for code in edges if table[code]]
    assert len(signs) > 3000
    texts = ["".join(f"a{c}b {c}1 {c}!A{c}{c}'{c}\n" for c in signs[at::50]) for at in range(50)]
    assert_alike(texts, KNOWN[name])


@pytest.mark.parametrize("name", KNOWN)
def test_real_text(name: str) -> None:
    files = [path for path in sorted(SAMPLES.rglob("*")) if path.is_file()][::30]
    texts = [path.read_bytes()[:20_000].decode("utf-8", "ignore") for path in files]
    assert sum(map(len, texts)) > 100_000
    assert_alike(texts, KNOWN[name])


def test_classes_are_those_of_unicode() -> None:
    """By Python's tables, for what they know: those of `tokenizers` may be newer or older."""
    bits = {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER, "Lm": UNCASED, "Lo": UNCASED}
    bits |= {"Mn": MARK | OTHER, "Mc": MARK | OTHER, "Me": MARK | OTHER}
    bits |= {"Nd": NUMBER, "Nl": NUMBER, "No": NUMBER, "Zs": SPACE, "Zl": SPACE, "Zp": SPACE}
    table = class_table()
    assert len(table) == 0x110000
    different = []
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        expected = bits.get(category, OTHER)
        if chr(code) in "\t\n\v\f\r\x85":
            expected = SPACE | LINE_END * (chr(code) in "\n\r")
        if category == "Cs":
            expected = 0
        if category != "Cn" and table[code] != expected:
            different.append(f"U+{code:04X}")
    assert not different
    assert all(bool(entry & LETTER) + bool(entry & NUMBER) <= 1 for entry in table.tolist())
