"""Says what a code point is: its class, its folded form, and how it is read from UTF-8.

Input: the Unicode database of the running Python. Output: two tables over all code points, built
once on first use and handed to the kernels as arrays, and the kernel that decodes one character.

Invariants: a table holds one entry for each of the 0x110000 code points, and `decode` returns none
beyond them, whatever the bytes. Class and folding depend on the Unicode version
(`unicode_version`), so outputs that must be equal across machines carry it in their fingerprint.
"""

import functools
import unicodedata
from collections.abc import Callable

import numpy as np

from bessemer.text.buffers import Bytes, Codes, Integer, inline_kernel, kernel, read_only

NUM_CODE_POINTS = 0x110000
REPLACEMENT = 0xFFFD

ASSIGNED = (range(0x33500), range(0xE0000, 0xE0200))
"""Where characters are, of all code points: the others are set aside, private or no characters, and
nothing is said of them. Tables are filled in there alone, in a fifth of the time."""

CATEGORIES = (
    "Cc", "Cf", "Cn", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No",
    "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs",
)  # fmt: skip
"""The general categories (The Unicode Standard, table 4-4)."""

LETTER = 1  # general categories L*
MARK = 2  # M*: combining marks
NUMBER = 4  # N*: also letter numbers and fractions
DIGIT = 8  # Nd: decimal digits only
UNDERSCORE = 16
SOLO = 32  # a letter or letter number of a script written without spaces
SPACE = 64  # Unicode White_Space
CONTROL = 128  # C0 but tab, line feed, carriage return; and U+FFFD, the trace of a broken decoding

WORD_START = LETTER | NUMBER | UNDERSCORE
IN_WORD = WORD_START | MARK

NEWLINE = 0x0A
CARRIAGE_RETURN = 0x0D
APOSTROPHE = 0x27
CURLY_APOSTROPHE = 0x2019

SCRIPTS_WITHOUT_SPACES: dict[str, tuple[tuple[int, int], ...]] = {
    "Han": (
        (0x3005, 0x3007),
        (0x3021, 0x3029),
        (0x3038, 0x303C),
        (0x3400, 0x4DBF),
        (0x4E00, 0x9FFF),
        (0xF900, 0xFAFF),
        (0x20000, 0x3FFFD),  # planes 2 and 3, set aside for ideographs
    ),
    "Hiragana": ((0x3041, 0x309F), (0x1B001, 0x1B11F), (0x1B132, 0x1B132), (0x1B150, 0x1B152)),
    "Katakana": (
        (0x3031, 0x3035),
        (0x30A0, 0x30FF),
        (0x31F0, 0x31FF),
        (0xFF66, 0xFF9F),
        (0x1AFF0, 0x1B000),
        (0x1B120, 0x1B122),
        (0x1B155, 0x1B155),
        (0x1B164, 0x1B167),
    ),
    "Thai": ((0x0E00, 0x0E7F),),
    "Lao": ((0x0E80, 0x0EFF),),
    "Khmer": ((0x1780, 0x17FF),),
    "Myanmar": ((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
}
"""Code point ranges (both ends included, Unicode block charts) whose letters are words each.
Decimal digits in these blocks stay ordinary word characters: a number is one word."""


def unicode_version() -> str:
    """Return the version of the Unicode database the tables are built from."""
    return unicodedata.unidata_version


@functools.cache
def category_table() -> Bytes:
    """Return the place in CATEGORIES of every code point (uint8); Cn outside of ASSIGNED."""
    place_of = {category: place for place, category in enumerate(CATEGORIES)}
    table = np.full(NUM_CODE_POINTS, place_of["Cn"], np.uint8)
    for codes in ASSIGNED:
        categories = map(unicodedata.category, map(chr, codes))
        table[codes] = np.fromiter(map(place_of.__getitem__, categories), np.uint8, len(codes))
    return read_only(table)


def by_category(value: Callable[[str], int]) -> Bytes:
    """Return what `value` says of the general category of every code point (uint8)."""
    return np.array(list(map(value, CATEGORIES)), np.uint8)[category_table()]


@functools.cache
def class_table() -> Bytes:
    """Return the class of every code point as a sum of the bits above (uint8)."""
    bits = {"L": LETTER, "M": MARK, "N": NUMBER, "Z": SPACE}
    table = by_category(lambda category: bits.get(category[0], 0) | DIGIT * (category == "Nd"))
    table[ord("_")] = UNDERSCORE
    # White_Space is the Z categories, tab to carriage return, and next line.
    table[0x09:0x0E] |= SPACE
    table[0x85] |= SPACE
    table[0x00:0x09] |= CONTROL
    table[0x0B:0x0D] |= CONTROL
    table[0x0E:0x20] |= CONTROL
    table[REPLACEMENT] |= CONTROL
    may_be_solo = by_category(lambda category: SOLO * (category[0] == "L" or category == "Nl"))
    for ranges in SCRIPTS_WITHOUT_SPACES.values():
        for first, last in ranges:
            table[first : last + 1] |= may_be_solo[first : last + 1]
    return read_only(table)


@functools.cache
def fold_table() -> Codes:
    """Return the form in which every code point is compared (uint32): its simple lower case.

    Three entries differ from the lower case of a single character in Python, each so that texts
    a reader calls equal are equal: U+0130 (whose full lower case is two characters) becomes i,
    final sigma becomes sigma, and the curly apostrophe becomes the straight one.
    """
    table = np.arange(NUM_CODE_POINTS, dtype=np.uint32)
    for codes in ASSIGNED:
        lowered = np.array(list(map(str.lower, map(chr, codes))))  # an array of UCS-4
        table[codes] = lowered.view(np.uint32).reshape(len(codes), -1)[:, 0]
    table[0x03C2] = 0x03C3
    table[CURLY_APOSTROPHE] = APOSTROPHE
    return read_only(table)


@inline_kernel
def decode(data: Bytes, position: Integer, end: Integer) -> tuple[Integer, int]:
    """Return the code point that begins at byte `position`, and its length in bytes.

    Bytes from `end` on are taken for zero, which continues no character. A byte that begins no
    well-formed sequence (The Unicode Standard, table 3-7) is U+FFFD of length one: Arrow promises
    valid UTF-8 but does not check it.
    """
    first = np.uint64(position)  # an unsigned index is not asked whether it counts from behind
    lead = np.int64(data[first])
    if lead < 0x80:
        return lead, 1
    width = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if not 0xC2 <= lead <= 0xF4 or position + width > end:
        return REPLACEMENT, 1
    code = lead & 0x7F >> width
    for i in range(1, width):
        byte = np.int64(data[first + np.uint64(i)])
        if byte & 0xC0 != 0x80:
            return REPLACEMENT, 1
        code = code << 6 | byte & 0x3F
    if width == 3 and (code < 0x800 or 0xD800 <= code <= 0xDFFF):
        return REPLACEMENT, 1
    if width == 4 and not 0x10000 <= code < NUM_CODE_POINTS:
        return REPLACEMENT, 1
    return code, width


@kernel
def contains(codes: Codes, code: Integer) -> bool:
    """Return whether one of a few code points is this one."""
    is_contained = False
    for i in range(len(codes)):
        is_contained |= codes[i] == code
    return is_contained
