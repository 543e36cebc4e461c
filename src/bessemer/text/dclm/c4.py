"""C4's rules as DCLM applies them.

Definitions are those of mlfoundations/dclm at 361714b: the steps before deduplication in
baselines/baselines_configs/c4.yaml, of baselines/mappers. Lines are parted at line feeds alone. A
line is taken out if a word of it is longer than MAX_WORD_CHARS; citation marks are taken out of the
others; then lines go that do not end in one of . ! ? " (or end in three full stops), that have
fewer than MIN_LINE_WORDS words, or that name JavaScript or a policy. Empty lines stay, also those
that were a citation mark alone; white space goes from both ends of what is left.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import Codes, Counts, Integer, kernel, read_only
from bessemer.text.dclm.decoded import Text, move
from bessemer.text.string_classes import BLANK, DECIMAL

MAX_WORD_CHARS = 1000
MIN_LINE_WORDS = 5
_POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies",
    "use cookies",
)  # fmt: skip
_NEWLINE, _DOT, _ELLIPSIS, _OPEN, _CLOSE, _CURLY = 0x0A, 0x2E, 0x2026, 0x5B, 0x5D, 0x7B

STAYS = 1
HAS_LOREM = 2  # and came so far that DCLM looks for it
HAS_CURLY = 4
_JAVASCRIPT, _POLICY = 8, 16
# What the phrases begin with: two letters each, and what re.IGNORECASE takes for "us".
_JA, _LO, _TE, _PR, _CO, _US = 0x6A61, 0x6C6F, 0x7465, 0x7072, 0x636F, 0x7573
_US_LONG = 0x7500 ^ 0x17F  # with a long s

C4_COUNTS = np.dtype(
    [(name, np.int64) for name in ("chars", "lorem_lines", "curly_lines", "sentences")]
)


def _codes(text: str) -> Codes:
    return read_only(np.array([ord(char) for char in text], np.uint32))


_EDIT, _NEEDED = _codes("[edit]"), _codes("[citation needed]")
_LOREM, _SCRIPT = _codes("lorem ipsum"), _codes("javascript")
_TERMS, _PRIVACY, _COOKIE_POLICY, _USES, _USE_OF, _USE = map(_codes, _POLICIES)


@kernel
def take_out_lines(text: Text, num_chars: int, out: np.void) -> int:
    """Move the lines that stay to the front, joined by line feeds; return the characters left.

    White space at both ends of what is left is still there. Writes into `out` the characters there
    were, and the lines for which DCLM drops a text.
    """
    num_left = lorem_lines = curly_lines = 0
    is_first = True
    begin = 0
    while begin <= num_chars:
        end = begin
        while end < num_chars and text.codes[end] != _NEWLINE:
            end += 1
        stop, marks = _judge(text, begin, end)
        lorem_lines += marks & HAS_LOREM != 0
        curly_lines += marks & HAS_CURLY != 0
        if marks & STAYS:
            if not is_first:  # the line feed before this line is behind all that was moved
                move(text, begin - 1, num_left)
                num_left += 1
            is_first = False
            if num_left < begin:
                for place in range(begin, stop):
                    move(text, place, num_left + place - begin)
            num_left += stop - begin
        begin = end + 1
    out["chars"] = num_chars
    out["lorem_lines"] = lorem_lines
    out["curly_lines"] = curly_lines
    return num_left


@kernel
def list_kept(
    text: Text, num_left: int, out_begins: Counts, out_ends: Counts, out_lines: Counts
) -> int:
    """Write the stretches of bytes that are left, and the line of each; return their number."""
    num_kept = num_lines = 0
    is_begun = False
    for place in range(num_left):
        code = text.codes[place]
        if code == _NEWLINE:
            num_lines += 1
            is_begun = False
            continue
        first = text.places[place]
        if not is_begun or out_ends[num_kept - 1] != first:
            out_begins[num_kept], out_lines[num_kept] = first, num_lines
            num_kept += 1
            is_begun = True
        width = 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
        out_ends[num_kept - 1] = first + width
    return num_kept


@kernel
def _judge(text: Text, begin: int, end: int) -> tuple[int, int]:
    """Take citation marks out of a line, in place; where it ends then, and its marks."""
    num_words, longest, has_bracket = _measure_words(text, begin, end)
    if longest > MAX_WORD_CHARS:
        return end, 0
    if has_bracket:
        end = _without_citations(text, begin, end)
        num_words, _, _ = _measure_words(text, begin, end)
    if begin == end:
        return end, STAYS
    if num_words < MIN_LINE_WORDS or not _ends_sentence(text, begin, end):
        return end, 0
    found = _phrases(text.codes, begin, end)
    marks = found & HAS_LOREM
    if not found & _JAVASCRIPT:
        marks |= found & HAS_CURLY
        if not found & _POLICY:
            marks |= STAYS
    return end, marks


@kernel
def _measure_words(text: Text, begin: int, end: int) -> tuple[int, int, bool]:
    """Words between white space, the characters of the longest, and whether [ is in one."""
    num_words = longest = size = 0
    has_bracket = False
    for place in range(begin, end):
        if np.int64(text.kinds[place]) & BLANK:
            longest = max(longest, size)
            size = 0
        else:
            num_words += size == 0
            size += 1
            has_bracket |= text.codes[place] == _OPEN
    return num_words, max(longest, size), has_bracket


@kernel
def _without_citations(text: Text, begin: int, end: int) -> int:
    """Close the gaps that [1], [], [edit] and [citation needed] leave; return the line's end."""
    target = place = begin
    while place < end:
        cited = _citation(text, place, end)
        if cited == 0:
            move(text, place, target)
            target += 1
        place += max(1, cited)
    return target


@kernel
def _citation(text: Text, place: int, end: int) -> int:
    """Characters of the citation mark that stands there, 0 if there is none."""
    if text.codes[place] != _OPEN:
        return 0
    stop = place + 1
    while stop < end and np.int64(text.kinds[stop]) & DECIMAL:
        stop += 1
    if stop < end and text.codes[stop] == _CLOSE:
        return stop + 1 - place
    for mark in (_EDIT, _NEEDED):
        i = 0
        while i < len(mark) and place + i < end and text.codes[place + i] == mark[i]:
            i += 1
        if i == len(mark):
            return i
    return 0


@kernel
def _ends_sentence(text: Text, begin: int, end: int) -> bool:
    """Whether the last sign of a line that is no white space is . ! ? ", but not the end of ..."""
    last = end - 1
    while last >= begin and np.int64(text.kinds[last]) & BLANK:
        last -= 1
    if last < begin:
        return False
    code = text.codes[last]
    if code == _DOT:
        return not (
            last - begin >= 2 and text.codes[last - 1] == _DOT and text.codes[last - 2] == _DOT
        )
    return code in (0x21, 0x3F, 0x22)


@kernel
def _phrases(codes: Codes, begin: int, end: int) -> int:
    """What the line contains: a sum of the constants above."""
    found = 0
    for place in range(begin, end - 1):
        found |= HAS_CURLY if codes[place] == _CURLY else 0
        # A pair of letters is rarer than one, so the processor guesses right that it is none. No
        # sign but a letter and its capital give a small letter; what follows is read as it is.
        pair = (codes[place] | np.uint32(0x20)) << np.uint32(8) ^ (
            codes[place + 1] | np.uint32(0x20)
        )
        if pair in (_US, _US_LONG):
            for phrase in (_USES, _USE_OF, _USE):
                if _reads(codes, place, end, phrase, True):
                    found |= _POLICY
        elif pair == _JA:
            if _reads(codes, place, end, _SCRIPT, True):
                found |= _JAVASCRIPT
        elif pair == _LO:
            if _reads(codes, place, end, _LOREM, False):
                found |= HAS_LOREM
        elif (
            (pair == _TE and _reads(codes, place, end, _TERMS, True))
            or (pair == _PR and _reads(codes, place, end, _PRIVACY, True))
            or (pair == _CO and _reads(codes, place, end, _COOKIE_POLICY, True))
        ):
            found |= _POLICY
    return found  # the last sign of a line that ends a sentence is no curly bracket


@kernel
def _reads(codes: Codes, place: int, end: int, phrase: Codes, ignores_case: bool) -> bool:
    """Whether a phrase of small letters stands there, in letters of either case.

    `ignores_case` is that of re.IGNORECASE, which takes four signs more for i, s and k than
    str.lower does.
    """
    if end - place < len(phrase):
        return False
    for i in range(len(phrase)):
        code: Integer = np.int64(codes[place + i])
        if 0x41 <= code <= 0x5A:
            code += 0x20
        elif ignores_case and code > 0x7F:
            if code in (0x130, 0x131):
                code = 0x69
            elif code == 0x17F:
                code = 0x73
            elif code == 0x212A:
                code = 0x6B
        if code != phrase[i]:
            return False
    return True
