"""C4's rules as DCLM applies them.

Definitions are those of mlfoundations/dclm at 361714b: the steps before deduplication in
baselines/baselines_configs/c4.yaml, of baselines/mappers. Lines are parted at line feeds alone. A
line is taken out if a word of it is longer than MAX_WORD_CHARS; citation marks are taken out of the
others; then lines go that do not end in one of . ! ? " (or end in three full stops), that have
fewer than MIN_LINE_WORDS words, or that name JavaScript or a policy. Empty lines stay, also those
that were a citation mark alone; white space goes from both ends of what is left.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import Counts, kernel
from bessemer.text.c4_phrases import (
    HAS_CURLY,
    HAS_JAVASCRIPT,
    HAS_LOREM,
    HAS_POLICY,
    citation_chars,
    find_phrases,
)
from bessemer.text.dclm.decoded import Text, move
from bessemer.text.string_classes import BLANK, DECIMAL

MAX_WORD_CHARS = 1000
MIN_LINE_WORDS = 5
_NEWLINE, _DOT, _OPEN = 0x0A, 0x2E, 0x5B

_STAYS = 32  # beside the marks of what a line contains

C4_COUNTS = np.dtype(
    [(name, np.int64) for name in ("chars", "lorem_lines", "curly_lines", "sentences")]
)


@kernel
def take_out_lines(text: Text, num_chars: int, out: np.void) -> int:
    """Move the lines that stay to the front, joined by line feeds; return the characters left.

    White space at both ends of what is left is still there. Writes into `out` the characters there
    were, and the lines for which DCLM drops a text.
    """
    num_left = lorem_lines = curly_lines = 0
    is_first = True
    begin = 0
    while begin <= num_chars:
        end = begin
        while end < num_chars and text.codes[end] != _NEWLINE:
            end += 1
        stop, marks = _judge(text, begin, end)
        lorem_lines += marks & HAS_LOREM != 0
        curly_lines += marks & HAS_CURLY != 0
        if marks & _STAYS:
            if not is_first:  # the line feed before this line is behind all that was moved
                move(text, begin - 1, num_left)
                num_left += 1
            is_first = False
            if num_left < begin:
                for place in range(begin, stop):
                    move(text, place, num_left + place - begin)
            num_left += stop - begin
        begin = end + 1
    out["chars"] = num_chars
    out["lorem_lines"] = lorem_lines
    out["curly_lines"] = curly_lines
    return num_left


@kernel
def list_kept(
    text: Text, num_left: int, out_begins: Counts, out_ends: Counts, out_lines: Counts
) -> int:
    """Write the stretches of bytes that are left, and the line of each; return their number."""
    num_kept = num_lines = 0
    is_begun = False
    for place in range(num_left):
        code = text.codes[place]
        if code == _NEWLINE:
            num_lines += 1
            is_begun = False
            continue
        first = text.places[place]
        if not is_begun or out_ends[num_kept - 1] != first:
            out_begins[num_kept], out_lines[num_kept] = first, num_lines
            num_kept += 1
            is_begun = True
        width = 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
        out_ends[num_kept - 1] = first + width
    return num_kept


@kernel
def _judge(text: Text, begin: int, end: int) -> tuple[int, int]:
    """Take citation marks out of a line, in place; where it ends then, and its marks."""
    num_words, longest, has_bracket = _measure_words(text, begin, end)
    if longest > MAX_WORD_CHARS:
        return end, 0
    if has_bracket:
        end = _without_citations(text, begin, end)
        num_words, _, _ = _measure_words(text, begin, end)
    if begin == end:
        return end, _STAYS
    if num_words < MIN_LINE_WORDS or not _ends_sentence(text, begin, end):
        return end, 0
    found = find_phrases(text.codes, begin, end, True)
    marks = found & HAS_LOREM
    if not found & HAS_JAVASCRIPT:
        marks |= found & HAS_CURLY
        if not found & HAS_POLICY:
            marks |= _STAYS
    return end, marks


@kernel
def _measure_words(text: Text, begin: int, end: int) -> tuple[int, int, bool]:
    """Words between white space, the characters of the longest, and whether [ is in one."""
    num_words = longest = size = 0
    has_bracket = False
    for place in range(begin, end):
        if np.int64(text.kinds[place]) & BLANK:
            longest = max(longest, size)
            size = 0
        else:
            num_words += size == 0
            size += 1
            has_bracket |= text.codes[place] == _OPEN
    return num_words, max(longest, size), has_bracket


@kernel
def _without_citations(text: Text, begin: int, end: int) -> int:
    """Close the gaps that [1], [], [edit] and [citation needed] leave; return the line's end."""
    target = place = begin
    while place < end:
        cited = citation_chars(text.codes, text.kinds, DECIMAL, place, end)
        if cited == 0:
            move(text, place, target)
            target += 1
        place += max(1, cited)
    return target


@kernel
def _ends_sentence(text: Text, begin: int, end: int) -> bool:
    """Whether the last sign of a line that is no white space is . ! ? ", but not the end of ..."""
    last = end - 1
    while last >= begin and np.int64(text.kinds[last]) & BLANK:
        last -= 1
    if last < begin:
        return False
    code = text.codes[last]
    if code == _DOT:
        return not (
            last - begin >= 2 and text.codes[last - 1] == _DOT and text.codes[last - 2] == _DOT
        )
    return code in (0x21, 0x3F, 0x22)
