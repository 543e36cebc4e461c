"""C4's line rules as datatrove applies them, and FineWeb's measures of what they leave.

Definitions are those of `C4QualityFilter` in datatrove 0.10.1. Lines are those of str.splitlines,
stripped. A line is taken out if it has a word longer than MAX_WORD_CHARS or fewer words than
MIN_LINE_WORDS (both in `c4_lines`), if it names JavaScript or a policy, or (where that is asked
for) if it does not end in terminal punctuation. Marks of citations are taken out of lines. The
default of datatrove asks for terminal punctuation; FineWeb, which uses the same filter, does not.

As every line end is white space, the words of a line that stays are among those of the text; only a
line with a citation in it is split anew.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Counts, kernel
from bessemer.text.c4_phrases import (
    HAS_BRACKET,
    HAS_CURLY,
    HAS_JAVASCRIPT,
    HAS_LOREM,
    find_phrases,
)
from bessemer.text.datatrove.c4_lines import (
    copy_without_citations,
    ends_sentence,
    has_citation,
    has_words,
    next_line,
)
from bessemer.text.datatrove.decoded import Text, empty_text, hash_between
from bessemer.text.datatrove.fineweb import SHORT_LINE_CHARS
from bessemer.text.datatrove.tables import SPACE, TERMINAL, Tables
from bessemer.text.datatrove.tokens import (
    ENDS_SENTENCE,
    IS_PUNCT,
    IS_SPACE,
    Tokens,
    empty_tokens,
    find_tokens,
)
from bessemer.text.ngram_places import Compared, count_equal

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
    words: Compared,
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
        begin, end, place = next_line(text, place, num_chars)
        while token < num_tokens and tokens.begins[token] < begin:
            token += 1
        first_token = token
        while token < num_tokens and tokens.begins[token] < end:
            token += 1
        if not has_words(text, begin, end):
            continue
        found = find_phrases(text.codes, begin, end, False)
        is_cited = found & HAS_BRACKET and has_citation(text, begin, end)
        if is_cited:
            stop = copy_without_citations(text, begin, end, tables, line.text)
            num_line_tokens = find_tokens(line.text, stop, tables, line.suffixes, line.tokens)
            punctuated = ends_sentence(line.text, 0, stop)
            found = find_phrases(line.text.codes, 0, stop, False)
        else:
            punctuated = ends_sentence(text, begin, end)
        found &= ~HAS_BRACKET
        if found & HAS_LOREM:
            lorem += 1
            lorem_punctuated += punctuated
        elif found & HAS_CURLY and not found & HAS_JAVASCRIPT:
            curly += 1
            curly_punctuated += punctuated
        if found:
            continue

        leading = 0
        last_trailing = trailing
        trailing = 0
        if is_cited:
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
    _, out_fineweb["dup_line_chars"] = count_equal(words.keys, words.sizes, kept, words)


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
