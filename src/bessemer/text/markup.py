"""Counts the characters of a file that are comments, and those of a page that its markup shows.

Input: the UTF-8 bytes of one document. Output: a number of code points. Both kernels read bytes:
all signs of comments and of markup are ASCII, and a code point is counted at its first byte.
"""

import numpy as np

from bessemer.text.buffers import Bytes, Integer, kernel
from bessemer.text.characters import NEWLINE
from bessemer.text.comment_syntax import (
    BLOCK_SIGN,
    LINE_SIGN,
    LONG_QUOTE,
    MAX_SIGN_BYTES,
    QUOTE,
    SyntaxTable,
)
from bessemer.text.phrases import lower

_BACKSLASH = 0x5C


@kernel
def count_comment_chars(
    data: Bytes, begin: int, end: int, syntax: Integer, table: SyntaxTable
) -> int:
    """Return the characters of comments and docstrings, their signs included.

    A comment that is not closed goes to the end of the text; that of a line goes up to the line
    feed, which is no part of it.
    """
    begins = table.begins[syntax]
    has_docstrings = table.has_docstrings[syntax] != 0
    needs_gap = table.needs_gap[syntax] != 0
    comment_chars = 0
    position = begin
    while True:
        while position < end and begins[data[np.uint64(position)]] == 0:
            position += 1
        if position >= end:
            return comment_chars
        byte = data[position]
        kinds = np.int64(begins[byte])
        stop = position
        after_gap = position == begin or data[position - 1] <= 0x20
        if kinds & BLOCK_SIGN:
            which = _sign_at(data, position, end, table.opens[syntax])
            if which >= 0:
                opening = _sign_bytes(table.opens[syntax, which])
                stop = _find(data, position + opening, end, table.closes[syntax, which])
        if (
            stop == position
            and kinds & LINE_SIGN
            and (after_gap or not needs_gap)
            and _sign_at(data, position, end, table.lines[syntax]) >= 0
        ):
            while stop < end and data[np.uint64(stop)] != NEWLINE:
                stop += 1
        if stop == position and kinds & (QUOTE | LONG_QUOTE):
            is_triple = (
                has_docstrings
                and position + 2 < end
                and data[position + 1] == byte
                and data[position + 2] == byte
            )
            after = _string_end(data, position, end, is_triple, kinds & LONG_QUOTE != 0)
            if is_triple and _begins_line(data, begin, position):
                stop = after
            else:
                position = after
                continue
        for i in range(position, stop):
            comment_chars += data[i] & 0xC0 != 0x80
        position = max(stop, position + 1)


@kernel
def _begins_line(data: Bytes, begin: int, position: int) -> bool:
    """Whether nothing but white space stands before a byte in its line."""
    while position > begin and data[position - 1] <= 0x20:
        position -= 1
        if data[position] == NEWLINE:
            return True
    return position == begin


@kernel
def _sign_bytes(sign: Bytes) -> int:
    length = 0
    while length < MAX_SIGN_BYTES and sign[length] != 0:
        length += 1
    return length


@kernel
def _sign_at(data: Bytes, position: int, end: int, signs: Bytes) -> int:
    """Return which of the signs stands here, or -1."""
    found = -1
    for which in range(len(signs)):
        length = _sign_bytes(signs[which])
        if length == 0 or position + length > end:
            continue
        is_equal = True
        for i in range(length):
            is_equal &= data[position + i] == signs[which, i]
        if is_equal and found < 0:
            found = which
    return found


@kernel
def _find(data: Bytes, position: int, end: int, sign: Bytes) -> int:
    """Return the byte behind the next occurrence of the sign, or the end."""
    length: int = _sign_bytes(sign)
    while position + length <= end:
        is_equal = True
        for i in range(length):
            is_equal &= data[position + i] == sign[i]
        if is_equal:
            return position + length
        position += 1
    return end


@kernel
def _string_end(data: Bytes, position: int, end: int, is_triple: bool, is_long: bool) -> int:
    """Return the byte behind a string that begins here, or the line feed that ends it before."""
    quote = np.int64(data[position])
    position += 3 if is_triple else 1
    while position < end:
        byte = data[position]
        if byte == _BACKSLASH:
            position += 2
            continue
        if byte == quote and (
            not is_triple
            or (position + 2 < end and data[position + 1] == quote and data[position + 2] == quote)
        ):
            return position + (3 if is_triple else 1)
        if byte == NEWLINE and not (is_triple or is_long):
            return position
        position += 1
    return end


@kernel
def count_visible_chars(data: Bytes, begin: int, end: int) -> int:
    """Return the characters outside of tags, comments, declarations, scripts and style sheets.

    White space and character references count as they are written. A < that no letter, slash,
    exclamation or question mark follows is text.
    """
    visible_chars = 0
    position = begin
    while position < end:
        byte = np.int64(data[position])
        following = np.int64(data[position + 1]) if position + 1 < end else 0
        letter = lower(following)
        is_tag = byte == 0x3C and (
            0x61 <= letter <= 0x7A or letter == 0x2F or letter == 0x21 or letter == 0x3F
        )
        if not is_tag:
            visible_chars += byte & 0xC0 != 0x80
            position += 1
        elif _starts_comment(data, position, end):
            position = _comment_end(data, position + 4, end)
        else:
            is_script = _is_element(data, position + 1, end, _SCRIPT)
            is_style = _is_element(data, position + 1, end, _STYLE)
            position = _tag_end(data, position, end)
            if is_script:
                position = _element_end(data, position, end, _SCRIPT)
            elif is_style:
                position = _element_end(data, position, end, _STYLE)
    return visible_chars


_SCRIPT = np.frombuffer(b"script", np.uint8)
_STYLE = np.frombuffer(b"style", np.uint8)


@kernel
def _starts_comment(data: Bytes, position: int, end: int) -> bool:
    return bool(
        position + 3 < end
        and data[position + 1] == 0x21
        and data[position + 2] == 0x2D
        and data[position + 3] == 0x2D
    )


@kernel
def _comment_end(data: Bytes, position: int, end: int) -> int:
    while position + 2 < end:
        if data[position] == 0x2D and data[position + 1] == 0x2D and data[position + 2] == 0x3E:
            return position + 3
        position += 1
    return end


@kernel
def _is_element(data: Bytes, position: int, end: int, name: Bytes) -> bool:
    """Whether the name stands here, whatever its case, and no letter or digit follows it."""
    if position + len(name) > end:
        return False
    is_equal = True
    for i in range(len(name)):
        is_equal &= lower(np.int64(data[position + i])) == name[i]
    if is_equal and position + len(name) < end:
        following = lower(np.int64(data[position + len(name)]))
        is_equal = not (0x61 <= following <= 0x7A or 0x30 <= following <= 0x39)
    return is_equal


@kernel
def _tag_end(data: Bytes, position: int, end: int) -> int:
    """Return the byte behind the tag's >; one inside quotes is none."""
    quote: Integer = 0
    while position < end:
        byte = np.int64(data[position])
        position += 1
        if quote:
            if byte == quote:
                quote = 0
        elif byte == 0x22 or byte == 0x27:
            quote = byte
        elif byte == 0x3E:
            return position
    return end


@kernel
def _element_end(data: Bytes, position: int, end: int, name: Bytes) -> int:
    """Return the byte behind the element's closing tag."""
    while position + 1 < end:
        if (
            data[position] == 0x3C
            and data[position + 1] == 0x2F
            and _is_element(data, position + 2, end, name)
        ):
            stop: int = _tag_end(data, position, end)
            return stop
        position += 1
    return end
