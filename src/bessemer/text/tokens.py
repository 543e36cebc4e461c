"""Lists the words of a text fast, and, if asked to, the signs between them.

Input: UTF-8 text. Output: place and 64-bit hash of every token, in text order.

Words are those of bessemer.text.words, with the same hashes: runs of ASCII letters, digits and
underscores are read byte by byte from a table of 128 entries, and only a stretch with an apostrophe
or another byte goes through the general rules. A stretch ends at an ASCII byte that belongs to no
word in any context, so what stands before it cannot bear on what follows. With signs, every
character outside words that is no white space is a token by itself.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Codes,
    Counts,
    Hashes,
    Offsets,
    grown,
    kernel,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import (
    APOSTROPHE,
    SPACE,
    WORD_START,
    class_table,
    decode,
    fold_table,
)
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.words import Words, empty_words, find_words, max_words

_SEPARATES, _ASKS = 0, 1  # in the table of ASCII; else the folded byte


class Tokens(NamedTuple):
    """The tokens of documents: those of document `i` are rows `offsets[i]` to `offsets[i + 1]`."""

    offsets: Offsets  # int64, one more than documents
    hashes: Hashes  # uint64, of the folded characters
    starts: Counts  # int32, first byte within the document
    stops: Counts  # int32, the byte behind


class Reading(NamedTuple):
    """Tables and scratch to read one document after the other."""

    ascii: Bytes
    classes: Bytes
    fold: Codes
    words: Words  # of a stretch
    hashes: Hashes  # of words alone, where signs come between them
    starts: Counts
    stops: Counts


def list_tokens(array: pa.Array | pa.ChunkedArray, with_signs: bool) -> Tokens:
    """Return the words of every document, or its words and signs."""
    text_offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(text_offsets)
    offsets, hashes, starts, stops = _list_tokens(
        text_offsets, data, ascii_table(), class_table(), fold_table(), longest_bytes, with_signs
    )
    num_tokens = offsets[-1]
    return Tokens(
        offsets, hashes[:num_tokens].copy(), starts[:num_tokens].copy(), stops[:num_tokens].copy()
    )


@functools.cache
def ascii_table() -> Bytes:
    """Return for each ASCII byte its folded form if it is of a word, else what it does."""
    classes, fold = class_table(), fold_table()
    table = np.where(classes[:128] & WORD_START, fold[:128], _SEPARATES).astype(np.uint8)
    table[APOSTROPHE] = _ASKS
    return read_only(table)


@njit(cache=True, nogil=True)
def make_reading(
    ascii: Bytes, classes: Bytes, fold: Codes, longest_bytes: int, with_signs: bool
) -> Reading:
    """Return scratch for documents of that many bytes at most; touched only as it fills."""
    most = max_words(longest_bytes)
    between = most if with_signs else 0
    return Reading(
        ascii,
        classes,
        fold,
        empty_words(most),
        np.empty(between, np.uint64),
        np.empty(between, np.int32),
        np.empty(between, np.int32),
    )


@kernel
def read_tokens(
    data: Bytes,
    begin: int,
    end: int,
    reading: Reading,
    with_signs: bool,
    out_hashes: Hashes,
    out_starts: Counts,
    out_stops: Counts,
) -> int:
    """Write the tokens of the document at bytes `begin` to `end`; return their number.

    `out_*` have room for a token per byte with signs, else for `max_words`.
    """
    if not with_signs:
        num_words = _read_words(data, begin, end, reading, out_hashes, out_starts, out_stops)
        return int(num_words)
    num_words = _read_words(
        data, begin, end, reading, reading.hashes, reading.starts, reading.stops
    )
    num_tokens = 0
    position = begin
    for word in range(num_words + 1):
        gap_end = end if word == num_words else begin + reading.starts[word]
        while position < gap_end:
            code, width = decode(data, position, gap_end)
            if not reading.classes[code] & SPACE:
                out_hashes[num_tokens] = finish(extend(SEED, np.uint64(reading.fold[code])))
                out_starts[num_tokens] = position - begin
                out_stops[num_tokens] = position + width - begin
                num_tokens += 1
            position += width
        if word < num_words:
            out_hashes[num_tokens] = reading.hashes[word]
            out_starts[num_tokens] = reading.starts[word]
            out_stops[num_tokens] = reading.stops[word]
            num_tokens += 1
            position = begin + reading.stops[word]
    return num_tokens


@kernel
def _read_words(
    data: Bytes,
    begin: int,
    end: int,
    reading: Reading,
    out_hashes: Hashes,
    out_starts: Counts,
    out_stops: Counts,
) -> int:
    table, words = reading.ascii, reading.words
    num_words = 0
    position = begin
    while position < end:
        start = position
        state = SEED
        code = np.uint8(_ASKS)
        while position < end:
            byte = data[position]
            code = table[byte] if byte < 0x80 else np.uint8(_ASKS)
            if code <= _ASKS:
                break
            state = extend(state, np.uint64(code))
            position += 1
        if position < end and code == _ASKS:
            while position < end and (data[position] >= 0x80 or table[data[position]]):
                position += 1
            num_found = find_words(data, start, position, reading.classes, reading.fold, words)
            for word in range(num_found):
                out_hashes[num_words] = words.hashes[word]
                out_starts[num_words] = words.starts[word] + (start - begin)
                out_stops[num_words] = words.stops[word] + (start - begin)
                num_words += 1
        elif position > start:
            out_hashes[num_words] = finish(state)
            out_starts[num_words] = start - begin
            out_stops[num_words] = position - begin
            num_words += 1
        position += 1  # behind the byte that separates
    return num_words


@njit(cache=True, nogil=True)
def _list_tokens(
    text_offsets: Offsets,
    data: Bytes,
    ascii: Bytes,
    classes: Bytes,
    fold: Codes,
    longest_bytes: int,
    with_signs: bool,
) -> tuple[Offsets, Hashes, Counts, Counts]:
    num_documents = len(text_offsets) - 1
    reading = make_reading(ascii, classes, fold, longest_bytes, with_signs)
    most = longest_bytes if with_signs else max_words(longest_bytes)
    found_hashes = np.empty(most, np.uint64)
    found_starts = np.empty(most, np.int32)
    found_stops = np.empty(most, np.int32)
    offsets = np.zeros(num_documents + 1, np.int64)
    capacity = max(16, (text_offsets[-1] - text_offsets[0]) // 4)
    hashes = np.empty(capacity, np.uint64)
    starts = np.empty(capacity, np.int32)
    stops = np.empty(capacity, np.int32)
    for document in range(num_documents):
        num_found = read_tokens(
            data,
            text_offsets[document],
            text_offsets[document + 1],
            reading,
            with_signs,
            found_hashes,
            found_starts,
            found_stops,
        )
        first = offsets[document]
        last = first + num_found
        offsets[document + 1] = last
        hashes = grown(hashes, first, last)
        starts = grown(starts, first, last)
        stops = grown(stops, first, last)
        hashes[first:last] = found_hashes[:num_found]
        starts[first:last] = found_starts[:num_found]
        stops[first:last] = found_stops[:num_found]
    return offsets, hashes, starts, stops
