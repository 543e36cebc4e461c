"""Splits texts into the pretokens within which bytes are merged, in one pass over their UTF-8.

Input: texts as Arrow keeps them, and the rules that a published pattern comes to. Output: the
offsets of all pretokens: those that `tokenizers` finds with the pattern. What kind of character a
code point is, that library itself is asked: its tables of Unicode are not those of Python.

Invariants: pretokens are not empty, follow each other without a gap, and none reaches over the end
of its text. The time is linear in the bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numba import njit
from tokenizers import Regex, decoders

from bessemer.text.buffers import Bytes, Integer, Offsets, read_only
from bessemer.text.characters import APOSTROPHE, NUM_CODE_POINTS, decode
from bessemer.tokens.patterns import DIGITS_SPLIT, PATTERNS

if TYPE_CHECKING:  # numba's decorator says nothing of types
    AnyFunction = TypeVar("AnyFunction", bound=Callable[..., object])

    def kernel(function: AnyFunction) -> AnyFunction: ...

else:
    kernel = njit(cache=True, nogil=True)

UPPER = 1  # Lu, Lt
LOWER = 2  # Ll
UNCASED = 4  # Lm, Lo
MARK = 8  # M
NUMBER = 16  # N
SPACE = 32  # white space
LINE_END = 64  # line feed and carriage return: white space, too
OTHER = 128  # neither letter nor number nor white space; so marks, too

_OTHERS_OF = {
    UPPER: r"[^\p{Lu}\p{Lt}]+",
    LOWER: r"[^\p{Ll}]+",
    UNCASED: r"[^\p{Lm}\p{Lo}]+",
    MARK: r"[^\p{M}]+",
    NUMBER: r"[^\p{N}]+",
    SPACE: r"\S+",
    LINE_END: r"[^\r\n]+",
    OTHER: r"[\s\p{L}\p{N}]+",
}  # class -> what does not belong to it

LETTER = UPPER | LOWER | UNCASED
_NEVER_BEFORE_LETTERS = LETTER | NUMBER | LINE_END
_IN_UPPER, _IN_LOWER = UPPER | UNCASED | MARK, LOWER | UNCASED | MARK

_LINE_FEED, _RETURN, _BLANK, _SLASH = map(ord, "\n\r /")
_D, _E, _L, _M, _R, _S, _T, _V = map(ord, "delmrstv")
_TO_LOWER = 0x20  # the bit that is set in the lower case letters of ASCII
_LONG_S = tuple("ſ".encode())  # an s where case does not matter


class Rules(NamedTuple):
    """What tells one pattern from another."""

    form: int  # one of the three below
    max_digits: int  # of a pretoken that is a number


_GPT2, _GPT4, _O200K = range(3)

RULES = {
    PATTERNS["gpt2"]: Rules(_GPT2, 0),
    DIGITS_SPLIT: Rules(_GPT4, 1),
    PATTERNS["qwen2"]: Rules(_GPT4, 1),
    PATTERNS["cl100k"]: Rules(_GPT4, 3),
    PATTERNS["o200k"]: Rules(_O200K, 3),
}
"""The patterns that are known here."""


@functools.cache
def class_table() -> Bytes:
    """The classes of every code point, as `tokenizers` has them: a sum of the bits above (uint8).

    Surrogates, which are no characters, have none. Takes less than half a second.
    """
    codes = np.arange(NUM_CODE_POINTS, dtype="<u4")
    characters = codes[(codes < 0xD800) | (codes > 0xDFFF)].tobytes().decode("utf-32-le")
    table = np.zeros(NUM_CODE_POINTS, np.uint8)
    for bit, others in _OTHERS_OF.items():
        members = decoders.Replace(Regex(others), "").decode([characters])
        table[np.frombuffer(members.encode("utf-32-le"), "<u4")] |= np.uint8(bit)
    return read_only(table)


@kernel
def split(
    text_offsets: Offsets, data: Bytes, classes: Bytes, rules: Rules
) -> tuple[Offsets, Offsets]:
    """Where the pretokens of some texts are.

    `text_offsets` (int64, one more than texts) and `data` (uint8) are of `utf8_buffers`, `classes`
    of `class_table`. Returns the offsets of the pretokens in `data` (int64, one more than there
    are), and the number of pretokens up to the end of each text (int64).
    """
    offsets = np.empty(text_offsets[-1] - text_offsets[0] + 1, np.int64)
    ends = np.empty(len(text_offsets) - 1, np.int64)
    offsets[0] = text_offsets[0]
    num_pretokens = 0
    for text in range(len(ends)):
        position, end = text_offsets[text], text_offsets[text + 1]
        while position < end:
            if rules.form == _GPT4:
                position = _end_gpt4(data, position, end, classes, rules.max_digits)
            elif rules.form == _GPT2:
                position = _end_gpt2(data, position, end, classes)
            else:
                position = _end_o200k(data, position, end, classes, rules.max_digits)
            num_pretokens += 1
            offsets[num_pretokens] = position
        ends[text] = num_pretokens
    return offsets[: num_pretokens + 1], ends


@kernel
def _end_gpt4(data: Bytes, at: Integer, end: Integer, classes: Bytes, max_digits: int) -> Integer:
    r"""Where the pretoken that begins at `at` ends:

    '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max_digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|
    \s*[\r\n]+|\s+(?!\S)|\s+
    """
    kind, after = _class(data, at, end, classes)
    if kind & LETTER:
        return _run(data, after, end, classes, LETTER)
    if kind & NUMBER:
        return _digits(data, after, end, classes, max_digits - 1)
    if data[at] == APOSTROPHE:
        stop = _contraction(data, after, end)
        if stop > after:
            return stop
    if not kind & _NEVER_BEFORE_LETTERS:
        stop = _run(data, after, end, classes, LETTER)
        if stop > after:
            return stop
    stop = _others(data, at, end, classes)
    return _line_ends(data, stop, end, False) if stop > at else _spaces(data, at, end, classes)


@kernel
def _end_gpt2(data: Bytes, at: Integer, end: Integer, classes: Bytes) -> Integer:
    r"""Where the pretoken that begins at `at` ends:

    '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    """
    if data[at] == APOSTROPHE:
        stop = _lower_contraction(data, at + 1, end)
        if stop > at + 1:
            return stop
    begin = at + 1 if data[at] == _BLANK else at
    for kind in (LETTER, NUMBER, OTHER):
        stop = _run(data, begin, end, classes, kind)
        if stop > begin:
            return stop
    return _blanks(data, at, end, classes)


@kernel
def _end_o200k(data: Bytes, at: Integer, end: Integer, classes: Bytes, max_digits: int) -> Integer:
    r"""Where the pretoken that begins at `at` ends, with C for `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`:

    [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+C|
    [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*C|
    \p{N}{1,max_digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
    """
    kind, after = _class(data, at, end, classes)
    begin = at if kind & _NEVER_BEFORE_LETTERS else after
    stop = _lower_word(data, begin, end, classes)
    if stop == begin and begin > at and kind & MARK:  # not before a word, so in one
        begin = at
        stop = _lower_word(data, at, end, classes)
    if stop == begin:  # what follows letters of the first set would have been a word above
        stop = _run(data, begin, end, classes, _IN_UPPER)
    if stop > begin:
        if stop < end and data[stop] == APOSTROPHE:
            contracted = _contraction(data, stop + 1, end)
            return contracted if contracted > stop + 1 else stop
        return stop
    if kind & NUMBER:
        return _digits(data, after, end, classes, max_digits - 1)
    stop = _others(data, at, end, classes)
    return _line_ends(data, stop, end, True) if stop > at else _spaces(data, at, end, classes)


@kernel
def _lower_word(data: Bytes, at: Integer, end: Integer, classes: Bytes) -> Integer:
    r"""`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`; `at` if there is none.

    Both sets have letters without case and marks: where no lower case letter follows the first run,
    the second one is the last of these.
    """
    last = at  # behind the last character of the first run that is in both sets
    while at < end:
        kind, after = _class(data, at, end, classes)
        if not kind & _IN_UPPER:
            break
        at = after
        if kind & _IN_LOWER:
            last = at
    stop = _run(data, at, end, classes, _IN_LOWER)
    return stop if stop > at else last


@kernel
def _others(data: Bytes, at: Integer, end: Integer, classes: Bytes) -> Integer:
    r"""` ?[^\s\p{L}\p{N}]+`; `at` if there is none."""
    begin = at + 1 if data[at] == _BLANK else at
    stop = _run(data, begin, end, classes, OTHER)
    return stop if stop > begin else at


@kernel
def _spaces(data: Bytes, at: Integer, end: Integer, classes: Bytes) -> Integer:
    r"""`\s*[\r\n]+|\s+(?!\S)|\s+`"""
    last_line_end = at
    position = at
    while position < end:
        kind, after = _class(data, position, end, classes)
        if not kind & SPACE:
            break
        position = after
        if kind & LINE_END:
            last_line_end = position
    return last_line_end if last_line_end > at else _blanks(data, at, end, classes)


@kernel
def _blanks(data: Bytes, at: Integer, end: Integer, classes: Bytes) -> Integer:
    r"""`\s+(?!\S)|\s+`: before a word the last one is left to it, unless it is the only one."""
    before_last = position = at
    while position < end:
        kind, after = _class(data, position, end, classes)
        if not kind & SPACE:
            return before_last if before_last > at else position
        before_last = position
        position = after
    return position


@kernel
def _digits(data: Bytes, at: Integer, end: Integer, classes: Bytes, most: int) -> Integer:
    r"""`\p{N}{0,most}`"""
    for _ in range(most):
        if at == end:
            break
        kind, after = _class(data, at, end, classes)
        if not kind & NUMBER:
            break
        at = after
    return at


@kernel
def _line_ends(data: Bytes, at: Integer, end: Integer, with_slash: bool) -> Integer:
    r"""`[\r\n]*` or `[\r\n/]*`"""
    while at < end and (
        data[at] == _LINE_FEED or data[at] == _RETURN or (with_slash and data[at] == _SLASH)
    ):
        at += 1
    return at


@kernel
def _contraction(data: Bytes, at: Integer, end: Integer) -> Integer:
    """`(?i:[sdmt]|ll|ve|re)`; `at` if there is none."""
    if at + 1 < end and data[at] == _LONG_S[0] and data[at + 1] == _LONG_S[1]:
        return at + 2
    first = data[at] | _TO_LOWER if at < end else 0
    second = data[at + 1] | _TO_LOWER if at + 1 < end else 0
    return at + _contracted(first, second)


@kernel
def _lower_contraction(data: Bytes, at: Integer, end: Integer) -> Integer:
    """`[sdmt]|ll|ve|re`; `at` if there is none."""
    first = data[at] if at < end else 0
    second = data[at + 1] if at + 1 < end else 0
    return at + _contracted(first, second)


@kernel
def _contracted(first: Integer, second: Integer) -> int:
    """Bytes of the contraction that begins with these two, 0 if none does."""
    if first in (_S, _D, _M, _T):
        return 1
    if second == _E and first in (_V, _R):
        return 2
    return 2 if first == _L and second == _L else 0


@kernel
def _run(data: Bytes, at: Integer, end: Integer, classes: Bytes, wanted: int) -> Integer:
    """Where the run of characters of the classes `wanted` that begins at `at` ends."""
    while at < end:
        kind, after = _class(data, at, end, classes)
        if not kind & wanted:
            break
        at = after
    return at


@kernel
def _class(data: Bytes, at: Integer, end: Integer, classes: Bytes) -> tuple[Integer, Integer]:
    """The classes of the character at `at` < `end`, and where the next one begins."""
    lead = np.int64(data[at])
    if lead < 0x80:  # returned at once, or the whole loop is less than half as fast
        return classes[lead], at + 1
    code, width = decode(data, at, end)
    return classes[code], at + width
