"""The words that datatrove counts in English: tokens of spaCy's rule-based tokenizer.

datatrove splits English by `spacy.blank("en")`. Its rules, stated in spaCy's documentation
("How spaCy's tokenizer works"): text is parted at white space; from each chunk prefixes and
suffixes are cut off, one at a time, unless what is left is an exception (don't, p.m., :-));
what is left is one token if it is a URL, else it is parted at infixes; last, tokens that make up an
exception are joined or parted as it says. (spaCy takes a neighbouring chunk into that last step:
"= (:x" hides the smile. Here each chunk is by itself.)

Invariants: tokens are disjoint, in text order, and cover all characters but single spaces; white
space beyond a single space is a token too, marked IS_SPACE, which datatrove strips and so is no
word, but the sentencizer sees it. A text has at most as many tokens as characters. Time is linear
in characters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Bytes, Counts, Integer, inline_kernel, kernel
from bessemer.text.datatrove.addresses import is_url
from bessemer.text.datatrove.affixes import infix_chars, prefix_chars, suffix_chars
from bessemer.text.datatrove.decoded import Text, is_any
from bessemer.text.datatrove.exceptions import find_affixed, find_exception
from bessemer.text.datatrove.tables import (
    ALPHA,
    ICON,
    INFIX,
    LETTER,
    MAX_EXCEPTION_PIECES,
    PREFIX,
    PUNCT,
    PUNCTUATION,
    SENTENCE_END,
    SPACE,
    SUFFIX,
    Tables,
)

IS_SPACE = 1  # white space: no word
IS_SYMBOL = 2  # of datatrove's punctuation alone
HAS_LETTER = 4
IS_PUNCT = 8  # of general categories P* alone
ENDS_SENTENCE = 16  # one sign that ends sentences

_PLAIN = ALPHA | LETTER  # of nothing else: a word by itself, unless it is an exception
_AFFIXES = PREFIX | SUFFIX | ICON
_DOT = 0x2E
_MAX_JOINED_TOKENS = 5


class Tokens(NamedTuple):
    """The tokens of one text, a row each; longer arrays are scratch beyond the last."""

    begins: Counts  # int32, first character of the token within the text
    ends: Counts  # int32, the character behind it
    marks: Bytes  # uint8, a sum of the constants above


@njit(cache=True, nogil=True)
def empty_tokens(num_chars: int) -> Tokens:
    """Scratch for the tokens of one text; memory is touched only as tokens fill it."""
    return Tokens(
        np.empty(num_chars + 1, np.int32),
        np.empty(num_chars + 1, np.int32),
        np.empty(num_chars + 1, np.uint8),
    )


@kernel
def find_tokens(
    text: Text, num_chars: int, tables: Tables, scratch_suffixes: Counts, out: Tokens
) -> int:
    """Fill `out` with the tokens of `text`; return their number.

    `scratch_suffixes` has as many places as the text has characters.
    """
    num_tokens = 0
    last = 0
    while last < num_chars:
        first = last
        is_space = is_any(text, first, SPACE)
        if is_space and text.codes[first] == 0x20 and first:
            first += 1  # one space parts chunks and is no token
            last = first
        seen: Integer = 0
        common = np.int64(~0)
        while last < num_chars and is_any(text, last, SPACE) == is_space:
            kind = np.int64(text.kinds[np.uint64(last)])
            seen |= kind
            common &= kind
            last += 1
        before = num_tokens
        if is_space:
            if first < last:
                num_tokens = _append(out, num_tokens, first, last)
        elif (
            common & _PLAIN == _PLAIN
            and not seen & _AFFIXES
            and find_exception(text, first, last, tables) < 0
        ):
            out.marks[num_tokens] = HAS_LETTER
            num_tokens = _append(out, num_tokens, first, last)
            continue
        else:
            num_tokens = _split(text, first, last, seen, tables, scratch_suffixes, out, num_tokens)
        for token in range(before, num_tokens):
            out.marks[token] = _mark(text, out.begins[token], out.ends[token])
    return num_tokens


@kernel
def _append(out: Tokens, num_tokens: int, first: int, last: int) -> int:
    out.begins[num_tokens], out.ends[num_tokens] = first, last
    return num_tokens + 1


@inline_kernel
def _mark(text: Text, first: int, last: int) -> int:
    """The marks of the token of characters `first` to `last`."""
    seen: Integer = 0
    common = np.int64(~0)
    for i in range(first, last):
        kind = np.int64(text.kinds[i])
        seen |= kind
        common &= kind
    marks = 0
    if common & SPACE:
        marks |= IS_SPACE
    if common & PUNCTUATION:
        marks |= IS_SYMBOL
    if common & PUNCT:
        marks |= IS_PUNCT
    if seen & LETTER:
        marks |= HAS_LETTER
    if last - first == 1 and common & SENTENCE_END:
        marks |= ENDS_SENTENCE
    return marks


@inline_kernel
def _split(
    text: Text,
    first: int,
    last: int,
    seen: Integer,
    tables: Tables,
    suffixes: Counts,
    out: Tokens,
    num_before: int,
) -> int:
    """Append the tokens of one chunk; `seen` is what its characters are together.

    Returns the number of tokens in all.
    """
    num_tokens = num_before
    num_suffixes = 0
    has_infix = False
    exception = find_exception(text, first, last, tables)
    while exception < 0 and first < last:
        prefix = prefix_chars(text, first, last)
        if prefix:
            exception = find_exception(text, first + prefix, last, tables)
            if exception >= 0:
                num_tokens = _append(out, num_tokens, first, first + prefix)
                first += prefix
                break
        suffix = suffix_chars(text, first + prefix, last, seen, tables)
        if suffix:
            exception = find_exception(text, first, last - suffix, tables)
        if not prefix and not suffix:
            break
        if prefix and exception < 0:
            num_tokens = _append(out, num_tokens, first, first + prefix)
            first += prefix
        if suffix:
            suffixes[num_suffixes] = suffix
            num_suffixes += 1
            last -= suffix
        if exception < 0 and prefix:  # without one, what is left was looked up above
            exception = find_exception(text, first, last, tables)
    if exception >= 0:
        num_tokens = _write_pieces(tables, exception, first, out, num_tokens)
    elif first < last:
        num_whole = num_tokens + 1
        num_tokens = _split_infixes(text, first, last, out, num_tokens)
        has_infix = num_tokens > num_whole
    for i in range(num_suffixes - 1, -1, -1):
        num_tokens = _append(out, num_tokens, last, last + suffixes[i])
        last += suffixes[i]
    # The whole chunk, and what was left between affixes, were looked up above.
    if num_tokens - num_before > 2 or has_infix:
        shortest = 1 if has_infix else 2
        num_tokens = _put_together(text, num_before, num_tokens, shortest, tables, suffixes, out)
    return num_tokens


@kernel
def _write_pieces(tables: Tables, exception: int, first: int, out: Tokens, num_tokens: int) -> int:
    for i in range(MAX_EXCEPTION_PIECES):
        length = int(tables.pieces[exception, i])
        if length:
            num_tokens = _append(out, num_tokens, first, first + length)
            first += length
    return num_tokens


@kernel
def _split_infixes(text: Text, first: int, last: int, out: Tokens, num_before: int) -> int:
    """Append the tokens between the infixes, and these; one token if there are none, or a URL."""
    num_tokens = num_before
    start = place = first
    has_dot = False
    while place < last:
        has_dot |= text.codes[place] == _DOT
        length = 0
        if is_any(text, place, INFIX | ICON):
            length = infix_chars(text, place, first, last)
        if length and place > first:
            if place > start:
                num_tokens = _append(out, num_tokens, start, place)
            num_tokens = _append(out, num_tokens, place, place + length)
            start = place + length
        place += max(1, length)
    if num_tokens > num_before and has_dot and is_url(text, first, last):
        num_tokens = num_before
        start = first
    if start < last:
        num_tokens = _append(out, num_tokens, start, last)
    return num_tokens


@kernel
def _put_together(
    text: Text,
    num_before: int,
    num_tokens: int,
    shortest: int,
    tables: Tables,
    scratch_begins: Counts,
    out: Tokens,
) -> int:
    """Make neighbours that spell an exception what it says, the longest first; the number of all.

    From `shortest` neighbours on to all but one. spaCy does so with those exceptions alone that its
    affixes would take apart. The tokens of a chunk leave no gap, so where they begin is enough.
    """
    last = out.ends[num_tokens - 1]
    for length in range(min(_MAX_JOINED_TOKENS, num_tokens - num_before - 1), shortest - 1, -1):
        token = num_before
        while token + length <= num_tokens and (
            find_affixed(text, out.begins[token], out.ends[token + length - 1], tables) < 0
        ):
            token += 1
        if token + length > num_tokens:
            continue  # as it is with most
        count = num_tokens - token
        for i in range(count):
            scratch_begins[i] = out.begins[token + i]
        scratch_begins[count] = last
        num_tokens = token
        i = 0
        while i < count:
            begin = scratch_begins[i]
            exception = -1
            if i + length <= count:
                exception = find_affixed(text, begin, scratch_begins[i + length], tables)
            if exception >= 0:
                num_tokens = _write_pieces(tables, exception, begin, out, num_tokens)
                i += length
            else:
                num_tokens = _append(out, num_tokens, begin, scratch_begins[i + 1])
                i += 1
    return num_tokens
