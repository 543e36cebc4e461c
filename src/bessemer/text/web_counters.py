"""Tells a line that is a counter, "3 likes", while its characters are read one by one.

Input: the state of the line so far, and its next character. Output: the state behind it. The rule
is DCLM's (baselines/mappers/modifiers.py, counter_line_modifier): a number, perhaps with k, m or b
behind it, white space, one of COUNTED, and nothing but signs around.
"""

import functools

import numpy as np
from numba import njit

from bessemer.text.buffers import Integer, Offsets, read_only
from bessemer.text.string_classes import ALNUM, BLANK, DECIMAL

COUNTED = (
    *("likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes"),
    *("downvotes", "downloads", "views", "followers"),
)
"""What a counter counts (DCLM, counter_line_modifier)."""

_MAX_COUNTED_CHARS = max(map(len, COUNTED))

# Where a line stands that may be a counter: before the number, in it, behind its k, m or b, behind
# the white space, in the word, behind it; or it is none.
BEFORE, _NUMBER, _SUFFIX, _GAP, _NOUN, _BEHIND, NO_COUNTER = range(7)


@functools.cache
def counted_nouns() -> Offsets:
    """Return COUNTED as numbers of base 32 (int64), a letter a digit."""
    numbers = [sum(_letter(c) << 5 * i for i, c in enumerate(reversed(w))) for w in COUNTED]
    return read_only(np.array(numbers, np.int64))


def _letter(char: str) -> int:
    return ord(char) - 0x60


@njit(cache=True, nogil=True)
def go_on(
    state: int, low: Integer, kind: Integer, noun: Integer, noun_chars: int, counted: Offsets
) -> tuple[int, Integer, int]:
    """Return where a line that may be a counter stands after one more character, and its noun."""
    is_word = kind & ALNUM != 0 or low == 0x5F
    after = NO_COUNTER
    if state == BEFORE:
        if kind & DECIMAL:
            after = _NUMBER
        elif not is_word:
            after = BEFORE
    elif state == _NUMBER and (kind & DECIMAL or low == 0x2C or low == 0x2E):
        after = _NUMBER
    elif state == _NUMBER and (low == 0x6B or low == 0x6D or low == 0x62):
        after = _SUFFIX
    elif kind & BLANK and state <= _GAP:
        after = _GAP
    elif state in (_GAP, _NOUN):
        if 0x61 <= low <= 0x7A:
            if noun_chars < _MAX_COUNTED_CHARS:
                after, noun, noun_chars = _NOUN, noun << 5 | (low - 0x60), noun_chars + 1
        elif state == _NOUN and not is_word and _is_among(noun, counted):
            after = _BEHIND
    elif state == _BEHIND and not is_word:
        after = _BEHIND
    return after, noun, noun_chars


@njit(cache=True, nogil=True)
def is_counter(state: int, noun: Integer, counted: Offsets) -> bool:
    """Whether a line that ends in this state is one."""
    return bool(state == _BEHIND or (state == _NOUN and _is_among(noun, counted)))


@njit(cache=True, nogil=True)
def _is_among(noun: Integer, counted: Offsets) -> bool:
    is_counted = False
    for i in range(len(counted)):
        is_counted |= counted[i] == noun
    return is_counted
