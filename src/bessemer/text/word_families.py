"""Measures the families that go by the words of a text, and finds the words once for all of them.

Input: an Arrow string array. Output: one float32 array per signal of `QUALITY_SIGNALS` and
`REPETITION_SIGNALS`, one value per document in the order of the array.

Invariants: what a family measures does not depend on whether the other is measured as well. Scratch
is that of the longest document; time is linear in bytes.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Codes,
    Hashes,
    Offsets,
    longest_document_bytes,
    utf8_buffers,
)
from bessemer.text.characters import class_table, fold_table
from bessemer.text.gopher import stop_word_hashes
from bessemer.text.lines import empty_lines
from bessemer.text.ngram_places import compare_words, compared_over
from bessemer.text.quality import QUALITY_COUNTS, count_words, quality_of
from bessemer.text.quality_lines import LineTables, count_lines, line_tables
from bessemer.text.repetition import (
    MAX_NGRAM_WORDS,
    REPETITION_COUNTS,
    count_repeated_lines,
    count_repeated_ngrams,
    repetition_of,
)
from bessemer.text.words import empty_words, find_words, max_words

Signals = dict[str, npt.NDArray[np.float32]]


def quality_signals(array: pa.Array | pa.ChunkedArray) -> Signals:
    """Return the signals defined in QUALITY_SIGNALS for every document."""
    return word_signals(array, quality=True, repetition=False)


def repetition_signals(array: pa.Array | pa.ChunkedArray) -> Signals:
    """Return the signals defined in REPETITION_SIGNALS for every document."""
    return word_signals(array, quality=False, repetition=True)


def word_signals(array: pa.Array | pa.ChunkedArray, *, quality: bool, repetition: bool) -> Signals:
    """Return the signals of one or both families for every document."""
    offsets, data = utf8_buffers(array)
    num_documents = len(offsets) - 1
    surface = np.zeros(num_documents, QUALITY_COUNTS)
    repeated = np.zeros(num_documents, REPETITION_COUNTS)
    ngram_chars = np.zeros((num_documents, MAX_NGRAM_WORDS + 1), np.int64)
    _count(
        *(offsets, data, class_table(), fold_table(), line_tables(), stop_word_hashes()),
        *(longest_document_bytes(offsets), quality, repetition, surface, repeated, ngram_chars),
    )
    signals = quality_of(surface) if quality else {}
    return signals | (repetition_of(repeated, ngram_chars.T) if repetition else {})


@njit(cache=True, nogil=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    fold: Codes,
    tables: LineTables,
    stop_words: Hashes,
    longest_bytes: int,
    quality: bool,
    repetition: bool,
    out_quality: npt.NDArray[np.void],
    out_repetition: npt.NDArray[np.void],
    out_ngram_chars: npt.NDArray[np.int64],
) -> None:
    limit = max_words(longest_bytes)  # also of lines and paragraphs
    words = empty_words(limit)
    lines, paragraphs = empty_lines(limit), empty_lines(limit)
    compared = compared_over(words.hashes, words.num_chars)
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        num_words = find_words(data, begin, end, classes, fold, words)
        num_places = compare_words(compared, num_words)
        if quality:
            row = out_quality[document]
            count_words(words, num_words, compared.first, stop_words, row)
            count_lines(data, begin, end, tables, words.starts[:num_words], row)
        if repetition:
            other = out_repetition[document]
            ngram_chars = out_ngram_chars[document]
            count_repeated_ngrams(compared, num_words, num_places, other, ngram_chars)
            count_repeated_lines(data, begin, end, classes, lines, paragraphs, compared, other)
