"""Finds the words of a text: the one definition that every measure shares.

Input: UTF-8 text. Output: each word's place, length and 64-bit hash.

A word is a maximal run of letters, combining marks, numbers (Unicode general categories L*, M*, N*)
and underscores that does not begin with a mark, with two additions:

- an apostrophe (' or U+2019) after a letter, or the mark on one, and before a letter belongs to the
  word: don't is one word, 'tis begins with t;
- a letter of a script written without spaces (`SCRIPTS_WITHOUT_SPACES`) is a word by itself, with
  the combining marks that follow it; no apostrophe joins it.

Everything else separates: punctuation, symbols, white space, format characters such as the soft
hyphen, and a mark on none of the above (an emoji's variation selector is no word).

Invariants: words are disjoint and in text order; a text of b bytes has at most (b + 1) // 2 words,
for two words that touch have three bytes in one of them. The hash is of the folded characters
(`fold_table`), so it ignores case and the shape of apostrophes, and nothing else: digits stay as
they are, for folding them merges pages made from one template. No normalisation is applied: a text
in NFC and the same in NFD have the same words by place, but other hashes.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bools,
    Bytes,
    Codes,
    Counts,
    Hashes,
    Integer,
    Offsets,
    grown,
    kernel,
    longest_document_bytes,
    utf8_buffers,
)
from bessemer.text.characters import (
    APOSTROPHE,
    CURLY_APOSTROPHE,
    IN_WORD,
    LETTER,
    MARK,
    SOLO,
    WORD_START,
    class_table,
    decode,
    fold_table,
)
from bessemer.text.hashing import SEED, extend, finish


class Words(NamedTuple):
    """The words of one document, a row each; longer arrays are scratch beyond the last word."""

    hashes: Hashes  # uint64, of the folded characters
    starts: Counts  # int32, first byte of the word within the document
    stops: Counts  # int32, the byte behind the word
    num_chars: Counts  # int32, code points
    has_letter: Bools


def word_spans(array: pa.Array | pa.ChunkedArray) -> tuple[Offsets, Counts, Counts, Hashes]:
    """Return where the words of every document stand, and their hashes.

    Returns (offsets, starts, stops, hashes): word `j` of document `i` is row `offsets[i] + j`; its
    first byte and the byte behind it are counted from the document's beginning (int32).
    """
    offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(offsets)
    word_offsets, starts, stops, hashes = _list_words(
        offsets, data, class_table(), fold_table(), longest_bytes
    )
    num_words = word_offsets[-1]
    return (
        word_offsets,
        starts[:num_words].copy(),
        stops[:num_words].copy(),
        hashes[:num_words].copy(),
    )


@kernel
def max_words(num_bytes: int) -> int:
    """Return the most words a text of that many bytes can have."""
    return (num_bytes + 1) // 2


@njit(cache=True, nogil=True)
def empty_words(num_words: int) -> Words:
    """Return scratch for the words of one document; memory is touched only as words fill it."""
    return Words(
        np.empty(num_words, np.uint64),
        np.empty(num_words, np.int32),
        np.empty(num_words, np.int32),
        np.empty(num_words, np.int32),
        np.empty(num_words, np.bool_),
    )


@kernel
def find_words(data: Bytes, begin: int, end: int, classes: Bytes, fold: Codes, out: Words) -> int:
    """Fill `out` with the words of the document at bytes `begin` to `end`; return their number.

    One character per turn; the turn at `end` does nothing but close the last word. An apostrophe is
    held back until the next character tells whether it joins.
    """
    hashes, starts, stops, lengths, has_letter = out
    num_words = start = stop = num_chars = 0
    kinds_seen: Integer = 0
    previous: Integer = 0
    is_open = is_solo = after_apostrophe = False
    state = SEED
    position = begin
    while position <= end:
        if is_open and not is_solo and not after_apostrophe:
            # Most of most texts: ASCII in a word is not decoded, and no apostrophe is waited for.
            word_begin = position
            while position < end and data[position] < 0x80:
                ascii_kind = np.int64(classes[data[position]])
                if not ascii_kind & WORD_START:
                    break
                state = extend(state, np.uint64(fold[data[position]]))
                kinds_seen |= ascii_kind
                previous = ascii_kind
                position += 1
            if position > word_begin:
                num_chars += position - word_begin
                stop = position
        code: Integer = 0
        kind: Integer = 0
        width = 1
        if position < end:
            code, width = decode(data, position, end)
            kind = np.int64(classes[code])

        belongs = False
        if is_open:
            if is_solo:
                belongs = kind & MARK != 0
            elif after_apostrophe:
                belongs = kind & (LETTER | SOLO) == LETTER
            else:
                belongs = kind & IN_WORD != 0 and not kind & SOLO
                is_apostrophe = code in (APOSTROPHE, CURLY_APOSTROPHE)
                if is_apostrophe and previous & (LETTER | MARK):
                    after_apostrophe = True
                    position += width
                    continue
            if not belongs:
                hashes[num_words] = finish(state)
                starts[num_words] = start - begin
                stops[num_words] = stop - begin
                lengths[num_words] = num_chars
                has_letter[num_words] = kinds_seen & LETTER != 0
                num_words += 1
                is_open = after_apostrophe = False
            elif after_apostrophe:
                state = extend(state, np.uint64(APOSTROPHE))
                num_chars += 1
                after_apostrophe = False
        if not is_open and kind & WORD_START:
            is_open = belongs = True
            is_solo = kind & SOLO != 0
            start = position
            state = SEED
            num_chars = kinds_seen = 0
        if belongs:
            state = extend(state, np.uint64(fold[code]))
            num_chars += 1
            kinds_seen |= kind
            stop = position + width
        previous = kind
        position += width
    return num_words


@njit(cache=True, nogil=True)
def _list_words(
    offsets: Offsets, data: Bytes, classes: Bytes, fold: Codes, longest_bytes: int
) -> tuple[Offsets, Counts, Counts, Hashes]:
    num_documents = len(offsets) - 1
    words = empty_words(max_words(longest_bytes))
    word_offsets = np.zeros(num_documents + 1, np.int64)
    # Grown by doubling: the worst case would be a word for every second byte.
    capacity = max(16, (offsets[-1] - offsets[0]) // 8)
    starts = np.empty(capacity, np.int32)
    stops = np.empty(capacity, np.int32)
    hashes = np.empty(capacity, np.uint64)
    for document in range(num_documents):
        begin, end = offsets[document], offsets[document + 1]
        num_words = find_words(data, begin, end, classes, fold, words)
        first = word_offsets[document]
        last = first + num_words
        word_offsets[document + 1] = last
        starts = grown(starts, first, last)
        stops = grown(stops, first, last)
        hashes = grown(hashes, first, last)
        starts[first:last] = words.starts[:num_words]
        stops[first:last] = words.stops[:num_words]
        hashes[first:last] = words.hashes[:num_words]
    return word_offsets, starts, stops, hashes
