"""Says what a code point is: its class, its folded form, and how it is read from UTF-8.

Input: the Unicode database of the running Python. Output: two tables over all code points, built
once on first use and handed to the kernels as arrays, and the kernel that decodes one character.

Invariants: a table holds one entry for each of the 0x110000 code points, and `decode` returns none
beyond them, whatever the bytes. Class and folding depend on the Unicode version
(`unicode_version`), so outputs that must be equal across machines carry it in their fingerprint.
"""

import functools
import unicodedata

import numpy as np

from bessemer.text.buffers import Bytes, Codes, Integer, kernel, read_only

NUM_CODE_POINTS = 0x110000
REPLACEMENT = 0xFFFD

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
def class_table() -> Bytes:
    """Return the class of every code point as a sum of the bits above (uint8)."""
    categories = list(map(unicodedata.category, map(chr, range(NUM_CODE_POINTS))))
    bits = {"L": LETTER, "M": MARK, "N": NUMBER, "Z": SPACE}
    bits = {category: bits.get(category[0], 0) for category in set(categories)}
    bits["Nd"] |= DIGIT
    table = np.fromiter(map(bits.__getitem__, categories), np.uint8)
    table[ord("_")] = UNDERSCORE
    # White_Space is the Z categories, tab to carriage return, and next line.
    table[0x09:0x0E] |= SPACE
    table[0x85] |= SPACE
    table[0x00:0x09] |= CONTROL
    table[0x0B:0x0D] |= CONTROL
    table[0x0E:0x20] |= CONTROL
    table[REPLACEMENT] |= CONTROL
    is_letter_number = np.fromiter(map("Nl".__eq__, categories), np.bool_)
    for ranges in SCRIPTS_WITHOUT_SPACES.values():
        for first, last in ranges:
            block = slice(first, last + 1)
            is_solo = (table[block] & LETTER != 0) | is_letter_number[block]
            table[block] |= is_solo * np.uint8(SOLO)
    return read_only(table)


@functools.cache
def fold_table() -> Codes:
    """Return the form in which every code point is compared (uint32): its simple lower case.

    Three entries differ from the lower case of a single character in Python, each so that texts
    a reader calls equal are equal: U+0130 (whose full lower case is two characters) becomes i,
    final sigma becomes sigma, and the curly apostrophe becomes the straight one.
    """
    lowered = map(str.lower, map(chr, range(NUM_CODE_POINTS)))
    table = np.fromiter(
        (ord(low) if len(low) == 1 else code for code, low in enumerate(lowered)), np.uint32
    )
    table[0x0130] = ord("i")
    table[0x03C2] = 0x03C3
    table[CURLY_APOSTROPHE] = APOSTROPHE
    return read_only(table)


@kernel
def decode(data: Bytes, position: int, end: int) -> tuple[Integer, int]:
    """Return the code point that begins at byte `position`, and its length in bytes.

    Bytes from `end` on are taken for zero, which continues no character. A byte that begins no
    well-formed sequence (The Unicode Standard, table 3-7) is U+FFFD of length one: Arrow promises
    valid UTF-8 but does not check it.
    """
    lead = np.int64(data[position])
    if lead < 0x80:
        return lead, 1
    second = np.int64(data[position + 1]) if position + 1 < end else 0
    third = np.int64(data[position + 2]) if position + 2 < end else 0
    fourth = np.int64(data[position + 3]) if position + 3 < end else 0
    code: Integer = REPLACEMENT
    width = 1
    if second & 0xC0 == 0x80:
        if 0xC2 <= lead <= 0xDF:
            code, width = (lead & 0x1F) << 6 | (second & 0x3F), 2
        elif third & 0xC0 == 0x80:
            wide = (second & 0x3F) << 6 | (third & 0x3F)
            if 0xE0 <= lead <= 0xEF:
                wide |= (lead & 0x0F) << 12
                if wide >= 0x800 and not 0xD800 <= wide <= 0xDFFF:
                    code, width = wide, 3
            elif 0xF0 <= lead <= 0xF4 and fourth & 0xC0 == 0x80:
                wide = (lead & 0x07) << 18 | wide << 6 | (fourth & 0x3F)
                if 0x10000 <= wide < NUM_CODE_POINTS:
                    code, width = wide, 4
    return code, width


@kernel
def contains(codes: Codes, code: Integer) -> bool:
    """Return whether one of a few code points is this one."""
    is_contained = False
    for i in range(len(codes)):
        is_contained |= codes[i] == code
    return is_contained
