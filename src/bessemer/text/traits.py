"""Tells in one pass over a text which steps of making it uniform can find anything to change.

Input: UTF-8. Output: a sum of bits. Most texts have none of these traits, and are told so in a
seventh of the time that the steps themselves take to find out.
"""

from __future__ import annotations

import functools

import numpy as np

from bessemer.text.buffers import Bytes, Integer, kernel, read_only
from bessemer.text.characters import decode

CONTROL = 1
"""A character below U+0020 but tab and line feed, or U+007F."""

COMPOSABLE = 2
"""A character beyond COMPOSED: the text may not be in NFC."""

ANY_TRAIT = CONTROL | COMPOSABLE

COMPOSED = ((0x00, 0x2FF), (0x400, 0x482), (0x2002, 0x20CF), (0x4E00, 0x9FFF))
"""Code points, both ends included, that stand in NFC as they are whatever is around them: Latin,
Cyrillic, punctuation and currency, Han. Not all there are; but most of most texts."""


def traits_of(text: bytes) -> int:
    """Return the traits of a text in UTF-8."""
    return int(_traits(np.frombuffer(text, np.uint8), _byte_traits()))


@functools.cache
def _byte_traits() -> Bytes:
    """Per byte: CONTROL, or COMPOSABLE if it begins a character that must be looked at (uint8)."""
    table = np.zeros(256, np.uint8)
    table[:0x20] = CONTROL
    table[[0x09, 0x0A]] = 0
    table[0x7F] = CONTROL
    table["̀".encode()[0] :] = COMPOSABLE
    return read_only(table)


@kernel
def _traits(data: Bytes, table: Bytes) -> Integer:
    seen: Integer = 0
    position = 0
    while position < len(data):
        trait = np.int64(table[data[position]])
        if trait == COMPOSABLE:
            code, width = decode(data, position, len(data))
            position += width
            is_composed = False
            for first, last in COMPOSED:
                is_composed |= bool(first <= code <= last)
            seen |= 0 if is_composed else COMPOSABLE
        else:
            seen |= trait
            position += 1
    return seen
