"""The phrases and citation marks that C4's line rules look for, in a text as code points.

datatrove and DCLM, which follow the published list (Raffel et al. 2020, arXiv 1910.10683, section
2.2), look for the same ones. They differ in how case is ignored: datatrove compares what str.lower
makes of a line, DCLM searches by re.IGNORECASE, but lorem ipsum as datatrove does.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import Bytes, Codes, Integer, kernel, read_only
from bessemer.text.phrases import lower

HAS_LOREM = 1  # lorem ipsum
HAS_JAVASCRIPT = 2
HAS_CURLY = 4  # {
HAS_POLICY = 8
HAS_BRACKET = 16  # [, which citation marks begin with

_POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies",
    "use cookies",
)  # fmt: skip
_OPEN, _CLOSE, _CURLY = 0x5B, 0x5D, 0x7B
_J, _K, _M, _V, _KELVIN = 0x6A, 0x6B, 0x6D, 0x76, 0x212A
# Each phrase has one of four letters that are rare: one character in twenty is looked at.
_FIRST_LOOKED_AT = np.uint64(0x40)
_LOOKED_AT = np.uint64(sum(1 << ord(char) - 0x40 for char in "JKMVjkmv[{"))


def _codes(text: str) -> Codes:
    return read_only(np.array([ord(char) for char in text], np.uint32))


_EDIT, _NEEDED = _codes("[edit]"), _codes("[citation needed]")
_LOREM, _JAVASCRIPT = _codes("lorem ipsum"), _codes("javascript")
_TERMS, _PRIVACY, _COOKIE_POLICY, _USES, _USE_OF, _USE = map(_codes, _POLICIES)


@kernel
def find_phrases(codes: Codes, begin: int, end: int, ignores_case: bool) -> int:
    """What the characters `begin` to `end` contain: a sum of the constants above.

    `ignores_case` is that of re.IGNORECASE, else case is that of str.lower.
    """
    found = 0
    for place in range(begin, end):
        code = np.int64(codes[np.uint64(place)])
        offset = np.uint64(code) - _FIRST_LOOKED_AT
        is_looked_at = offset < 64 and _LOOKED_AT >> (offset & np.uint64(63)) & np.uint64(1)
        if not is_looked_at and code != _KELVIN:
            continue
        letter = lower(code)
        if code == _CURLY:
            found |= HAS_CURLY
        elif code == _OPEN:
            found |= HAS_BRACKET
        elif letter == _J:
            if _reads(codes, begin, place, end, _JAVASCRIPT, ignores_case):
                found |= HAS_JAVASCRIPT
        elif letter == _M:
            if _reads(codes, begin, place - 4, end, _LOREM, False):
                found |= HAS_LOREM
            elif _reads(codes, begin, place - 3, end, _TERMS, ignores_case):
                found |= HAS_POLICY
        elif letter == _V:
            if _reads(codes, begin, place - 3, end, _PRIVACY, ignores_case):
                found |= HAS_POLICY
        elif (
            _reads(codes, begin, place - 3, end, _COOKIE_POLICY, ignores_case)
            or _reads(codes, begin, place - 7, end, _USE, ignores_case)
            or _reads(codes, begin, place - 8, end, _USES, ignores_case)
            or _reads(codes, begin, place - 10, end, _USE_OF, ignores_case)
        ):
            found |= HAS_POLICY
    return found


@kernel
def _reads(
    codes: Codes, begin: int, place: int, end: int, phrase: Codes, ignores_case: bool
) -> bool:
    """Whether a phrase of small letters stands there, in letters of either case, and between
    `begin` and `end`.

    str.lower makes a small letter of ASCII's capitals and of the sign of the kelvin;
    re.IGNORECASE takes three signs more for i and s.
    """
    if place < begin or end - place < len(phrase):
        return False
    for i in range(len(phrase)):
        code: Integer = lower(np.int64(codes[place + i]))
        if code > 0x7F:
            if code == _KELVIN:
                code = _K
            elif ignores_case and code in (0x130, 0x131):
                code = 0x69
            elif ignores_case and code == 0x17F:
                code = 0x73
        if code != phrase[i]:
            return False
    return True


@kernel
def citation_chars(codes: Codes, kinds: Codes | Bytes, digit: int, place: int, end: int) -> int:
    """Characters of the citation mark at `place`: [1], [], [edit] or [citation needed]; or 0.

    `digit` is the bit of `kinds` that decimal digits (str.isdecimal) have.
    """
    if codes[place] != _OPEN:
        return 0
    stop = place + 1
    while stop < end and np.int64(kinds[stop]) & digit:
        stop += 1
    if stop < end and codes[stop] == _CLOSE:
        return stop + 1 - place
    for mark in (_EDIT, _NEEDED):
        i = 0
        while i < len(mark) and place + i < end and codes[place + i] == mark[i]:
            i += 1
        if i == len(mark):
            return i
    return 0
