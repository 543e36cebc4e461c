"""Cuts the phrases of buttons out of a page, as the DCLM pipeline does it after its line rules.

Input: the code points of the lines that are kept, line feeds between, in a buffer that is cut in
place. Output: how many code points are left, how often a phrase was cut, how many lines are gone.

DCLM takes three passes over the page (baselines/mappers/modifiers.py, substring_line_modifier), and
strips it after each: what is the first line for one pass may be gone for the next.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Bytes, Codes, Offsets, kernel
from bessemer.text.characters import NEWLINE, decode
from bessemer.text.phrases import lower
from bessemer.text.string_classes import ALNUM, BLANK

BUTTON_LINE_WORDS = 10
"""Lines of more words keep their button phrases (DCLM, refinedweb.yaml: max_length)."""

Kinds: TypeAlias = npt.NDArray[np.uint16]
"""Per code point the bits of `string_classes`, and more above them."""

PARTS_WORDS = 256
"""Where fastText ends a token: tab to carriage return, the space, and NUL."""


@kernel
def count_words(codes: Codes, num_codes: int, classes: Kinds) -> int:
    words = 0
    in_word = False
    for i in range(num_codes):
        kind = np.int64(classes[codes[i]])
        words += not in_word and kind & ALNUM != 0
        in_word = kind & PARTS_WORDS == 0
    return words


@kernel
def decode_lines(data: Bytes, bounds: Offsets, num_bounds: int, out: Codes) -> int:
    """Write the code points of lines that stand in stretches of whole lines, each with a line feed.

    `bounds` are the bytes at which each stretch begins and ends; returns how many code points.
    """
    num_codes = 0
    for i in range(0, num_bounds, 2):
        position, end = bounds[i], bounds[i + 1]
        while position < end:
            code, width = decode(data, position, end)
            out[num_codes] = code
            num_codes += 1
            position += width
        if data[end - 1] != NEWLINE:
            out[num_codes] = NEWLINE
            num_codes += 1
    return num_codes


@kernel
def begins_with_hidden_word(data: Bytes, begin: int, end: int, classes: Kinds) -> bool:
    """Whether a page has one word more once it is stripped, by its first line that is not blank.

    White space that is not ASCII does not part fastText's tokens, and hides the letter behind it.
    """
    parts_words = True
    position = begin
    while position < end:
        code, width = decode(data, position, end)
        kind = np.int64(classes[code])
        if not kind & BLANK:
            return not parts_words and kind & ALNUM != 0
        parts_words = kind & PARTS_WORDS != 0
        position += width
    return False


@kernel
def strip_page(codes: Codes, num_codes: int, classes: Kinds) -> int:
    """Cut white space off both ends of a page, in place; return what is left of it."""
    first, last = 0, num_codes
    while first < last and classes[codes[first]] & BLANK:
        first += 1
    while first < last and classes[codes[last - 1]] & BLANK:
        last -= 1
    for i in range(first, last):
        codes[i - first] = codes[i]
    return last - first


@kernel
def _line_end(codes: Codes, first: int, num_codes: int) -> int:
    last = first
    while last < num_codes and codes[last] != NEWLINE:
        last += 1
    return last


@kernel
def _num_runs(codes: Codes, first: int, last: int, classes: Kinds) -> int:
    """Return the words between white space."""
    runs = 0
    in_run = False
    for i in range(first, last):
        is_blank = classes[codes[i]] & BLANK != 0
        runs += in_run < (not is_blank)
        in_run = not is_blank
    return runs


@kernel
def _stands_at(codes: Codes, first: int, last: int, phrase: Codes) -> bool:
    """Whether the codes from `first` to `last` begin with the phrase, whatever the case."""
    if last - first < len(phrase):
        return False
    is_equal = True
    for i in range(len(phrase)):
        is_equal &= lower(np.int64(codes[first + i])) == phrase[i]
    return is_equal


@kernel
def cut_cart(codes: Codes, num_codes: int, classes: Kinds, phrase: Codes) -> tuple[int, int, int]:
    """Cut a phrase out of short lines, and one white space before it, in place.

    Returns what is left of the page, how often it was cut, and how many lines are gone.
    """
    first = num_left = cuts = gone = 0
    while first < num_codes:
        last = _line_end(codes, first, num_codes)
        is_short = _num_runs(codes, first, last, classes) <= BUTTON_LINE_WORDS
        line_start = num_left
        cuts_before = cuts
        i = first
        while i < last:
            gap = 1 if classes[codes[i]] & BLANK else 0
            if is_short and _stands_at(codes, i + gap, last, phrase):
                i += gap + len(phrase)
                cuts += 1
            else:
                codes[num_left] = codes[i]
                num_left += 1
                i += 1
        if cuts > cuts_before and _num_runs(codes, line_start, num_left, classes) == 0:
            gone += 1
            num_left = line_start
        elif last < num_codes:
            codes[num_left] = NEWLINE
            num_left += 1
        first = last + 1
    return num_left, cuts, gone


@kernel
def cut_edge(
    codes: Codes, num_codes: int, classes: Kinds, phrase: Codes, at_end: bool
) -> tuple[int, int, int]:
    """Cut a phrase off the beginning of short lines and one white space behind it; or off the end,
    with three characters whatever they are, and one white space before it; in place.

    Returns the same as `cut_cart`. The three characters stand for the ellipsis: DCLM's pattern
    does not escape the dots.
    """
    first = num_left = cuts = gone = 0
    while first < num_codes:
        last = _line_end(codes, first, num_codes)
        begin, stop = first, last
        if _num_runs(codes, first, last, classes) <= BUTTON_LINE_WORDS:
            if at_end:
                place = last - len(phrase) - 3
                if place >= first and _stands_at(codes, place, last, phrase):
                    stop = place
                    if stop > first and classes[codes[stop - 1]] & BLANK:
                        stop -= 1
            elif _stands_at(codes, first, last, phrase):
                begin = first + len(phrase)
                if begin < last and classes[codes[begin]] & BLANK:
                    begin += 1
        is_cut = begin > first or stop < last
        cuts += is_cut
        if is_cut and _num_runs(codes, begin, stop, classes) == 0:
            gone += 1
        else:
            for i in range(begin, stop):
                codes[num_left] = codes[i]
                num_left += 1
            if last < num_codes:
                codes[num_left] = NEWLINE
                num_left += 1
        first = last + 1
    return num_left, cuts, gone
