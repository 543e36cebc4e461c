"""Measures which scripts a text is written in, and what of it is no letter, digit or white space.

Input: an Arrow string array. Output: one float32 array per signal of `SCRIPT_SIGNALS`, one value
per document in the order of the array.

A letter is of general category L*; its script is that of the Unicode Character Database
(Scripts.txt). Combining marks and digits are no letters here: they follow the letters they stand
by, or are common to all scripts.

Invariants: everything is counted in whole numbers; a signal is one exact quotient of two, rounded
once to float32. A quotient with an empty denominator is 0. Time is linear in bytes.
"""

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bessemer.text.buffers import (
    Bytes,
    Offsets,
    kernel,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import SPACE, by_category, class_table, decode
from bessemer.text.shares import share

LETTERS_OF_SCRIPTS: dict[str, tuple[tuple[int, int], ...]] = {
    "latin": (
        *((0x41, 0xAA), (0xBA, 0x2B8), (0x2E0, 0x2E4), (0x1D00, 0x1D25), (0x1D2C, 0x1D5C)),
        *((0x1D62, 0x1D65), (0x1D6B, 0x1D77), (0x1D79, 0x1DBE), (0x1E00, 0x1EFF)),
        *((0x2071, 0x207F), (0x2090, 0x209F), (0x212A, 0x212B), (0x2132, 0x2132)),
        *((0x214E, 0x2184), (0x2C60, 0x2C7F), (0xA722, 0xA787), (0xA78B, 0xA7FF)),
        *((0xAB30, 0xAB64), (0xAB66, 0xAB6D), (0xFB00, 0xFB06), (0xFF21, 0xFF5A)),
        *((0x10780, 0x107BF), (0x1DF00, 0x1DFF2), (0x1DFF5, 0x1DFFF)),
    ),
    "cyrillic": (
        *((0x400, 0x52F), (0x1C80, 0x1C8A), (0x1D2B, 0x1D2B), (0x1D78, 0x1D78)),
        *((0xA640, 0xA69D), (0x1E030, 0x1E06D)),
    ),
    "greek": (
        *((0x370, 0x373), (0x376, 0x3E1), (0x3F0, 0x3FF), (0x1D26, 0x1D2A), (0x1D5D, 0x1D61)),
        *((0x1D66, 0x1D6A), (0x1DBF, 0x1DBF), (0x1F00, 0x1FFC), (0x2126, 0x2126)),
        *((0xAB65, 0xAB65), (0x1DFF3, 0x1DFF4)),
    ),
    "han": (
        *((0x3005, 0x3005), (0x303B, 0x303B), (0x3400, 0x9FFF), (0xF900, 0xFAD9)),
        *((0x16FE3, 0x16FF3), (0x20000, 0x33479)),
    ),
    "kana": (  # Hiragana and Katakana
        *((0x3041, 0x30FA), (0x30FD, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF6F)),
        *((0xFF71, 0xFF9D), (0x1AFF0, 0x1B168)),
    ),
    "hangul": (
        *((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xAC00, 0xD7FB)),
        *((0xFFA0, 0xFFDC),),
    ),
    "arabic": (
        *((0x620, 0x63F), (0x641, 0x6FF), (0x750, 0x77F), (0x870, 0x8C9), (0xFB50, 0xFEFC)),
        *((0x10EC2, 0x10EEE), (0x1EE00, 0x1EEBB)),
    ),
    "hebrew": ((0x5D0, 0x5F2), (0xFB1D, 0xFB4F)),
    "devanagari": ((0x904, 0x97F), (0xA8F2, 0xA8FE), (0x11B0A, 0x11B0A)),
    "thai": ((0xE01, 0xE46),),
}
"""Code point ranges, both ends included, whose letters are of the script: the Unicode Character
Database 17.0, Scripts.txt, with ranges joined where nothing but other characters lies between."""

SCRIPTS = (*LETTERS_OF_SCRIPTS, "other")

EMOJI = """
    203C 2049 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3 23F8-23FA 24C2
    25AA-25AB 25B6 25C0 25FB-25FE 2600-2604 260E 2611 2614-2615 2618 261D 2620 2622-2623
    2626 262A 262E-262F 2638-263A 2640 2642 2648-2653 265F-2660 2663 2665-2666 2668 267B
    267E-267F 2692-2697 2699 269B-269C 26A0-26A1 26A7 26AA-26AB 26B0-26B1 26BD-26BE
    26C4-26C5 26C8 26CE-26CF 26D1 26D3-26D4 26E9-26EA 26F0-26F5 26F7-26FA 26FD 2702 2705
    2708-270D 270F 2712 2714 2716 271D 2721 2728 2733-2734 2744 2747 274C 274E 2753-2755
    2757 2763-2764 2795-2797 27A1 27B0 27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50 2B55 3030
    303D 3297 3299 1F004 1F02C-1F02F 1F094-1F09F 1F0AF-1F0B0 1F0C0 1F0CF-1F0D0 1F0F6-1F0FF
    1F170-1F171 1F17E-1F17F 1F18E 1F191-1F19A 1F1AF-1F1FF 1F201-1F20F 1F21A 1F22F
    1F232-1F23A 1F23C-1F23F 1F249-1F25F 1F266-1F321 1F324-1F393 1F396-1F397 1F399-1F39B
    1F39E-1F3F0 1F3F3-1F3F5 1F3F7-1F4FD 1F4FF-1F53D 1F549-1F54E 1F550-1F567 1F56F-1F570
    1F573-1F57A 1F587 1F58A-1F58D 1F590 1F595-1F596 1F5A4-1F5A5 1F5A8 1F5B1-1F5B2 1F5BC
    1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE 1F5E1 1F5E3 1F5E8 1F5EF 1F5F3 1F5FA-1F64F
    1F680-1F6C5 1F6CB-1F6D2 1F6D5-1F6E5 1F6E9 1F6EB-1F6F0 1F6F3-1F6FF 1F7DC-1F7F0
    1F80C-1F80F 1F848-1F84F 1F85A-1F85F 1F888-1F88F 1F8AE-1F8AF 1F8BC-1F8BF 1F8C2-1F8CF
    1F8D9-1F8FF 1F90C-1F93A 1F93C-1F945 1F947-1F9FF 1FA58-1FA5F 1FA6E-1FAFF 1FC00-1FFFD
"""
"""Code points in hexadecimal that are Emoji_Presentation or Extended_Pictographic (the Unicode
Character Database 17.0, emoji-data.txt), without the signs of copyright, registration and trade
mark, which stand in plain text. Some are not assigned yet: they are set aside for emoji."""

_COMMON = {
    "punct_frac": "punctuation (Unicode P*)",
    "symbol_frac": "symbols (Unicode S*) and emoji",
    "emoji_frac": "emoji (bessemer.text.scripts.EMOJI), each part of a sequence by itself",
    "format_frac": "format characters (Unicode Cf): zero-width signs, marks of direction, hyphens",
    "unassigned_frac": "private use and unassigned code points (Unicode Co, Cn) but emoji",
}
SCRIPT_SIGNALS: dict[str, str] = {
    **{
        f"{script}_letter_frac": f"letters of the script {script.capitalize()} / letters; Unicode"
        for script in LETTERS_OF_SCRIPTS
    },
    "other_letter_frac": "letters of any other script / letters (Unicode L*)",
    "dominant_script_frac": "letters of the most frequent of these eleven scripts / letters",
    "uppercase_letter_frac": "upper-case and title-case letters (Unicode Lu, Lt) / letters",
    **{
        name: f"{definition} / characters that are not white space"
        for name, definition in _COMMON.items()
    },
}
"""Name, ending in its unit, to definition and source: the order of the output."""

_BLANK, _PLAIN, _PUNCT, _SYMBOL, _EMOJI, _FORMAT, _UNASSIGNED = range(7)
_LETTER = 8  # and above: twice the script, and one more for upper case
_NUM_KINDS = _LETTER + 2 * len(SCRIPTS)


def script_signals(array: pa.Array | pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in SCRIPT_SIGNALS for every document."""
    offsets, data = utf8_buffers(array)
    longest_document_bytes(offsets)  # raises beyond what kernels take
    count = np.zeros((len(offsets) - 1, _NUM_KINDS), np.int64)
    _count(offsets, data, kind_table(), count)
    of_script = count[:, _LETTER::2] + count[:, _LETTER + 1 :: 2]
    letters = of_script.sum(axis=1)
    visible = count.sum(axis=1) - count[:, _BLANK]
    symbols = count[:, _SYMBOL] + count[:, _EMOJI]
    signals = {
        f"{script}_letter_frac": share(of_script[:, index], letters)
        for index, script in enumerate(SCRIPTS)
    }
    signals |= {
        "dominant_script_frac": share(of_script.max(axis=1), letters),
        "uppercase_letter_frac": share(count[:, _LETTER + 1 :: 2].sum(axis=1), letters),
        "punct_frac": share(count[:, _PUNCT], visible),
        "symbol_frac": share(symbols, visible),
        "emoji_frac": share(count[:, _EMOJI], visible),
        "format_frac": share(count[:, _FORMAT], visible),
        "unassigned_frac": share(count[:, _UNASSIGNED], visible),
    }
    return {name: values.astype(np.float32) for name, values in signals.items()}


@functools.cache
def kind_table() -> Bytes:
    """Return the kind of every code point (uint8): one of those above, or a letter's."""
    kinds = {"P": _PUNCT, "S": _SYMBOL, "L": _LETTER + 2 * SCRIPTS.index("other")}
    others = {"Cf": _FORMAT, "Co": _UNASSIGNED, "Cn": _UNASSIGNED}
    table = by_category(lambda category: others.get(category, kinds.get(category[0], _PLAIN)))
    is_upper = by_category(lambda category: category in ("Lu", "Lt"))
    is_letter = table >= _LETTER
    for index, ranges in enumerate(LETTERS_OF_SCRIPTS.values()):
        for first, last in ranges:
            block = slice(first, last + 1)
            table[block][is_letter[block]] = _LETTER + 2 * index
    table += is_upper
    for span in EMOJI.split():
        begin, _, end = span.partition("-")
        table[int(begin, 16) : int(end or begin, 16) + 1] = _EMOJI
    table[class_table() & SPACE != 0] = _BLANK
    return read_only(table)


@kernel
def _count(offsets: Offsets, data: Bytes, kinds: Bytes, out: npt.NDArray[np.int64]) -> None:
    for document in range(len(offsets) - 1):
        position, end = offsets[document], offsets[document + 1]
        row = out[document]
        while position < end:
            code, width = decode(data, position, end)
            position += width
            row[kinds[code]] += 1
