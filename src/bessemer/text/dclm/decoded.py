"""A document as code points, each with its class and its place in the document's bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Bytes, Codes, Counts, kernel
from bessemer.text.characters import decode


class Text(NamedTuple):
    """One text, a row per character; longer arrays are scratch behind the last."""

    codes: Codes  # uint32
    kinds: Bytes  # uint8, the classes of `string_classes`
    places: Counts  # int32, first byte of the character within the document


@njit(cache=True, nogil=True)
def empty_text(num_chars: int) -> Text:
    """Scratch for a text; memory is touched only as characters fill it."""
    return Text(
        np.empty(num_chars, np.uint32), np.empty(num_chars, np.uint8), np.empty(num_chars, np.int32)
    )


@kernel
def read_text(data: Bytes, begin: int, end: int, classes: Bytes, out: Text) -> int:
    """Fill `out` with the characters at bytes `begin` to `end`; return their number."""
    num_chars = 0
    position = begin
    while position < end:
        code, width = decode(data, position, end)
        out.codes[num_chars] = code
        out.kinds[num_chars] = classes[code]
        out.places[num_chars] = position - begin
        num_chars += 1
        position += width
    return num_chars


@kernel
def move(text: Text, source: int, target: int) -> None:
    """Copy a character to a place before."""
    text.codes[target] = text.codes[source]
    text.kinds[target] = text.kinds[source]
    text.places[target] = text.places[source]
