"""Lines as C4QualityFilter of datatrove judges them: stripped, by their words and how they end.

What the rules are, and what is counted of the lines that stay: `bessemer.text.datatrove.c4`.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import kernel
from bessemer.text.c4_phrases import citation_chars
from bessemer.text.datatrove.decoded import Text, put
from bessemer.text.datatrove.tables import DECIMAL, LINE_END, SPACE, Tables

MAX_WORD_CHARS = 1000
MIN_LINE_WORDS = 3
_NEWLINE, _CARRIAGE_RETURN, _DOT = 0x0A, 0x0D, 0x2E


@kernel
def next_line(text: Text, place: int, num_chars: int) -> tuple[int, int, int]:
    """The line that begins at `place`, stripped, and where the next one begins."""
    begin = place
    while place < num_chars and not np.int64(text.kinds[place]) & LINE_END:
        place += 1
    end = place
    place += 1
    if (
        place < num_chars
        and text.codes[place - 1] == _CARRIAGE_RETURN
        and text.codes[place] == _NEWLINE
    ):
        place += 1
    while begin < end and np.int64(text.kinds[begin]) & SPACE:
        begin += 1
    while end > begin and np.int64(text.kinds[end - 1]) & SPACE:
        end -= 1
    return begin, end, place


@kernel
def has_words(text: Text, begin: int, end: int) -> bool:
    """Whether the line has MIN_LINE_WORDS words between white space, and none that is too long."""
    num_words = size = 0
    for place in range(begin, end):
        if np.int64(text.kinds[place]) & SPACE:
            size = 0
            continue
        num_words += size == 0
        size += 1
        if size > MAX_WORD_CHARS:
            return False
        if num_words >= MIN_LINE_WORDS and end - place + size <= MAX_WORD_CHARS:
            return True  # no word that is still to come can be too long
    return num_words >= MIN_LINE_WORDS


@kernel
def has_citation(text: Text, begin: int, end: int) -> bool:
    """Whether a citation mark is in the line."""
    place = begin
    while place < end and citation_chars(text.codes, text.kinds, DECIMAL, place, end) == 0:
        place += 1
    return place < end


@kernel
def copy_without_citations(text: Text, begin: int, end: int, tables: Tables, out: Text) -> int:
    """Copy a line without its citations; return its length."""
    out.hashes[0] = np.uint64(0)
    num_out = 0
    place = begin
    while place < end:
        cited = citation_chars(text.codes, text.kinds, DECIMAL, place, end)
        if cited == 0:
            num_out = put(out, num_out, text.codes[place], tables)
        place += max(1, cited)
    return num_out


@kernel
def ends_sentence(text: Text, begin: int, end: int) -> bool:
    """Whether a line ends in one of . ? ! and quotation marks, but not in three full stops."""
    if begin == end or text.codes[end - 1] not in (_DOT, 0x3F, 0x21, 0x22, 0x27):
        return False
    return not (
        end - begin >= 3
        and text.codes[end - 1] == _DOT
        and text.codes[end - 2] == _DOT
        and text.codes[end - 3] == _DOT
    )
