"""Says of every code point what Python's str says of it: the measures of the peers stand on that.

Input: the Unicode database of the running Python. Output: one table over all code points, built
once on first use and handed to the kernels as an array.

datatrove, dolma, RedPajama, the DCLM filters and the StarCoder filters are Python, and their
definitions are str's predicates: `isupper` of a character, `\\w` and `\\s` of `re`, `splitlines`. A
measure that is theirs (its name ends in @ and the peer) goes by this table; our own measures go by
`bessemer.text.characters`, which goes by general categories.
"""

import functools

import numpy as np

from bessemer.text.buffers import Bytes, read_only
from bessemer.text.characters import ASSIGNED, NUM_CODE_POINTS

UPPER = 1  # str.isupper
LOWER = 2  # str.islower, or a title-case letter: what keeps a word from being upper case
ALPHA = 4  # str.isalpha
NUMERIC = 8  # str.isnumeric: digits, superscripts, fractions, ideographs that are numbers
DIGIT = 16  # str.isdigit: decimal digits, superscripts, circled digits
DECIMAL = 32  # str.isdecimal, `\\d` of re
BLANK = 64  # str.isspace, `\\s` of re
BREAK = 128  # where str.splitlines parts lines

ALNUM = ALPHA | NUMERIC  # str.isalnum: isnumeric takes in isdigit, and that isdecimal


@functools.cache
def string_classes() -> Bytes:
    """Return what holds for every code point as a sum of the bits above (uint8)."""
    codes = ASSIGNED[0]  # of the others str says nothing
    chars = np.arange(len(codes), dtype=np.uint32).view("U1")
    table = np.zeros(NUM_CODE_POINTS, np.uint8)
    block = table[: len(codes)]
    for bit, predicate in (
        (UPPER, np.strings.isupper),
        (LOWER, np.strings.islower),
        (ALPHA, np.strings.isalpha),
        (NUMERIC, np.strings.isnumeric),
        (DIGIT, np.strings.isdigit),
        (DECIMAL, np.strings.isdecimal),
        (BLANK, np.strings.isspace),
    ):
        block |= predicate(chars) * np.uint8(bit)
    block |= (np.strings.istitle(chars) & (block & UPPER == 0)) * np.uint8(LOWER)
    for code in (*range(0x0A, 0x0E), *range(0x1C, 0x1F), 0x85, 0x2028, 0x2029):
        table[code] |= BREAK
    return read_only(table)
