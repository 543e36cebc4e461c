"""Finds the lines and paragraphs of a text: the one definition that every measure shares.

Input: UTF-8 text. Output: the hash and length of every non-blank line, stripped, and of every
paragraph.

A line is what stands between line feeds, without one carriage return at its end (so a text has the
same lines with Unix and Windows endings). No other character ends a line: form feeds, next line
and U+2028 do not, unlike in str.splitlines. A line of nothing but white space is blank, and blank
lines count nowhere. A paragraph is a maximal run of non-blank lines: two or more line feeds part
paragraphs, and so do line feeds with nothing but white space between them.

Invariants: lines and paragraphs are in text order; a text of b bytes has at most (b + 1) // 2 of
either, as many as words; equality is of characters, without folding, after stripping white space
(Unicode White_Space) from both ends of each line.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Bytes, Counts, Hashes, Integer, kernel
from bessemer.text.characters import NEWLINE, SPACE, decode
from bessemer.text.hashing import SEED, extend, finish


class Lines(NamedTuple):
    """Hash and length in characters of each line or paragraph of one document; scratch behind."""

    hashes: Hashes  # uint64
    num_chars: Counts  # int32, stripped


@njit(cache=True, nogil=True)
def empty_lines(num_lines: int) -> Lines:
    """Return scratch for the lines or paragraphs of one document."""
    return Lines(np.empty(num_lines, np.uint64), np.empty(num_lines, np.int32))


@kernel
def find_lines(
    data: Bytes, begin: int, end: int, classes: Bytes, out_lines: Lines, out_paragraphs: Lines
) -> tuple[int, int]:
    """Fill in the lines and paragraphs of the document at bytes `begin` to `end`.

    Returns the number of non-blank lines and of paragraphs.
    """
    line_hashes, line_chars = out_lines
    paragraph_hashes, paragraph_chars = out_paragraphs
    num_lines = num_paragraphs = 0
    in_paragraph = False
    paragraph_state = SEED
    position = begin
    while position < end:
        state = stripped_state = SEED
        num_chars = num_stripped_chars = 0
        code: Integer = 0
        while position < end and code != NEWLINE:
            code, width = decode(data, position, end)
            position += width
            is_space = classes[code] & SPACE != 0
            if is_space and num_chars == 0:
                continue
            state = extend(state, np.uint64(code))
            num_chars += 1
            if not is_space:
                stripped_state = state
                num_stripped_chars = num_chars
        if num_stripped_chars == 0:
            in_paragraph = False
            continue
        line_hash = finish(stripped_state)
        line_hashes[num_lines] = line_hash
        line_chars[num_lines] = num_stripped_chars
        num_lines += 1
        if not in_paragraph:
            in_paragraph = True
            paragraph_state = SEED
            paragraph_chars[num_paragraphs] = 0
            num_paragraphs += 1
        paragraph_state = extend(paragraph_state, line_hash)
        paragraph_hashes[num_paragraphs - 1] = finish(paragraph_state)
        paragraph_chars[num_paragraphs - 1] += num_stripped_chars
    return num_lines, num_paragraphs
