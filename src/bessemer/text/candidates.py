"""Finds the places of a text where personal data or secrets may stand: one pass over its bytes.

Input: UTF-8 text. Output: byte ranges, each of one class; whoever knows what an address or a card
number looks like needs to read these only. Most documents have none.

- AT: an @ between two bytes that are neither white space nor the text's end.
- NUMBER: from the first to the last of digits that at most two of ` . - ( ) /` part, seven digits
  or more, or fewer with three dots or more among them.
- COLONS: a maximal run of hexadecimal digits, colons and dots with two colons or more.
- COUNTRY: two capitals and two digits, nothing of the kind before them; these four bytes.
- TOKEN: a maximal run of letters, digits and `_ - + / .`, of MIN_TOKEN_BYTES or more, letters and
  digits among them.
- ARMOUR: the beginning `-----B` of a line like those around a key.

All of this is ASCII: a byte of any other character ends every run. Ranges of one class are in text
order and do not overlap; those of different classes may.
"""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Counts, Offsets, grown, kernel, read_only, utf8_buffers

AT, NUMBER, COLONS, COUNTRY, TOKEN, ARMOUR = range(6)

MIN_NUMBER_DIGITS = 7
MIN_TOKEN_BYTES = 16
_MAX_JOINTS = 2
_MIN_DOTS = 3
_ARMOUR_DASHES = 5

_MIN_COLONS = 2
_MOST_AT_ONCE = 3  # candidates that one byte may complete

_DIGIT, _UPPER, _LOWER, _JOINT, _HEX, _TOKEN, _TRIGGER = 1, 2, 4, 8, 16, 32, 64
_LETTER = _UPPER | _LOWER
_DASH, _DOT, _COLON, _AT_SIGN = 0x2D, 0x2E, 0x3A, 0x40


def candidates(array: pa.Array | pa.ChunkedArray) -> tuple[Offsets, Bytes, Counts, Counts]:
    """Return the candidates of every document of a string array.

    Returns (offsets, classes, starts, stops): candidate `j` of document `i` is row
    `offsets[i] + j`; starts and stops (int32) are counted in bytes from the document's beginning.
    Within a document and class they are in text order.
    """
    offsets, data = utf8_buffers(array)
    places, classes, starts, stops = _list_candidates(offsets, data, _byte_table())
    num_found = places[-1]
    return (
        places,
        classes[:num_found].copy(),
        starts[:num_found].copy(),
        stops[:num_found].copy(),
    )


@functools.cache
def _byte_table() -> Bytes:
    """What each byte may be part of, as a sum of the bits above (uint8)."""
    table = np.zeros(256, np.uint8)
    for bit, members in (
        (_DIGIT | _HEX | _TOKEN | _TRIGGER, b"0123456789"),
        (_UPPER | _TOKEN, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        (_LOWER | _TOKEN, b"abcdefghijklmnopqrstuvwxyz"),
        (_JOINT, b" .-()/"),
        (_HEX, b"abcdefABCDEF:."),
        (_TOKEN, b"_-+/."),
        (_TRIGGER, b"@:B"),
    ):
        table[list(members)] |= bit
    return read_only(table)


@njit(cache=True, nogil=True)
def _list_candidates(
    offsets: Offsets, data: Bytes, table: Bytes
) -> tuple[Offsets, Bytes, Counts, Counts]:
    """All candidates of all documents; text without a digit, @, : or B is stepped over."""
    num_documents = len(offsets) - 1
    places = np.zeros(num_documents + 1, np.int64)
    capacity = max(64, (offsets[-1] - offsets[0]) // 256)
    classes = np.empty(capacity, np.uint8)
    starts = np.empty(capacity, np.int32)
    stops = np.empty(capacity, np.int32)
    found = 0
    for document in range(num_documents):
        begin, end = offsets[document], offsets[document + 1]
        # What lies before these has been read for a candidate of the class.
        number_done = token_done = colons_done = begin
        position = _next_trigger(data, begin, end, table)
        while position < end:
            if found + _MOST_AT_ONCE > len(classes):
                capacity = 2 * len(classes)
                classes = grown(classes, found, capacity)
                starts = grown(starts, found, capacity)
                stops = grown(stops, found, capacity)
            if table[data[position]] & _DIGIT:
                if position >= number_done:
                    stop, number_done, is_number = _read_number(data, position, end, table)
                    if is_number:
                        classes[found] = NUMBER
                        starts[found], stops[found] = position - begin, stop - begin
                        found += 1
                if position >= token_done:
                    start, token_done, is_token = _read_token(
                        data, token_done, position, end, table
                    )
                    if is_token:
                        classes[found] = TOKEN
                        starts[found], stops[found] = start - begin, token_done - begin
                        found += 1
                if _ends_country(data, begin, position, table):
                    classes[found] = COUNTRY
                    starts[found], stops[found] = position - 3 - begin, position + 1 - begin
                    found += 1
            elif data[position] == _COLON:
                if position >= colons_done:
                    start, colons_done, is_run = _read_colons(
                        data, colons_done, position, end, table
                    )
                    if is_run:
                        classes[found] = COLONS
                        starts[found], stops[found] = start - begin, colons_done - begin
                        found += 1
            elif data[position] == _AT_SIGN:
                if begin < position < end - 1 and not (
                    _is_space(data[position - 1]) or _is_space(data[position + 1])
                ):
                    classes[found] = AT
                    starts[found], stops[found] = position - begin, position + 1 - begin
                    found += 1
            elif _ends_dashes(data, begin, position):
                classes[found] = ARMOUR
                starts[found] = position - _ARMOUR_DASHES - begin
                stops[found] = position + 1 - begin
                found += 1
            position = _next_trigger(data, position + 1, end, table)
        places[document + 1] = found
    return places, classes, starts, stops


@kernel
def _next_trigger(data: Bytes, position: int, end: int, table: Bytes) -> int:
    """The first byte from `position` on with which a candidate may be found; `end` if none.

    A function of its own, for within the caller's loop, which changes arrays, it took 30 times as
    long.
    """
    while position < end and table[data[position]] & _TRIGGER == 0:
        position += 1
    return position


@kernel
def _read_number(data: Bytes, start: int, end: int, table: Bytes) -> tuple[int, int, bool]:
    """Behind its last digit, how far it was read, and whether the number is long enough."""
    stop = position = start
    num_digits = num_dots = num_joints = 0
    while position < end:
        bits = table[data[position]]
        if bits & _DIGIT:
            num_digits += 1
            num_joints = 0
            stop = position + 1
        elif bits & _JOINT and num_joints < _MAX_JOINTS:
            num_joints += 1
            if data[position] == _DOT:
                num_dots += 1
        else:
            break
        position += 1
    return stop, position, num_digits >= MIN_NUMBER_DIGITS or num_dots >= _MIN_DOTS


@kernel
def _read_token(
    data: Bytes, least: int, position: int, end: int, table: Bytes
) -> tuple[int, int, bool]:
    """First byte and end of the run around the digit at `position`, and whether it is a token."""
    start, stop = position, position
    seen = 0
    while start > least and table[data[start - 1]] & _TOKEN:
        start -= 1
        seen |= table[data[start]]
    while stop < end and table[data[stop]] & _TOKEN:
        seen |= table[data[stop]]
        stop += 1
    return start, stop, stop - start >= MIN_TOKEN_BYTES and seen & _LETTER != 0


@kernel
def _read_colons(
    data: Bytes, least: int, position: int, end: int, table: Bytes
) -> tuple[int, int, bool]:
    """First byte and end of the run around the colon at `position`; whether it has another."""
    start, stop = position, position
    num_colons = 0
    while start > least and table[data[start - 1]] & _HEX:
        start -= 1
    while stop < end and table[data[stop]] & _HEX:
        if data[stop] == _COLON:
            num_colons += 1
        stop += 1
    return start, stop, num_colons >= _MIN_COLONS


@kernel
def _ends_country(data: Bytes, begin: int, position: int, table: Bytes) -> bool:
    """Whether the digit at `position` is the last of two behind two capitals."""
    if position < begin + 3 or table[data[position - 1]] & _DIGIT == 0:
        return False
    if table[data[position - 2]] & table[data[position - 3]] & _UPPER == 0:
        return False
    return position == begin + 3 or table[data[position - 4]] & (_DIGIT | _LETTER) == 0


@kernel
def _ends_dashes(data: Bytes, begin: int, position: int) -> bool:
    """Whether five dashes stand before `position`."""
    if position < begin + _ARMOUR_DASHES:
        return False
    num_dashes = 0
    while num_dashes < _ARMOUR_DASHES and data[position - 1 - num_dashes] == _DASH:
        num_dashes += 1
    return num_dashes == _ARMOUR_DASHES


@kernel
def _is_space(code: int) -> bool:
    return code in (0x20, 0x09, 0x0A, 0x0D)
