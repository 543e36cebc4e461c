"""Words between the boundaries of Unicode, of which DCLM makes its n-grams.

Definition: the default word boundaries of Unicode 16.0 (UAX 29, section 4.1.1), as the package
uniseg has them, which DCLM calls. A unit between two boundaries is a word if its first character is
a letter or a number for str.isalnum; the others are left out, and with them the rules that only
join such (of flags, of white space).
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Integer, kernel, read_only
from bessemer.text.characters import NUM_CODE_POINTS
from bessemer.text.dclm.decoded import Text
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.ngram_places import Compared
from bessemer.text.string_classes import ALNUM

Breaks: TypeAlias = npt.NDArray[np.uint16]

# Values of Word_Break, bits of one table over all code points (uint16).
A_LETTER = 1 << 0
HEBREW_LETTER = 1 << 1
NUMERIC = 1 << 2
KATAKANA = 1 << 3
EXTEND_NUM_LET = 1 << 4
MID_LETTER = 1 << 5
MID_NUM = 1 << 6
MID_NUM_LET = 1 << 7
SINGLE_QUOTE = 1 << 8
DOUBLE_QUOTE = 1 << 9
LINE_END = 1 << 10  # CR, LF and Newline
SKIPPED = 1 << 11  # Extend, Format and ZWJ
ZWJ = 1 << 12
PICTOGRAPHIC = 1 << 13

_BITS = {
    "ALetter": A_LETTER,
    "Hebrew_Letter": HEBREW_LETTER,
    "Numeric": NUMERIC,
    "Katakana": KATAKANA,
    "ExtendNumLet": EXTEND_NUM_LET,
    "MidLetter": MID_LETTER,
    "MidNum": MID_NUM,
    "MidNumLet": MID_NUM_LET,
    "Single_Quote": SINGLE_QUOTE,
    "Double_Quote": DOUBLE_QUOTE,
    "CR": LINE_END,
    "LF": LINE_END,
    "Newline": LINE_END,
    "Extend": SKIPPED,
    "Format": SKIPPED,
    "ZWJ": SKIPPED | ZWJ,
    "Extended_Pictographic": PICTOGRAPHIC,
}
_LETTERS = A_LETTER | HEBREW_LETTER
_JOINED = _LETTERS | NUMERIC | KATAKANA  # by what joins letters and numbers (_)
_IN_LETTERS = MID_LETTER | MID_NUM_LET | SINGLE_QUOTE
_IN_NUMBERS = MID_NUM | MID_NUM_LET | SINGLE_QUOTE
_SIMPLE = A_LETTER | NUMERIC | HEBREW_LETTER  # no boundary between any two of them


@functools.cache
def word_breaks() -> Breaks:
    """Return the bits of every code point (uint16)."""
    table = np.zeros(NUM_CODE_POINTS, np.uint16)
    text = files("bessemer.text.dclm").joinpath("word_break.tsv").read_text("utf-8")
    for line in text.splitlines():
        name, _, ranges = line.partition("\t")
        if name in _BITS:
            for span in ranges.split(" "):
                first, _, last = span.partition("-")
                table[int(first, 16) : int(last or first, 16) + 1] |= np.uint16(_BITS[name])
    return read_only(table)


@kernel
def find_words(text: Text, num_chars: int, breaks: Breaks, out: Compared) -> tuple[int, int]:
    """Fill in hash and length of the words; return their number and their characters."""
    num_words = word_chars = 0
    state = SEED
    size = 0  # of the word that is open, 0 if none is
    raw: Integer = 0  # bits of the last character
    before: Integer = 0  # of the last one that is not skipped
    second: Integer = 0  # of the one before that
    for place in range(num_chars):
        code = text.codes[place]
        bits = np.int64(breaks[code])
        if bits & _SIMPLE and raw & _SIMPLE:
            joins = True
        elif place == 0 or (raw | bits) & LINE_END:
            joins = False
        elif bits & SKIPPED or (raw & ZWJ and bits & PICTOGRAPHIC):
            joins = True
        elif bits == 0 or before == 0:
            joins = False
        else:
            joins = _joins(text, num_chars, breaks, place, second, before, bits)
        if not joins:
            if size:
                out.hashes[num_words], out.num_chars[num_words] = finish(state), size
                num_words += 1
                word_chars += size
                size = 0
            if np.int64(text.kinds[place]) & ALNUM:
                state = extend(SEED, np.uint64(code))
                size = 1
        elif size:
            state = extend(state, np.uint64(code))
            size += 1
        raw = bits
        if not bits & SKIPPED:
            second, before = before, bits
    if size:
        out.hashes[num_words], out.num_chars[num_words] = finish(state), size
        num_words += 1
        word_chars += size
    return num_words, word_chars


@kernel
def _joins(
    text: Text,
    num_chars: int,
    breaks: Breaks,
    place: int,
    second: Integer,
    before: Integer,
    bits: Integer,
) -> bool:
    """Whether rules WB5 to WB13b join a character to the one before; what is skipped is left out.

    `second` and `before` are the bits of the last two characters.
    """
    if bits & _LETTERS:
        if before & (_LETTERS | NUMERIC | EXTEND_NUM_LET):
            return True
        if before & _IN_LETTERS and second & _LETTERS:
            return True
        return bool(bits & HEBREW_LETTER and before & DOUBLE_QUOTE and second & HEBREW_LETTER)
    if bits & NUMERIC:
        if before & (NUMERIC | _LETTERS | EXTEND_NUM_LET):
            return True
        return bool(before & _IN_NUMBERS and second & NUMERIC)
    if bits & KATAKANA:
        return bool(before & (KATAKANA | EXTEND_NUM_LET))
    if bits & EXTEND_NUM_LET:
        return bool(before & (_JOINED | EXTEND_NUM_LET))
    if not before & (_LETTERS | NUMERIC) or not bits & (_IN_LETTERS | _IN_NUMBERS | DOUBLE_QUOTE):
        return False
    if bits & SINGLE_QUOTE and before & HEBREW_LETTER:
        return True
    following = place + 1
    while following < num_chars and np.int64(breaks[text.codes[following]]) & SKIPPED:
        following += 1
    after = np.int64(breaks[text.codes[following]]) if following < num_chars else np.int64(0)
    return bool(
        (bits & _IN_LETTERS and before & _LETTERS and after & _LETTERS)
        or (bits & _IN_NUMBERS and before & NUMERIC and after & NUMERIC)
        or (bits & DOUBLE_QUOTE and before & HEBREW_LETTER and after & HEBREW_LETTER)
    )
