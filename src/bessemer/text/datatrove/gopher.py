"""Gopher's quality and repetition measures as datatrove takes them.

Definitions are those of datatrove 0.10.1, `gopher_quality_filter.py` and
`gopher_repetition_filter.py`, of which each is a count or a quotient of two counts here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import kernel
from bessemer.text.datatrove.decoded import Text, hash_between
from bessemer.text.datatrove.tables import COUNTED, LINE_END, SPACE, Tables
from bessemer.text.datatrove.tokens import HAS_LETTER, IS_SPACE, IS_SYMBOL, Tokens
from bessemer.text.gopher import DUPLICATE_NGRAM_WORDS
from bessemer.text.ngram_places import (
    Compared,
    all_places,
    compare_ngrams,
    count_equal,
    go_on,
    keep_repeated,
    most_frequent,
    num_chars_of,
)

_MAX_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)
_DOT, _ELLIPSIS, _HASH, _NEWLINE, _CARRIAGE_RETURN = 0x2E, 0x2026, 0x23, 0x0A, 0x0D
_BULLET, _HYPHEN = 0x2022, 0x2D

GOPHER_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "chars", "words", "real_words", "real_word_chars", "alpha_words", "stop_words",
            "number_signs", "ellipses", "lines", "bullet_lines", "ellipsis_lines",
            "pieces", "dup_pieces", "dup_piece_chars", "paras", "dup_paras", "dup_para_chars",
        )
    ]
)  # fmt: skip


@kernel
def count_words(
    text: Text, tokens: Tokens, num_tokens: int, tables: Tables, words: Compared, out: np.void
) -> int:
    """Fill in the words of the text and what is counted in them; return their number."""
    num_words = real_words = real_word_chars = alpha_words = 0
    stop_words_seen = 0
    for token in range(num_tokens):
        marks = np.int64(tokens.marks[token])
        if marks & IS_SPACE:
            continue
        begin, end = tokens.begins[token], tokens.ends[token]
        size = end - begin
        words.hashes[num_words] = hash_between(text, begin, end, tables.powers)
        words.num_chars[num_words] = size
        if not marks & IS_SYMBOL:
            real_words += 1
            real_word_chars += size
        alpha_words += marks & HAS_LETTER != 0
        if size <= 4:
            for i in range(len(tables.stop_words)):
                if words.hashes[num_words] == tables.stop_words[i]:
                    stop_words_seen |= 1 << i
        num_words += 1
    out["words"] = num_words
    out["real_words"] = real_words
    out["real_word_chars"] = real_word_chars
    out["alpha_words"] = alpha_words
    num_stop_words = 0
    for i in range(len(tables.stop_words)):
        num_stop_words += stop_words_seen >> i & 1
    out["stop_words"] = num_stop_words
    return num_words


@kernel
def count_lines(text: Text, num_chars: int, out: np.void) -> None:
    """Count lines as str.splitlines parts them, and signs in all of the text."""
    number_signs = ellipses = dots = last_dot = 0
    lines = bullet_lines = ellipsis_lines = 0
    begin = 0
    for place in range(num_chars):
        kind = np.int64(text.kinds[place])
        if not kind & COUNTED:
            continue
        code = text.codes[place]
        if code == _DOT:
            dots = dots + 1 if last_dot == place - 1 else 1
            last_dot = place
            ellipses += dots % 3 == 0
        number_signs += code == _HASH
        ellipses += code == _ELLIPSIS
        if kind & LINE_END:
            if code == _NEWLINE and place > 0 and text.codes[place - 1] == _CARRIAGE_RETURN:
                begin = place + 1
                continue  # the second half of one line end
            lines += 1
            bullet_lines += _begins_with_bullet(text, begin, place)
            ellipsis_lines += _ends_with_ellipsis(text, begin, place)
            begin = place + 1
    if begin < num_chars:
        lines += 1
        bullet_lines += _begins_with_bullet(text, begin, num_chars)
        ellipsis_lines += _ends_with_ellipsis(text, begin, num_chars)
    out["chars"] = num_chars
    out["number_signs"] = number_signs
    out["ellipses"] = ellipses
    out["lines"] = lines
    out["bullet_lines"] = bullet_lines
    out["ellipsis_lines"] = ellipsis_lines


@kernel
def _begins_with_bullet(text: Text, begin: int, end: int) -> bool:
    while begin < end and np.int64(text.kinds[begin]) & SPACE:
        begin += 1
    return begin < end and text.codes[begin] in (_BULLET, _HYPHEN)


@kernel
def _ends_with_ellipsis(text: Text, begin: int, end: int) -> bool:
    while end > begin and np.int64(text.kinds[end - 1]) & SPACE:
        end -= 1
    if end > begin and text.codes[end - 1] == _ELLIPSIS:
        return True
    return (
        end - begin >= 3
        and text.codes[end - 1] == _DOT
        and text.codes[end - 2] == _DOT
        and text.codes[end - 3] == _DOT
    )


@kernel
def count_repeats(
    text: Text, num_chars: int, num_newlines: int, tables: Tables, words: Compared, out: np.void
) -> None:
    """Count lines (parted at runs of line feeds) and paragraphs that occurred before.

    A text that begins or ends with a line feed has an empty line there; paragraphs are parted at
    runs of two line feeds or more, after white space at both ends of the text is stripped.
    """
    num_pieces = _part(text, 0, num_chars, num_newlines, 1, tables, words)
    out["pieces"] = num_pieces
    out["dup_pieces"], out["dup_piece_chars"] = count_equal(
        words.keys, words.sizes, num_pieces, words
    )
    begin, end = 0, num_chars
    while begin < end and np.int64(text.kinds[begin]) & SPACE:
        begin += 1
    while end > begin and np.int64(text.kinds[end - 1]) & SPACE:
        end -= 1
    num_paras = _part(text, begin, end, num_newlines, 2, tables, words)
    out["paras"] = num_paras
    out["dup_paras"], out["dup_para_chars"] = count_equal(words.keys, words.sizes, num_paras, words)


@kernel
def _part(
    text: Text,
    begin: int,
    end: int,
    num_newlines: int,
    min_run: int,
    tables: Tables,
    out: Compared,
) -> int:
    """Write hash and length of each part between runs of line feeds; return their number."""
    num_parts = 0
    first = begin
    i = 0
    while i < num_newlines:
        place = text.newlines[i]
        run = 1
        while i + run < num_newlines and text.newlines[i + run] == place + run:
            run += 1
        i += run
        if run >= min_run and begin <= place < end:
            out.keys[num_parts] = hash_between(text, first, place, tables.powers)
            out.sizes[num_parts] = place - first
            num_parts += 1
            first = place + run
    out.keys[num_parts] = hash_between(text, first, end, tables.powers)
    out.sizes[num_parts] = end - first
    return num_parts + 1


@kernel
def count_ngrams(words: Compared, num_words: int, out_chars: npt.NDArray[np.int64]) -> None:
    """Write into `out_chars[n]` the characters that datatrove counts of n-grams, n from 2 to 10.

    Of 2 to 4 words: length (with a space between words) times count of the most frequent n-gram,
    of equals the first, even if none occurs twice. Of 5 to 10 words: a walk from left to right
    that adds up n-grams met before in the walk, and jumps over them. (datatrove compares the words
    of the walk joined, so that "no where" is "nowhere"; here words are equal one by one.)
    """
    out_chars[:] = 0
    num_places = all_places(words, num_words)
    for n in range(2, min(num_words, _MAX_NGRAM_WORDS) + 1):
        num_places = compare_ngrams(words, num_places, n)
        if n < 5:
            best, most = most_frequent(words, num_places)
            out_chars[n] = (num_chars_of(words, best, n) + n - 1) * most
        num_left = keep_repeated(words, num_places)
        if n >= 5:
            out_chars[n] = _walk(words, num_places, n)
        num_places = go_on(words, num_left)


@kernel
def _walk(words: Compared, num_places: int, n: int) -> int:
    """Characters of the n-grams that the walk met before; what occurs once it cannot meet again."""
    num_chars = 0
    walked = 0
    for i in range(num_places):
        place = words.positions[i]
        if place < walked:
            continue
        first = words.first[place]
        if words.counts[first] == 0:  # met before
            num_chars += num_chars_of(words, place, n)
            walked = place + n
        else:
            words.counts[first] = 0
    return num_chars
