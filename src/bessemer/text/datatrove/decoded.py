"""A document as code points, with their classes and a hash from which that of any part follows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Bytes, Codes, Counts, Hashes, Integer, kernel
from bessemer.text.characters import decode
from bessemer.text.datatrove.rolling import append, cut
from bessemer.text.datatrove.tables import Tables
from bessemer.text.hashing import finish

_NEWLINE = 0x0A


class Text(NamedTuple):
    """One text, a row per character; longer arrays are scratch behind the last.

    Places are unsigned where a row is read or written: numba asks of others whether they count from
    behind.
    """

    codes: Codes  # uint32
    kinds: Codes  # uint32, the classes of `tables`
    hashes: Hashes  # uint64, of all characters before; one row more than characters
    newlines: Counts  # int32, where the line feeds stand, a row per line feed


@njit(cache=True, nogil=True)
def empty_text(num_chars: int) -> Text:
    """Scratch for a text; memory is touched only as characters fill it."""
    return Text(
        np.empty(num_chars, np.uint32),
        np.empty(num_chars, np.uint32),
        np.empty(num_chars + 1, np.uint64),
        np.empty(num_chars, np.int32),
    )


@kernel
def read_text(data: Bytes, begin: int, end: int, tables: Tables, out: Text) -> tuple[int, int]:
    """Fill `out` with the characters at bytes `begin` to `end`.

    Returns the number of characters, and of line feeds among them.
    """
    out.hashes[0] = np.uint64(0)
    num_chars = num_newlines = 0
    position = begin
    while position < end:
        code, width = decode(data, position, end)
        if code == _NEWLINE:
            out.newlines[num_newlines] = num_chars
            num_newlines += 1
        num_chars = put(out, num_chars, code, tables)
        position += width
    return num_chars, num_newlines


@kernel
def put(out: Text, num_chars: int, code: Integer, tables: Tables) -> int:
    """Append one character; return the number of characters then. `newlines` are left alone."""
    place = np.uint64(num_chars)
    out.codes[place] = code
    out.kinds[place] = tables.classes[np.uint64(code)]
    out.hashes[place + np.uint64(1)] = append(out.hashes[place], np.uint64(code))
    return num_chars + 1


@kernel
def hash_between(text: Text, first: int, last: int, powers: Hashes) -> np.uint64:
    """The finished hash of characters `first` to `last`."""
    whole, before = text.hashes[np.uint64(last)], text.hashes[np.uint64(first)]
    return np.uint64(finish(cut(whole, before, last - first, powers)))


@kernel
def is_any(text: Text, place: int, bits: int) -> bool:
    """Whether a character is of any of the classes."""
    return bool(np.int64(text.kinds[np.uint64(place)]) & bits)
