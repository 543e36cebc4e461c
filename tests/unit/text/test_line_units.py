"""Lines and paragraphs with keys, by hand and against a twin; and spans that cut them."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.line_units import (
    HEADING,
    JOINED,
    MAX_TITLE_WORDS,
    Units,
    find_places,
    find_units,
    spans_of_cuts,
)

from . import twins
from .texts import EDGE_CASES, SETTINGS, TEXTS, layouts

SENTENCE_SIGNS = set(".!?…,;:。！？，；：、।؟۔")
CLOSING_SIGNS = "\"'”’»)]）」』"


class Twin(NamedTuple):
    start: int
    stop: int
    said: tuple[str, ...]  # what is compared
    num_words: int
    num_chars: int
    is_heading: bool
    is_joined: bool


def twin_of(text: str, *, paragraphs: bool, words: bool, fold_digits: bool = False) -> list[Twin]:
    """The units of a text: groups of lines, then what is said of each."""
    rows, at = [], 0  # (start, stop, stripped line)
    for line in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        size = len(line.encode())
        rows.append((at, at + size, twins.strip(line)))
        at += size
    groups: list[list[tuple[int, int, str]]] = [[]]
    for row in rows:
        if row[2]:
            groups[-1].append(row)
        if not row[2] or not paragraphs:
            groups.append([])
    groups = [group for group in groups if group]
    return [
        twin_unit(groups, place, paragraphs, words, fold_digits) for place in range(len(groups))
    ]


def twin_unit(
    groups: list[list[tuple[int, int, str]]],
    place: int,
    paragraphs: bool,
    words: bool,
    fold_digits: bool,
) -> Twin:
    group = groups[place]
    lines = [line for _, _, line in group]
    behind = groups[place + 1] if place + 1 < len(groups) else None
    found = [twins.folded(word) for line in lines for word in twins.words(line)]
    if fold_digits:
        found = ["".join("0" if is_digit(c) else c for c in word) for word in found]
    title = lines[0].rstrip(CLOSING_SIGNS) or lines[0][:1]
    is_alone = len(lines) == 1
    if not paragraphs:
        is_alone &= place == 0 or groups[place - 1][-1][1] < group[0][0]
        is_alone &= behind is None or group[-1][1] < behind[0][0]
    underline = lines[1] if len(lines) == 2 else ""
    if not paragraphs and behind is not None and behind[0][0] == group[-1][1]:
        underline = behind[0][2]
    initials = [each[0][2][0] for each in groups]
    starts_low = [c.islower() or (c.istitle() and not c.isupper()) for c in initials]
    return Twin(
        group[0][0],
        group[-1][1],
        tuple(found) if words else tuple(lines),
        len(found),
        sum(map(len, found if words else lines)),
        is_heading=bool(
            (len(lines) == 1 and re.match(r"#{1,6}[ \t]", lines[0]))
            or re.fullmatch("={3,}|-{3,}", underline)
            or (
                is_alone
                and behind is not None
                and len(found) <= MAX_TITLE_WORDS
                and title[-1] not in SENTENCE_SIGNS
            )
        ),
        is_joined=paragraphs
        and any(0 < at < len(groups) and starts_low[at] for at in (place, place + 1)),
    )


def is_digit(char: str) -> bool:
    return unicodedata.category(char) == "Nd"


def rows_of(units: Units, document: int) -> list[tuple[int, ...]]:
    own = slice(units.offsets[document], units.offsets[document + 1])
    return list(zip(*(column[own].tolist() for column in units[1:]), strict=True))


def assert_like_twin(
    texts: list[str], units: Units, *, paragraphs: bool, words: bool, fold_digits: bool
) -> None:
    keys: dict[tuple[str, ...], tuple[int, int]] = {}
    for document, text in enumerate(texts):
        expected = twin_of(text, paragraphs=paragraphs, words=words, fold_digits=fold_digits)
        found = rows_of(units, document)
        assert len(found) == len(expected)
        for (start, stop, high, low, num_words, num_chars, traits), unit in zip(
            found, expected, strict=True
        ):
            told = (start, stop, keys.setdefault(unit.said, (high, low)), num_words, num_chars)
            assert told == (unit.start, unit.stop, (high, low), unit.num_words, unit.num_chars)
            assert (traits & HEADING != 0, traits & JOINED != 0) == unit[-2:], (text, unit)
    assert len(set(keys.values())) == len(keys)  # what is said otherwise has another key
    for half in (0, 1):
        assert len({key[half] for key in keys.values()}) == len(keys)


WAYS = [
    {"paragraphs": paragraphs, "words": words, "fold_digits": fold_digits}
    for paragraphs in (False, True)
    for words, fold_digits in ((True, False), (True, True), (False, False))
]
LINES = st.sampled_from(
    ["", "", " ", "# Head", "Title Here", "===", "---", "low goes on", "Said so.", "He said “go.”",
     "Same words, again!", "same  WORDS again", "7 May 2018", "3 May 2021", "####### no", "#no",
     "a b c d e f g h i j k", "\t indented", "中文字体", "…", "Straße\u00a0"]
)  # fmt: skip
PAGES = st.lists(LINES, max_size=12).map("\n".join)


@pytest.mark.parametrize("way", WAYS)
def test_twin_on_edge_cases_in_every_layout(way: dict[str, bool]) -> None:
    texts = [*EDGE_CASES, *(case.replace(" ", "\n") for case in EDGE_CASES)]
    for array in layouts(texts).values():
        assert_like_twin(texts, find_units(array, **way), **way)


@SETTINGS
@given(st.lists(PAGES | TEXTS, max_size=4))
def test_twin_on_random_texts(texts: list[str]) -> None:
    for way in WAYS:
        assert_like_twin(texts, find_units(pa.array(texts, pa.large_string()), **way), **way)


@SETTINGS
@given(st.lists(PAGES | TEXTS, max_size=4), st.booleans())
def test_places_alone_are_the_same(texts: list[str], paragraphs: bool) -> None:
    array = pa.array(texts, pa.large_string())
    places = find_places(array, paragraphs=paragraphs)
    for found, column in zip(
        places, find_units(array, paragraphs=paragraphs, words=True).places, strict=True
    ):
        assert found.tolist() == column.tolist()


def test_what_counts_as_equal() -> None:
    def keys(*lines: str, **way: bool) -> int:
        units = find_units(pa.array(lines, pa.large_string()), paragraphs=False, **way)
        return len(set(zip(units.highs.tolist(), units.lows.tolist(), strict=True)))

    assert (
        keys("All rights reserved.", "ALL RIGHTS  RESERVED", "“all rights reserved”", words=True)
        == 1
    )
    assert keys("Page 1 of 3", "Page 2 of 3", words=True) == 2
    assert keys("Page 1 of 3", "Page 2 of 3", words=True, fold_digits=True) == 1
    assert keys("same ", "\tsame", "same\n", words=False) == 1
    assert keys("same", "Same", "same.", words=False) == 3
    assert keys("ab c", "a bc", "abc", "a b c", words=True) == 4  # where words end counts


def test_a_paragraph_wrapped_otherwise_has_the_same_words() -> None:
    texts = ["one two\nthree four", "one\ntwo three\nfour\n"]
    array = pa.array(texts, pa.large_string())
    by_words = find_units(array, paragraphs=True, words=True)
    assert by_words.highs[0] == by_words.highs[1]
    by_bytes = find_units(array, paragraphs=True, words=False)
    assert by_bytes.highs[0] != by_bytes.highs[1]


def cut(text: str, is_cut: list[bool], *, paragraphs: bool = False) -> str:
    array = pa.array(["other", text], pa.large_string()).slice(1)
    units = find_places(array, paragraphs=paragraphs)
    offsets, starts, stops = spans_of_cuts(array, units, np.array(is_cut, np.bool_))
    assert offsets.tolist() == [0, len(starts)]
    data, parts, done = text.encode(), [], 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        assert done <= start < stop <= len(data)
        parts.append(data[done:start])
        done = stop
    return b"".join([*parts, data[done:]]).decode()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A\nX\nB", "A\nB"),
        ("A\n\nX\n\nB", "A\n\nB"),
        ("A\n\nX\nB", "A\n\nB"),
        ("A\nX\n\nB", "A\n\nB"),
        ("A\n\nX\n\n\nX\n\nB\n", "A\n\nB\n"),
        ("X\nA", "A"),
        ("\nX\n\n  A", "  A"),
        ("A\nX", "A"),
        ("A\nX\n", "A\n"),
        ("A\n\nX", "A"),
        ("A\n \nX\n\n", "A\n"),
        ("X", ""),
        ("X\n\nX\n", ""),
        ("é\nX\n—", "é\n—"),
        ("A\n\n\nB", "A\n\n\nB"),
    ],
)
def test_blank_lines_do_not_pile_up(text: str, left: str) -> None:
    is_cut = [line.strip() == "X" for line in text.split("\n") if line.strip()]
    assert cut(text, is_cut) == left


@SETTINGS
@given(PAGES, st.data(), st.booleans())
def test_what_stays_is_whole_units_and_no_more_blank_lines(
    text: str, data: st.DataObject, paragraphs: bool
) -> None:
    units = twin_of(text, paragraphs=paragraphs, words=True)
    is_cut = data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units)))
    left = cut(text, is_cut, paragraphs=paragraphs)
    whole = text.encode()

    def lines(stretch: bytes) -> list[str]:
        return [line for line in stretch.decode().split("\n") if twins.strip(line)]

    kept = [unit for unit, goes in zip(units, is_cut, strict=True) if not goes]
    assert lines(left.encode()) == [
        line for unit in kept for line in lines(whole[unit.start : unit.stop])
    ]

    def most_blank(page: str) -> int:
        runs = re.findall(r"(?:^|(?<=\n))(?:[^\S\n]*\n)+", page)
        return max((run.count("\n") for run in runs), default=0)

    assert most_blank(left) <= most_blank(text)
    if any(is_cut) and not text.endswith("\n"):
        assert not left.endswith("\n")
