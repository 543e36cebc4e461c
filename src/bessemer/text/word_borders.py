"""Narrows spans of texts until they begin and end between two words and between two characters.

A word, by `text/words.py`, that reaches over the border of a span is left out of it as a whole.
"""

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bools,
    Bytes,
    Codes,
    Offsets,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import MARK, SOLO, class_table, decode, fold_table
from bessemer.text.words import empty_words, find_words, max_words


def narrow_to_words(
    array: pa.Array | pa.ChunkedArray, rows: Offsets, spans: Offsets
) -> tuple[Offsets, Bools]:
    """Return the narrowed spans, and of each whether what stands beside it would be joined without
    it: not at the ends of a text, nor beside a letter of a script that is written without spaces.

    `spans` (int64 [spans, 2]) are first bytes, and those behind the last, within the documents
    `rows`, which ascend. A span within a word comes out with no byte.
    """
    offsets, data = utf8_buffers(array)
    narrowed: tuple[Offsets, Bools] = _narrow(
        *(offsets, data, read_only(rows), read_only(spans)),
        *(class_table(), fold_table(), longest_document_bytes(offsets)),
    )
    return narrowed


@njit(cache=True, nogil=True)
def _narrow(
    offsets: Offsets,
    data: Bytes,
    rows: Offsets,
    spans: Offsets,
    classes: Bytes,
    fold: Codes,
    longest_bytes: int,
) -> tuple[Offsets, Bools]:
    out = np.empty((len(rows), 2), np.int64)
    joins = np.zeros(len(rows), np.bool_)
    words = empty_words(max_words(longest_bytes))
    row = -1
    num_words = 0
    for span in range(len(rows)):
        if rows[span] != row:
            row = rows[span]
            num_words = find_words(data, offsets[row], offsets[row + 1], classes, fold, words)
        starts, stops = words.starts[:num_words], words.stops[:num_words]
        begin, num_bytes = offsets[row], offsets[row + 1] - offsets[row]
        start, end = spans[span, 0], spans[span, 1]
        word = np.searchsorted(stops, start, side="right")
        if word < num_words and starts[word] < start:
            start = np.int64(stops[word])
        word = np.searchsorted(starts, end) - 1
        if word >= 0 and stops[word] > end:
            end = np.int64(starts[word])
        while start < num_bytes and data[begin + start] & 0xC0 == 0x80:
            start += 1
        while end < num_bytes and data[begin + end] & 0xC0 == 0x80:
            end -= 1
        end = max(start, end)
        out[span, 0], out[span, 1] = start, end
        if start > 0 and end < num_bytes:
            before = start - 1
            while before > 0 and data[begin + before] & 0xC0 == 0x80:
                before -= 1
            left = classes[decode(data, begin + before, begin + num_bytes)[0]]
            right = classes[decode(data, begin + end, begin + num_bytes)[0]]
            joins[span] = not (left | right) & SOLO or right & MARK
    return out, joins
