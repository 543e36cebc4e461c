"""Tells whether a line is a counter: "3 likes", "1.2K views!".

Input: the code points of a line. The rule is DCLM's (baselines/mappers/modifiers.py,
counter_line_modifier): a number, perhaps with k, m or b behind it, white space, one of COUNTED, and
nothing but signs around.
"""

import functools

import numpy as np

from bessemer.text.buffers import Codes, Integer, Offsets, kernel, read_only
from bessemer.text.phrases import lower
from bessemer.text.string_classes import ALNUM, BLANK, DECIMAL
from bessemer.text.web_buttons import Kinds

COUNTED = (
    *("likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes"),
    *("downvotes", "downloads", "views", "followers"),
)
"""What a counter counts (DCLM, counter_line_modifier)."""

_MAX_COUNTED_CHARS = max(map(len, COUNTED))


@functools.cache
def counted_nouns() -> Offsets:
    """Return COUNTED as numbers of base 32 (int64), a letter a digit."""
    numbers = [sum(_letter(c) << 5 * i for i, c in enumerate(reversed(w))) for w in COUNTED]
    return read_only(np.array(numbers, np.int64))


def _letter(char: str) -> int:
    return ord(char) - 0x60


@kernel
def is_counter(codes: Codes, first: int, last: int, classes: Kinds, counted: Offsets) -> bool:
    """Whether the line from code `first` to `last` is a counter.

    Most lines are told by their first letter or digit.
    """
    position = first
    while position < last and not _is_word(codes[position], classes):
        position += 1
    if position == last or not classes[codes[position]] & DECIMAL:
        return False
    code: Integer = 0
    while position < last:
        code = lower(np.int64(codes[position]))
        if not (classes[codes[position]] & DECIMAL or code == 0x2C or code == 0x2E):
            break
        position += 1
    if position < last and (code == 0x6B or code == 0x6D or code == 0x62):
        position += 1
    noun_start = position
    while noun_start < last and classes[codes[noun_start]] & BLANK:
        noun_start += 1
    if noun_start == position:
        return False
    noun: Integer = 0
    position = noun_start
    while position < last:
        code = lower(np.int64(codes[position]))
        if not 0x61 <= code <= 0x7A or position - noun_start == _MAX_COUNTED_CHARS:
            break
        noun = noun << 5 | (code - 0x60)
        position += 1
    is_counted = False
    for i in range(len(counted)):
        is_counted |= counted[i] == noun
    while position < last:
        is_counted &= not _is_word(codes[position], classes)
        position += 1
    return is_counted


@kernel
def _is_word(code: np.uint32, classes: Kinds) -> bool:
    return bool(classes[code] & ALNUM != 0 or code == 0x5F)
