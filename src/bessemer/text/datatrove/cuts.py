"""What C4 takes out of a text, as edits: spans of bytes, and what stands in their place.

What is left is the text that datatrove's filter hands on, byte for byte: the lines that stay,
stripped and without their citations, joined by line feeds, stripped once more.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Counts
from bessemer.text.cuts import Cut, cuts_of_texts
from bessemer.text.datatrove.c4 import empty_line, list_kept
from bessemer.text.datatrove.decoded import empty_text, read_text
from bessemer.text.datatrove.tables import Tables, tables


def c4_cuts(array: pa.Array | pa.ChunkedArray, needs_punctuation: bool) -> Iterator[list[Cut]]:
    """The edits of each text, in the order of its bytes; none if C4 leaves it as it is."""
    return cuts_of_texts(array, _list_kept, needs_punctuation, tables(), strips=True)


@njit(cache=True, nogil=True)
def _list_kept(
    data: Bytes, begin: int, end: int, needs_punctuation: bool, tables: Tables
) -> tuple[Counts, Counts, Counts]:
    """First byte, byte behind the last and line of each stretch that stays, within the text."""
    limit = end - begin + 1
    text, line = empty_text(limit), empty_line(limit)
    begins, ends = np.empty(limit, np.int32), np.empty(limit, np.int32)
    lines = np.empty(limit, np.int32)
    num_chars, _ = read_text(data, begin, end, tables, text)
    num_kept = list_kept(text, num_chars, needs_punctuation, tables, line, begins, ends, lines)
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
