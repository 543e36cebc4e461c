"""Tells whether a line is a counter: "3 likes", "1.2K views!".

Input: the UTF-8 bytes of a line. The rule is DCLM's (baselines/mappers/modifiers.py,
counter_line_modifier): a number, perhaps with k, m or b behind it, white space, one of COUNTED, and
nothing but signs around.
"""

import functools

import numpy as np

from bessemer.text.buffers import Bytes, Integer, Offsets, kernel, read_only
from bessemer.text.characters import decode
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
def is_counter(data: Bytes, begin: int, end: int, classes: Kinds, counted: Offsets) -> bool:
    """Whether the line at bytes `begin` to `end` is a counter.

    Most lines are told by their first letter or digit.
    """
    position, code = _find_word(data, begin, end, classes)
    if not classes[code] & DECIMAL:
        return False
    while position < end:
        code, width = decode(data, position, end)
        if not (classes[code] & DECIMAL or code == 0x2C or code == 0x2E):
            break
        position += width
    code = lower(code)
    if position < end and (code == 0x6B or code == 0x6D or code == 0x62):
        position += 1
    noun_begin = position
    while noun_begin < end:
        code, width = decode(data, noun_begin, end)
        if not classes[code] & BLANK:
            break
        noun_begin += width
    if noun_begin == position:
        return False
    noun: Integer = 0
    position = noun_begin
    while position < end:
        code = lower(np.int64(data[position]))
        if not 0x61 <= code <= 0x7A or position - noun_begin == _MAX_COUNTED_CHARS:
            break
        noun = noun << 5 | (code - 0x60)
        position += 1
    is_counted = False
    for i in range(len(counted)):
        is_counted |= counted[i] == noun
    position, _ = _find_word(data, position, end, classes)
    return is_counted and position == end


@kernel
def _find_word(data: Bytes, begin: int, end: int, classes: Kinds) -> tuple[int, Integer]:
    """Return where the first letter, number or underscore stands, and which; at `end` a space."""
    position = begin
    while position < end:
        code, width = decode(data, position, end)
        if classes[code] & ALNUM or code == 0x5F:
            return position, code
        position += width
    return end, 0x20
