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
# What the phrases begin with: two letters each, and what re.IGNORECASE takes for "us".
_JA, _LO, _TE, _PR, _CO, _US = 0x6A61, 0x6C6F, 0x7465, 0x7072, 0x636F, 0x7573
_US_LONG = 0x7500 ^ 0x17F  # with a long s


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
    for place in range(begin, end - 1):
        # The bit that makes capitals small makes [ a curly bracket.
        first = codes[place] | np.uint32(0x20)
        if first == _CURLY:
            found |= HAS_CURLY if codes[place] == _CURLY else HAS_BRACKET
        # A pair of letters is rarer than one, so the processor guesses right that it is none. No
        # sign but a letter and its capital give a small letter; what follows is read as it is.
        pair = first << np.uint32(8) ^ (codes[place + 1] | np.uint32(0x20))
        if pair in (_US, _US_LONG):
            for phrase in (_USES, _USE_OF, _USE):
                if _reads(codes, place, end, phrase, ignores_case):
                    found |= HAS_POLICY
        elif pair == _JA:
            if _reads(codes, place, end, _JAVASCRIPT, ignores_case):
                found |= HAS_JAVASCRIPT
        elif pair == _LO:
            if _reads(codes, place, end, _LOREM, False):
                found |= HAS_LOREM
        elif (
            (pair == _TE and _reads(codes, place, end, _TERMS, ignores_case))
            or (pair == _PR and _reads(codes, place, end, _PRIVACY, ignores_case))
            or (pair == _CO and _reads(codes, place, end, _COOKIE_POLICY, ignores_case))
        ):
            found |= HAS_POLICY
    if begin < end:  # the last sign, which is in no pair
        found |= HAS_CURLY if codes[end - 1] == _CURLY else 0
        found |= HAS_BRACKET if codes[end - 1] == _OPEN else 0
    return found


@kernel
def _reads(codes: Codes, place: int, end: int, phrase: Codes, ignores_case: bool) -> bool:
    """Whether a phrase of small letters stands there, in letters of either case.

    str.lower makes a small letter of ASCII's capitals and of the sign of the kelvin;
    re.IGNORECASE takes three signs more for i and s.
    """
    if end - place < len(phrase):
        return False
    for i in range(len(phrase)):
        code: Integer = lower(np.int64(codes[place + i]))
        if code > 0x7F:
            if code == 0x212A:
                code = 0x6B
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
