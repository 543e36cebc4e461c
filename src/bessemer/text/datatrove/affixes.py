"""Where spaCy's tokenizer cuts into a chunk of text: its prefixes, suffixes and infixes in English.

spaCy has them as regular expressions, here they are tests of characters; which characters are of
which class is in `tables`.
"""

from __future__ import annotations

from bessemer.text.buffers import Codes, Integer, inline_kernel, kernel
from bessemer.text.datatrove.decoded import Text, is_any
from bessemer.text.datatrove.exceptions import is_unit
from bessemer.text.datatrove.tables import (
    ALPHA,
    BEFORE_PERIOD,
    CURRENCY,
    DIGIT,
    ICON,
    LOWER,
    MAX_UNIT_CHARS,
    PREFIX,
    QUOTE,
    SUFFIX,
    UPPER,
    Tables,
)

_DOT = 0x2E
_ELLIPSIS = 0x2026
_HYPHEN = 0x2D
_EM_DASH = 0x2014


@kernel
def _num_dots(codes: Codes, first: int, last: int) -> int:
    """How many full stops stand at `first`, up to `last`."""
    place = first
    while place < last and codes[place] == _DOT:
        place += 1
    return place - first


@inline_kernel
def prefix_chars(text: Text, first: int, last: int) -> int:
    """Characters of the prefix at `first`, 0 if there is none."""
    codes = text.codes
    code = codes[first]
    if code == 0x2B:  # + is none before a digit
        return 0 if first + 1 < last and is_any(text, first + 1, DIGIT) else 1
    if is_any(text, first, PREFIX):
        return 1
    if code == _DOT:
        dots = _num_dots(text.codes, first, last)
        return dots if dots > 1 else 0
    if code == 0x55 and last - first >= 3 and codes[first + 1] == 0x53 and codes[first + 2] == 0x24:
        return 3  # US$
    if code in (0x43, 0x41) and last - first >= 2 and codes[first + 1] == 0x24:
        return 2  # C$, A$
    return 0


@inline_kernel
def suffix_chars(text: Text, first: int, last: int, seen: Integer, tables: Tables) -> int:
    """Characters of the longest suffix of what lies from `first` to `last`, 0 if there is none."""
    if last <= first:
        return 0
    codes = text.codes
    code = codes[last - 1]
    num_before = last - 1 - first
    longest = 1 if is_any(text, last - 1, SUFFIX) else 0
    if code == _ELLIPSIS and num_before and codes[last - 2] == _ELLIPSIS:
        longest = 2
    if code == _DOT:
        dots = 1
        while dots <= num_before and codes[last - 1 - dots] == _DOT:
            dots += 1
        if dots > 1:
            return int(dots)
        if num_before:
            before = codes[last - 2]
            if (
                is_any(text, last - 2, BEFORE_PERIOD)
                or (
                    num_before >= 2
                    and is_any(text, last - 2, UPPER)
                    and is_any(text, last - 3, UPPER)
                )
                or (
                    num_before >= 2
                    and codes[last - 3] == 0xB0
                    and before in (0x46, 0x66, 0x43, 0x63, 0x4B, 0x6B)
                )
            ):
                longest = 1
        return longest
    if num_before:
        if code in (0x73, 0x53) and codes[last - 2] in (0x27, 0x2019):
            longest = 2  # 's
        if seen & DIGIT:
            if is_any(text, last - 2, DIGIT) and (code == 0x2B or is_any(text, last - 1, CURRENCY)):
                longest = max(longest, 1)
            if code == 0x24:
                has_sign = num_before >= 3 and codes[last - 2] == 0x53 and codes[last - 3] == 0x55
                if has_sign and is_any(text, last - 4, DIGIT):
                    longest = 3  # US$
                has_sign = num_before >= 2 and codes[last - 2] in (0x43, 0x41)
                if has_sign and is_any(text, last - 3, DIGIT):
                    longest = 2  # C$, A$
            for length in range(min(MAX_UNIT_CHARS, num_before), longest, -1):
                is_behind_digit = is_any(text, last - 1 - length, DIGIT)
                if is_behind_digit and is_unit(text, last - length, last, tables):
                    longest = length
                    break
    return longest


@kernel
def infix_chars(text: Text, place: int, first: int, last: int) -> int:
    """Characters of the infix at `place`, 0 if there is none."""
    codes = text.codes
    code = codes[place]
    if code == _DOT:
        dots = _num_dots(text.codes, place, last)
        if dots > 1:
            return int(dots)
    if code == _ELLIPSIS or is_any(text, place, ICON):
        return 1
    if place == first or place + 1 >= last:
        return 0
    follows_alpha = is_any(text, place - 1, ALPHA)
    follows_digit = is_any(text, place - 1, DIGIT)
    if (
        follows_digit
        and code in (0x2B, _HYPHEN, 0x2A, 0x5E)
        and (is_any(text, place + 1, DIGIT) or codes[place + 1] == _HYPHEN)
    ):
        return 1
    if code == _DOT:
        joins = is_any(text, place - 1, LOWER | QUOTE) and is_any(text, place + 1, UPPER | QUOTE)
        return 1 if joins else 0
    if code == 0x2C:
        return 1 if follows_alpha and is_any(text, place + 1, ALPHA) else 0
    if not (follows_alpha or follows_digit):
        return 0
    if code in (_HYPHEN, 0x2013, _EM_DASH, 0x7E):
        longest = 3 if code == _HYPHEN else 2 if code == _EM_DASH else 1
        for length in range(1, longest + 1):
            if place + length >= last:
                return 0
            if is_any(text, place + length, ALPHA):
                return length
            if codes[place + length] != code:
                return 0
        return 0
    if code in (0x3A, 0x3C, 0x3E, 0x3D, 0x2F) and is_any(text, place + 1, ALPHA):
        return 1
    return 0
