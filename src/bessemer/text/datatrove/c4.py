"""C4's line rules as datatrove applies them, and FineWeb's measures of what they leave.

Definitions are those of `C4QualityFilter` in datatrove 0.10.1. Lines are those of str.splitlines,
stripped. A line is taken out if a word of it is longer than MAX_WORD_CHARS, if it has fewer than
MIN_LINE_WORDS words, names JavaScript or a policy, or (where that is asked for) does not end in
terminal punctuation. Marks of citations are taken out of lines. The default of datatrove asks for
terminal punctuation; FineWeb, which uses the same filter, does not.

As every line end is white space, the words of a line that stays are among those of the text; only a
line with a citation in it is split anew.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Codes, Counts, kernel
from bessemer.text.datatrove.decoded import Text, empty_text, hash_between, put
from bessemer.text.datatrove.fineweb import SHORT_LINE_CHARS
from bessemer.text.datatrove.tables import (
    DECIMAL,
    LINE_END,
    PHRASE_START,
    SPACE,
    TERMINAL,
    Tables,
)
from bessemer.text.datatrove.tokens import (
    ENDS_SENTENCE,
    IS_PUNCT,
    IS_SPACE,
    Tokens,
    empty_tokens,
    find_tokens,
)
from bessemer.text.ngram_places import Words, count_equal

MAX_WORD_CHARS = 1000
MIN_LINE_WORDS = 3
_POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies",
    "use cookies",
)  # fmt: skip
_NEWLINE, _CARRIAGE_RETURN, _OPEN, _CLOSE, _CURLY, _DOT = 0x0A, 0x0D, 0x5B, 0x5D, 0x7B, 0x2E


def _codes(text: str) -> Codes:
    return np.array([ord(char) for char in text], np.uint32)


_EDIT, _NEEDED = _codes("[edit]"), _codes("[citation needed]")
_LOREM, _JAVASCRIPT = _codes("lorem ipsum"), _codes("javascript")
_TERMS, _PRIVACY, _COOKIE_POLICY, _USES, _USE_OF, _USE = map(_codes, _POLICIES)
_HAS_LOREM, _HAS_JAVASCRIPT, _HAS_CURLY, _HAS_POLICY, _HAS_BRACKET = 1, 2, 4, 8, 16

C4_COUNTS = np.dtype(
    [
        (f"{name}_{variant}", np.int64)
        for variant in ("punctuated", "all")
        for name in ("sentences", "lorem_lines", "curly_lines")
    ]
)
"""Of lines in terminal punctuation alone (C4, datatrove's default), and of all (FineWeb's use)."""


class Line(NamedTuple):
    """Scratch for a line without its citations."""

    text: Text
    tokens: Tokens
    suffixes: Counts


@njit(cache=True, nogil=True)
def empty_line(num_chars: int) -> Line:
    """Scratch for a line of so many characters."""
    return Line(empty_text(num_chars), empty_tokens(num_chars), np.empty(num_chars + 1, np.int32))


@kernel
def count_c4(
    text: Text,
    num_chars: int,
    tokens: Tokens,
    num_tokens: int,
    tables: Tables,
    line: Line,
    words: Words,
    out: np.void,
    out_fineweb: np.void,
) -> None:
    """Count what C4 decides by, and FineWeb's counts of the lines that stay (joined, stripped)."""
    sentences = sentences_punctuated = 0
    lorem = lorem_punctuated = curly = curly_punctuated = 0
    kept = kept_chars = kept_words = newlines = punct_lines = short_lines = 0
    blank_lines = blank_chars = trailing = 0
    token = 0
    place = 0
    while place < num_chars:
        begin, end, place = _next_line(text, place, num_chars)
        while token < num_tokens and tokens.begins[token] < begin:
            token += 1
        first_token = token
        while token < num_tokens and tokens.begins[token] < end:
            token += 1
        if not _has_words(text, begin, end):
            continue
        found = _phrases(text, begin, end)
        has_citation = found & _HAS_BRACKET and _has_citation(text, begin, end)
        if has_citation:
            stop = _copy_without_citations(text, begin, end, tables, line.text)
            num_line_tokens = find_tokens(line.text, stop, tables, line.suffixes, line.tokens)
            punctuated = _ends_sentence(line.text, 0, stop)
            found = _phrases(line.text, 0, stop)
        else:
            punctuated = _ends_sentence(text, begin, end)
        found &= ~_HAS_BRACKET
        if found & _HAS_LOREM:
            lorem += 1
            lorem_punctuated += punctuated
        elif found & _HAS_CURLY and not found & _HAS_JAVASCRIPT:
            curly += 1
            curly_punctuated += punctuated
        if found:
            continue

        leading = 0
        last_trailing = trailing
        trailing = 0
        if has_citation:
            num_sentences, num_words = _count_sentences(line.tokens, 0, num_line_tokens)
            size = stop
            while trailing < size and np.int64(line.text.kinds[size - 1 - trailing]) & SPACE:
                trailing += 1
            is_blank = trailing == size
            if not kept:  # what stands at the ends of the whole text is stripped
                while leading < size and np.int64(line.text.kinds[leading]) & SPACE:
                    leading += 1
            kind = np.int64(line.text.kinds[stop - 1]) if size else 0
            key = hash_between(line.text, leading, stop, tables.powers)
            stripped_key = hash_between(line.text, leading, stop - trailing, tables.powers)
            stripped_kind = 0 if is_blank else np.int64(line.text.kinds[stop - trailing - 1])
            size -= leading
        else:
            num_sentences, num_words = _count_sentences(tokens, first_token, token)
            size = end - begin
            is_blank = False
            kind = stripped_kind = np.int64(text.kinds[end - 1])
            key = stripped_key = hash_between(text, begin, end, tables.powers)
        sentences += num_sentences
        if punctuated:
            sentences_punctuated += num_sentences
        if is_blank:
            trailing = last_trailing
            if kept:
                blank_lines += 1
                blank_chars += size
            continue
        newlines += blank_lines + (kept > 0)
        kept_chars += blank_chars + size
        blank_lines = blank_chars = 0
        words.keys[kept] = key
        words.sizes[kept] = size
        kept += 1
        kept_words += num_words
        punct_lines += kind & TERMINAL != 0
        short_lines += size <= SHORT_LINE_CHARS
        last_key, last_size = stripped_key, size - trailing
        last_kind, last_stripped_kind = kind, stripped_kind
    if kept and trailing:
        words.keys[kept - 1] = last_key
        words.sizes[kept - 1] = last_size
        kept_chars -= trailing
        punct_lines += (last_stripped_kind & TERMINAL != 0) - (last_kind & TERMINAL != 0)
        short_lines += (last_size <= SHORT_LINE_CHARS) - (last_size + trailing <= SHORT_LINE_CHARS)
    out["sentences_all"], out["sentences_punctuated"] = sentences, sentences_punctuated
    out["lorem_lines_all"], out["lorem_lines_punctuated"] = lorem, lorem_punctuated
    out["curly_lines_all"], out["curly_lines_punctuated"] = curly, curly_punctuated
    out_fineweb["chars"] = kept_chars + newlines
    out_fineweb["words"] = kept_words
    out_fineweb["newlines"] = newlines
    out_fineweb["lines"] = kept
    out_fineweb["punct_lines"] = punct_lines
    out_fineweb["short_lines"] = short_lines
    _, out_fineweb["dup_line_chars"] = count_equal(words, kept)


@kernel
def list_kept(
    text: Text,
    num_chars: int,
    needs_punctuation: bool,
    tables: Tables,
    line: Line,
    out_begins: Counts,
    out_ends: Counts,
    out_lines: Counts,
) -> int:
    """Write what C4 keeps of a text: stretches of characters, and the number of the line of each.

    A line has a stretch more than citations in it. Returns the number of stretches, of which a text
    has no more than characters and one.
    """
    num_kept = num_lines = 0
    place = 0
    while place < num_chars:
        begin, end, place = _next_line(text, place, num_chars)
        if not _has_words(text, begin, end):
            continue
        stop = _copy_without_citations(text, begin, end, tables, line.text)
        if needs_punctuation and not _ends_sentence(line.text, 0, stop):
            continue
        if _phrases(line.text, 0, stop) & ~_HAS_BRACKET:
            continue
        while begin < end:
            first = begin
            cited = 0
            while begin < end and cited == 0:
                cited = _citation(text, begin, end)
                begin += cited == 0
            if begin > first:
                out_begins[num_kept], out_ends[num_kept] = first, begin
                out_lines[num_kept] = num_lines
                num_kept += 1
            begin += cited
        num_lines += 1
    return num_kept


@kernel
def _next_line(text: Text, place: int, num_chars: int) -> tuple[int, int, int]:
    """The line that begins at `place`, stripped, and where the next one begins."""
    begin = place
    while place < num_chars and not np.int64(text.kinds[place]) & LINE_END:
        place += 1
    end = place
    place += 1
    if (
        place < num_chars
        and text.codes[place - 1] == _CARRIAGE_RETURN
        and text.codes[place] == _NEWLINE
    ):
        place += 1
    while begin < end and np.int64(text.kinds[begin]) & SPACE:
        begin += 1
    while end > begin and np.int64(text.kinds[end - 1]) & SPACE:
        end -= 1
    return begin, end, place


@kernel
def _count_sentences(tokens: Tokens, first: int, last: int) -> tuple[int, int]:
    """Sentences of a line as spaCy's sentencizer parts them, and its words.

    A sentence ends with a sign that ends sentences and what punctuation follows it; one of white
    space alone is none.
    """
    sentences = num_words = 0
    is_ended = is_begun = False
    for token in range(first, last):
        marks = np.int64(tokens.marks[token])
        ends = marks & ENDS_SENTENCE != 0
        if is_ended and not marks & IS_PUNCT and not ends:
            sentences += is_begun
            is_begun = is_ended = False
        is_ended |= ends
        if not marks & IS_SPACE:
            is_begun = True
            num_words += 1
    return sentences + is_begun, num_words


@kernel
def _has_words(text: Text, begin: int, end: int) -> bool:
    """Whether the line has MIN_LINE_WORDS words between white space, and none that is too long."""
    num_words = size = 0
    for place in range(begin, end):
        if np.int64(text.kinds[place]) & SPACE:
            size = 0
            continue
        num_words += size == 0
        size += 1
        if size > MAX_WORD_CHARS:
            return False
        if num_words >= MIN_LINE_WORDS and end - place + size <= MAX_WORD_CHARS:
            return True  # no word that is still to come can be too long
    return num_words >= MIN_LINE_WORDS


@kernel
def _citation(text: Text, place: int, end: int) -> int:
    """Characters of the citation mark that stands there: [1], [], [edit] or [citation needed]."""
    if text.codes[place] != _OPEN:
        return 0
    stop = place + 1
    while stop < end and np.int64(text.kinds[stop]) & DECIMAL:
        stop += 1
    if stop < end and text.codes[stop] == _CLOSE:
        return stop + 1 - place
    if _stands_at(text, place, end, _EDIT):
        return len(_EDIT)
    return len(_NEEDED) if _stands_at(text, place, end, _NEEDED) else 0


@kernel
def _has_citation(text: Text, begin: int, end: int) -> bool:
    place = begin
    while place < end and _citation(text, place, end) == 0:
        place += 1
    return place < end


@kernel
def _copy_without_citations(text: Text, begin: int, end: int, tables: Tables, out: Text) -> int:
    """Copy a line without its citations; return its length."""
    out.hashes[0] = np.uint64(0)
    num_out = 0
    place = begin
    while place < end:
        cited = _citation(text, place, end)
        if cited == 0:
            num_out = put(out, num_out, text.codes[place], tables)
        place += max(1, cited)
    return num_out


@kernel
def _stands_at(text: Text, place: int, end: int, phrase: Codes) -> bool:
    """Whether a phrase of small letters and signs stands there as it is."""
    i = 0
    while i < len(phrase) and place + i < end and text.codes[place + i] == phrase[i]:
        i += 1
    return i == len(phrase)


@kernel
def _ends_sentence(text: Text, begin: int, end: int) -> bool:
    """Whether a line ends in one of . ? ! and quotation marks, but not in three full stops."""
    if begin == end or text.codes[end - 1] not in (_DOT, 0x3F, 0x21, 0x22, 0x27):
        return False
    return not (
        end - begin >= 3
        and text.codes[end - 1] == _DOT
        and text.codes[end - 2] == _DOT
        and text.codes[end - 3] == _DOT
    )


@kernel
def _phrases(text: Text, begin: int, end: int) -> int:
    """What the line contains, in letters of either case: a sum of the constants above."""
    found = 0
    for place in range(begin, end):
        if not np.int64(text.kinds[place]) & PHRASE_START:
            continue
        code = _lower(text.codes[place])
        if code == _CURLY:
            found |= _HAS_CURLY
        elif code == _OPEN:
            found |= _HAS_BRACKET
        elif code == 0x6C:  # l
            if _reads(text, place, end, _LOREM):
                found |= _HAS_LOREM
        elif code == 0x6A:  # j
            if _reads(text, place, end, _JAVASCRIPT):
                found |= _HAS_JAVASCRIPT
        elif code == 0x75:  # u
            if (
                _reads(text, place, end, _USES)
                or _reads(text, place, end, _USE_OF)
                or _reads(text, place, end, _USE)
            ):
                found |= _HAS_POLICY
        elif (
            (code == 0x74 and _reads(text, place, end, _TERMS))
            or (code == 0x70 and _reads(text, place, end, _PRIVACY))
            or (code == 0x63 and _reads(text, place, end, _COOKIE_POLICY))
        ):
            found |= _HAS_POLICY
    return found


@kernel
def _reads(text: Text, place: int, end: int, phrase: Codes) -> bool:
    """Whether a phrase of small letters stands there, in letters of either case."""
    i = 0
    while i < len(phrase) and place + i < end and _lower(text.codes[place + i]) == phrase[i]:
        i += 1
    return i == len(phrase)


@kernel
def _lower(code: np.uint32) -> int:
    """ASCII's capitals, and the sign of the kelvin, as small letters."""
    lowered = int(code)
    if 0x41 <= lowered <= 0x5A:
        lowered += 0x20
    elif lowered == 0x212A:
        lowered = 0x6B
    return lowered
