"""What C4 takes out of a text, as edits: spans of bytes, and what stands in their place.

What is left is the text that datatrove's filter hands on, byte for byte: the lines that stay,
stripped and without their citations, joined by line feeds, stripped once more.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Counts, kernel
from bessemer.text.c4_phrases import HAS_BRACKET, citation_chars, find_phrases
from bessemer.text.cuts import Cut, cuts_of_texts
from bessemer.text.datatrove.c4_lines import (
    copy_without_citations,
    ends_sentence,
    has_citation,
    has_words,
    next_line,
)
from bessemer.text.datatrove.decoded import Text, empty_text, read_text
from bessemer.text.datatrove.tables import DECIMAL, Tables, tables


def c4_cuts(array: pa.Array | pa.ChunkedArray, needs_punctuation: bool) -> Iterator[list[Cut]]:
    """The edits of each text, in the order of its bytes; none if C4 leaves it as it is."""
    return cuts_of_texts(array, _list_kept, needs_punctuation, tables(), strips=True)


@njit(cache=True, nogil=True)
def _list_kept(
    data: Bytes, begin: int, end: int, needs_punctuation: bool, tables: Tables
) -> tuple[Counts, Counts, Counts]:
    """First byte, byte behind the last and line of each stretch that stays, within the text."""
    limit = end - begin + 1
    text, line = empty_text(limit), empty_text(limit)
    begins, ends = np.empty(limit, np.int32), np.empty(limit, np.int32)
    lines = np.empty(limit, np.int32)
    num_chars, _ = read_text(data, begin, end, tables, text)
    num_kept = _list_kept_chars(
        text, num_chars, needs_punctuation, tables, line, begins, ends, lines
    )
    places = np.empty(num_chars + 1, np.int32)
    place = 0
    for i in range(num_chars):
        places[i] = place
        code = text.codes[i]
        place += 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
    places[num_chars] = place
    for i in range(num_kept):
        begins[i], ends[i] = places[begins[i]], places[ends[i]]
    return begins[:num_kept], ends[:num_kept], lines[:num_kept]


@kernel
def _list_kept_chars(
    text: Text,
    num_chars: int,
    needs_punctuation: bool,
    tables: Tables,
    line: Text,
    out_begins: Counts,
    out_ends: Counts,
    out_lines: Counts,
) -> int:
    """Write what C4 keeps of a text: stretches of characters, and the number of the line of each.

    A line has a stretch more than citations in it. Returns the number of stretches, of which a text
    has no more than characters and one. `line` is scratch.
    """
    num_kept = num_lines = 0
    place = 0
    while place < num_chars:
        begin, end, place = next_line(text, place, num_chars)
        if not has_words(text, begin, end):
            continue
        judged, first, last = text, begin, end
        if has_citation(text, begin, end):
            first, last = 0, copy_without_citations(text, begin, end, tables, line)
            judged = line
        if needs_punctuation and not ends_sentence(judged, first, last):
            continue
        if find_phrases(judged.codes, first, last, False) & ~HAS_BRACKET:
            continue
        while begin < end:
            first = begin
            cited = 0
            while begin < end and cited == 0:
                cited = citation_chars(text.codes, text.kinds, DECIMAL, begin, end)
                begin += cited == 0
            if begin > first:
                out_begins[num_kept], out_ends[num_kept] = first, begin
                out_lines[num_kept] = num_lines
                num_kept += 1
            begin += cited
        num_lines += 1
    return num_kept
