"""Finds the lines or paragraphs of texts with keys that are equal if they say the same.

Input: an Arrow string array. Output: for every line that is not blank, or for every paragraph (a
run of such lines), its place, its key of 128 bits, how much it says, and what kind of line it is.

Lines and paragraphs are those of `bessemer.text.lines`: line feeds part lines and nothing else. A
key is made of

- the words as `bessemer.text.words` finds and folds them, so case, punctuation, white space and,
  within a paragraph, where its lines end do not count; with digits folded, all digits are 0, as in
  CCNet (Wenzek et al. 2020, arXiv 1911.00359, section 3.1), which so takes dates and prices of one
  template for equal; or
- the bytes of each line without white space (Unicode White_Space) at its ends.

Of two given units with different contents the keys are equal with odds of 2**-128, if two words of
theirs do not share a hash of 64 bits (`bessemer.text.hashing`): of a billion different words two
are expected to in one corpus of 37. So equality of keys is taken for equality.

Invariants: units are in text order and apart; between two of them is white space alone. What is
compared is told by the key: units with equal keys have equally many words, and characters of them.
"""

from __future__ import annotations

import functools
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
    kernel,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import (
    DIGIT,
    NEWLINE,
    SPACE,
    class_table,
    contains,
    decode,
    fold_table,
)
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.string_classes import LOWER, string_classes
from bessemer.text.words import Words, empty_words, find_words, max_words

HEADING = 1
"""A heading of Markdown (`#`, or underlined by `=` or `-`); or a line between blank lines, not the
last of its text, of up to MAX_TITLE_WORDS words and without a sign at its end that ends or goes on
with a sentence."""

JOINED = 2
"""A paragraph that begins with a lower-case letter, or the one before: a sentence may go on across
the blank line. Never set of lines."""

MAX_TITLE_WORDS = 10
_MAX_MARKDOWN_SIGNS = 6  # CommonMark 0.31, section 4.2
_MIN_UNDERLINE = 3

# What ends a sentence or says that it goes on, and what may close a quotation behind it.
_SENTENCE_SIGNS = ".!?…,;:。！？，；：、।؟۔"
_CLOSING_SIGNS = "\"'”’»)]）」』"

_NO_KEYS = -1  # in the place of scratch for words

_MARKDOWN, _UNDERLINE, _OPEN, _LOWER, _ALONE = 4, 8, 16, 32, 64

# The odd numbers of the second half of a key: the first 64 bits of the fractions of the square
# roots of 3 and 5.
_LOW_STEP = np.uint64(0xBB67AE8584CAA73B)
_LOW_SEED = np.uint64(0x3C6EF372FE94F82B)


class Places(NamedTuple):
    """Where lines or paragraphs are; as in `Units`."""

    offsets: Offsets
    starts: Counts
    stops: Counts


class Units(NamedTuple):
    """Lines or paragraphs: `j` of document `i` is row `offsets[i] + j`."""

    offsets: Offsets  # int64, one more than documents
    starts: Counts  # int32, its first byte within the document, indentation included
    stops: Counts  # int32, the byte behind its last line feed, or the text's end
    highs: Hashes  # uint64, half of the key
    lows: Hashes  # uint64, the other half
    num_words: Counts  # int32
    num_chars: Counts  # int32: of its words, or of its stripped lines if bytes are compared
    traits: Bytes  # uint8, HEADING and JOINED

    @property
    def places(self) -> Places:
        """Where they are, and nothing else."""
        return Places(self.offsets, self.starts, self.stops)


class _Tables(NamedTuple):
    classes: Bytes
    fold: Codes
    strings: Bytes
    sentence_signs: Codes
    closing_signs: Codes


def find_units(
    array: pa.Array | pa.ChunkedArray, *, paragraphs: bool, words: bool, fold_digits: bool = False
) -> Units:
    """Return the lines, or the `paragraphs`, of every document, compared by `words` or by bytes."""
    offsets, data = utf8_buffers(array)
    scratch_bytes = longest_document_bytes(offsets)
    tables = _tables(fold_digits)
    units: Units = _list_units(offsets, data, tables, scratch_bytes, paragraphs, words)
    return units


def find_places(array: pa.Array | pa.ChunkedArray, *, paragraphs: bool) -> Places:
    """Return where the same lines or paragraphs are, in a fraction of the time."""
    offsets, data = utf8_buffers(array)
    longest_document_bytes(offsets)  # refuses what is too long
    units: Units = _list_units(offsets, data, _tables(False), _NO_KEYS, paragraphs, False)
    return units.places


def spans_of_cuts(
    array: pa.Array | pa.ChunkedArray, units: Places, is_cut: Bools
) -> tuple[Offsets, Counts, Counts]:
    """Return the spans of bytes that take units out of their documents.

    `units` are those of `array`, `is_cut` says of each whether it goes. Returns (offsets, starts,
    stops): span `j` of document `i` is row `offsets[i] + j`, in bytes from the document's beginning
    (int32). Units in a row are one span. Blank lines around it do not pile up: where there are some
    before, those behind go with it, and none stay at an end of the text that a span reaches; nor
    does a line feed come to the end of a text that had none.
    """
    offsets, data = utf8_buffers(array)
    span_offsets, starts, stops = _list_spans(offsets, data, units, is_cut)
    num_spans = span_offsets[-1]
    return span_offsets, starts[:num_spans].copy(), stops[:num_spans].copy()


@functools.cache
def _tables(fold_digits: bool) -> _Tables:
    fold = fold_table()
    if fold_digits:
        fold = read_only(np.where(class_table() & DIGIT, np.uint32(ord("0")), fold))
    return _Tables(
        class_table(), fold, string_classes(), _codes(_SENTENCE_SIGNS), _codes(_CLOSING_SIGNS)
    )


def _codes(characters: str) -> Codes:
    return read_only(np.array([ord(character) for character in characters], np.uint32))


@njit(cache=True, nogil=True)
def _list_units(
    offsets: Offsets,
    data: Bytes,
    tables: _Tables,
    scratch_bytes: int,
    by_paragraph: bool,
    by_words: bool,
) -> Units:
    num_documents = len(offsets) - 1
    most = num_documents
    for position in range(offsets[0], offsets[-1]):
        most += data[position] == NEWLINE
    units = Units(
        np.zeros(num_documents + 1, np.int64),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.uint64),
        np.empty(most, np.uint64),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.uint8),
    )
    has_keys = scratch_bytes != _NO_KEYS
    words = empty_words(max_words(max(scratch_bytes, 0)))
    for document in range(num_documents):
        first = units.offsets[document]
        last = _find_units(
            *(data, offsets[document], offsets[document + 1], tables, words),
            *(by_paragraph, by_words, has_keys, first, units),
        )
        units.offsets[document + 1] = last
        if has_keys:
            _tell_traits(units, first, last, by_paragraph)
    num_units = units.offsets[-1]
    return Units(
        units.offsets,
        units.starts[:num_units].copy(),
        units.stops[:num_units].copy(),
        units.highs[:num_units].copy(),
        units.lows[:num_units].copy(),
        units.num_words[:num_units].copy(),
        units.num_chars[:num_units].copy(),
        units.traits[:num_units].copy(),
    )


@kernel
def _find_units(
    data: Bytes,
    begin: int,
    end: int,
    tables: _Tables,
    words: Words,
    by_paragraph: bool,
    by_words: bool,
    has_keys: bool,
    num_units: int,
    out: Units,
) -> int:
    """Fill in the units of the document at bytes `begin` to `end`, from row `num_units` on.

    Returns the row behind them. Of traits, those of the lines are filled in (`_tell_traits`).
    """
    is_open = False  # a paragraph that the next line goes on with
    high, low = SEED, _LOW_SEED
    position = begin
    while position < end:
        start = position
        while position < end and data[position] != NEWLINE:
            position += 1
        first, last = _strip(data, start, position, tables.classes)
        position = min(position + 1, end)
        if first == last:
            is_open = False
            continue
        trait = _traits_of_line(data, first, last, tables) if has_keys else 0
        if not is_open:
            high, low = SEED, _LOW_SEED
            out.starts[num_units] = start - begin
            out.num_words[num_units] = 0
            out.num_chars[num_units] = 0
            out.traits[num_units] = trait | _ALONE
            num_units += 1
            is_open = by_paragraph
        else:
            kept = out.traits[num_units - 1] & _LOWER
            # Of two lines, the second may underline the first.
            is_second = out.traits[num_units - 1] & _ALONE
            out.traits[num_units - 1] = kept | (trait & _UNDERLINE if is_second else 0)
        unit = num_units - 1
        out.stops[unit] = position - begin
        if not has_keys:
            continue
        num_words = find_words(data, first, last, tables.classes, tables.fold, words)
        num_chars = 0
        if by_words:
            for word in range(num_words):
                high = extend(high, words.hashes[word])
                low = (low ^ words.hashes[word]) * _LOW_STEP
                num_chars += words.num_chars[word]
        else:
            line_high, line_low = SEED, _LOW_SEED
            for place in range(first, last):
                value = np.uint64(data[place])
                line_high = extend(line_high, value)
                line_low = (line_low ^ value) * _LOW_STEP
                num_chars += data[place] & 0xC0 != 0x80
            high = extend(high, finish(line_high))
            low = (low ^ finish(line_low)) * _LOW_STEP
        out.highs[unit] = finish(high)
        out.lows[unit] = finish(low)
        out.num_words[unit] += num_words
        out.num_chars[unit] += num_chars
    return num_units


@kernel
def _strip(data: Bytes, first: int, last: int, classes: Bytes) -> tuple[int, int]:
    """The bytes of a line without white space at its ends; nothing of a blank one."""
    while first < last:
        code, width = decode(data, first, last)
        if classes[code] & SPACE == 0:
            break
        first += width
    while first < last:
        start = last - 1
        while start > first and data[start] & 0xC0 == 0x80:
            start -= 1
        code, width = decode(data, start, last)
        if classes[code] & SPACE == 0 or start + width != last:
            break
        last = start
    return first, last


@kernel
def _traits_of_line(data: Bytes, first: int, last: int, tables: _Tables) -> Integer:
    """What a stripped line says of itself."""
    found: Integer = 0
    sign = data[first]
    num_signs = 0
    while first + num_signs < last and data[first + num_signs] == sign:
        num_signs += 1
    if sign == ord("#") and num_signs <= _MAX_MARKDOWN_SIGNS and first + num_signs < last:
        if data[first + num_signs] in (0x20, 0x09):
            found |= _MARKDOWN
    elif sign in (ord("="), ord("-")) and num_signs >= _MIN_UNDERLINE:
        found |= _UNDERLINE if first + num_signs == last else 0
    code, _ = decode(data, first, last)
    if tables.strings[code] & LOWER:
        found |= _LOWER
    start = last
    is_closing = True
    while start > first and is_closing:
        start -= 1
        while start > first and data[start] & 0xC0 == 0x80:
            start -= 1
        code, _ = decode(data, start, last)
        is_closing = contains(tables.closing_signs, code)
    if not contains(tables.sentence_signs, code):
        found |= _OPEN
    return found


@kernel
def _tell_traits(units: Units, first: int, last: int, by_paragraph: bool) -> None:
    """Turn the traits of the lines of one document into HEADING and JOINED, from its end on."""
    is_underline = goes_on = False  # the unit behind, and at once
    for unit in range(last - 1, first - 1, -1):
        trait = units.traits[unit]
        is_alone = trait & _ALONE != 0
        if not by_paragraph:
            is_alone &= unit == first or units.starts[unit] > units.stops[unit - 1]
            is_alone &= unit + 1 == last or units.starts[unit + 1] > units.stops[unit]
        is_title = is_alone and unit + 1 < last and trait & _OPEN != 0
        is_title &= units.num_words[unit] <= MAX_TITLE_WORDS
        is_heading = is_title or trait & _MARKDOWN != 0
        if by_paragraph:
            is_heading |= trait & _ALONE == 0 and trait & _UNDERLINE != 0
        else:
            is_heading |= is_underline
        joins = by_paragraph and trait & _LOWER != 0 and unit > first
        units.traits[unit] = (HEADING if is_heading else 0) | (JOINED if joins or goes_on else 0)
        goes_on = joins
        is_underline = (
            trait & _UNDERLINE != 0 and unit > first and units.starts[unit] == units.stops[unit - 1]
        )


@njit(cache=True, nogil=True)
def _list_spans(
    offsets: Offsets, data: Bytes, units: Places, is_cut: Bools
) -> tuple[Offsets, Counts, Counts]:
    num_documents = len(offsets) - 1
    span_offsets = np.zeros(num_documents + 1, np.int64)
    starts = np.empty(len(is_cut), np.int32)
    stops = np.empty(len(is_cut), np.int32)
    num_spans = 0
    for document in range(num_documents):
        end = offsets[document + 1] - offsets[document]
        first, last = units.offsets[document], units.offsets[document + 1]
        unit = first
        while unit < last:
            if not is_cut[unit]:
                unit += 1
                continue
            done = units.stops[unit - 1] if unit > first else 0
            start = units.starts[unit] if unit > first else 0
            is_apart = unit == first or start > done
            while unit < last and is_cut[unit]:
                unit += 1
            if unit < last:
                stop = units.starts[unit] if is_apart else units.stops[unit - 1]
            else:
                ends_line = data[offsets[document + 1] - 1] == NEWLINE
                start = done if ends_line or done == 0 else done - 1
                stop = end
            starts[num_spans], stops[num_spans] = start, stop
            num_spans += 1
        span_offsets[document + 1] = num_spans
    return span_offsets, starts, stops
