"""Gopher's measures as dolma's tagger takes them.

Definitions are those of `gopher_v1` in dolma 1.2.1 (python/dolma/taggers/gopher.py): words are
those of str.split, with all their punctuation; lines are parted at line feeds and nothing else, and
stay as they are; of what is repeated the first occurrence counts as well as the others. Each
measure is a count or a quotient of two counts here, and a median.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Bytes, Counts, Hashes, Integer, kernel
from bessemer.text.characters import decode
from bessemer.text.gopher import DUPLICATE_NGRAM_WORDS
from bessemer.text.hashing import SEED, extend, finish, first_equal
from bessemer.text.ngram_places import (
    Compared,
    all_places,
    compare_ngrams,
    go_on,
    keep_repeated,
    most_frequent,
    num_chars_of,
)
from bessemer.text.string_classes import ALPHA, BLANK

_FIRST_DUPLICATE_WORDS = min(DUPLICATE_NGRAM_WORDS)
_MAX_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)
_MAX_STOP_WORD_CHARS = 4
_NEWLINE, _HASH, _ELLIPSIS, _ASTERISK, _HYPHEN = 0x0A, 0x23, 0x2026, 0x2A, 0x2D

GOPHER_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "words", "word_chars", "twice_median_chars", "symbol_words", "alpha_words",
            "stop_words", "lines", "bullet_lines", "ellipsis_lines", "dup_lines", "dup_line_chars",
        )
    ]
)  # fmt: skip


@kernel
def count_words_and_lines(
    data: Bytes,
    begin: int,
    end: int,
    classes: Bytes,
    stop_words: Hashes,
    words: Compared,
    out: np.void,
) -> tuple[int, int]:
    """Fill in words (`hashes`, `num_chars`) and lines (`keys`, `sizes`) of bytes `begin` to `end`.

    `classes` are those of `string_classes`. Writes into `out` what one pass can count; returns the
    number of words and of lines. An empty text has one line, as str.split has it.
    """
    num_words = num_lines = 0
    word_chars = symbol_words = alpha_words = num_stop_words = bullet_lines = ellipsis_lines = 0
    word_state = line_state = SEED
    word_size = line_size = 0
    kinds_in_word: Integer = 0
    has_symbol = False
    last: Integer = 0
    position = begin
    while position <= end:
        code: Integer = _NEWLINE  # the turn at the end closes the last word and line
        width = 1
        if position < end:
            code, width = decode(data, position, end)
        position += width
        kind = np.int64(classes[code])
        if not kind & BLANK:
            word_state = extend(word_state, np.uint64(code))
            word_size += 1
            kinds_in_word |= kind
            has_symbol |= code in (_HASH, _ELLIPSIS)
        elif word_size:
            key = finish(word_state)
            words.hashes[num_words], words.num_chars[num_words] = key, word_size
            num_words += 1
            word_chars += word_size
            symbol_words += has_symbol
            alpha_words += kinds_in_word & ALPHA != 0
            if word_size <= _MAX_STOP_WORD_CHARS:
                for stop_word in stop_words:
                    num_stop_words += key == stop_word
            word_state = SEED
            word_size = kinds_in_word = 0
            has_symbol = False
        if code == _NEWLINE:
            words.keys[num_lines], words.sizes[num_lines] = finish(line_state), line_size
            num_lines += 1
            ellipsis_lines += line_size > 0 and last == _ELLIPSIS
            line_state = SEED
            line_size = 0
        else:
            bullet_lines += line_size == 0 and (code in (_ASTERISK, _HYPHEN))
            line_state = extend(line_state, np.uint64(code))
            line_size += 1
            last = code
    out["words"] = num_words
    out["word_chars"] = word_chars
    out["symbol_words"] = symbol_words
    out["alpha_words"] = alpha_words
    out["stop_words"] = num_stop_words
    out["lines"] = num_lines
    out["bullet_lines"] = bullet_lines
    out["ellipsis_lines"] = ellipsis_lines
    return num_words, num_lines


@kernel
def twice_median(sizes: Counts, num_words: int, scratch: Counts) -> int:
    """Twice the median of the sizes, which a half may belong to; 0 if there are none.

    `scratch` has one place more than the largest size.
    """
    largest = 0
    for word in range(num_words):
        largest = max(largest, sizes[word])
    scratch[: largest + 1] = 0
    for word in range(num_words):
        scratch[sizes[word]] += 1
    total = num_before = 0
    lower, upper = (num_words - 1) // 2, num_words // 2
    for size in range(largest + 1):
        num_until = num_before + scratch[size]
        total += size * ((num_before <= lower < num_until) + (num_before <= upper < num_until))
        num_before = num_until
    return total


@kernel
def count_equal_lines(words: Compared, num_lines: int) -> tuple[int, int]:
    """How many lines have an equal elsewhere in the text, and their characters."""
    for line in range(num_lines):
        words.positions[line] = line
        words.counts[line] = 0
    first_equal(words.keys, words.positions, num_lines, words.slots, words.first)
    for line in range(num_lines):
        words.counts[words.first[line]] += 1
    num_equal = num_chars = 0
    for line in range(num_lines):
        if words.counts[words.first[line]] > 1:
            num_equal += 1
            num_chars += words.sizes[line]
    return num_equal, num_chars


@kernel
def count_ngrams(
    words: Compared,
    num_words: int,
    word_chars: int,
    out_repeated: npt.NDArray[np.int64],
    out_all: npt.NDArray[np.int64],
) -> None:
    """Write, by n from 2 to 10, characters of repeated n-grams and what they are divided by.

    Of 2 to 4 words: the length of the most frequent n-gram times its occurrences, even if that is
    one, of equals the first; divided by the characters of all words. Of 5 to 10: the lengths of all
    n-grams that occur twice or more, each occurrence counted; divided by those of all n-grams, so
    that a word in the middle counts n times in both.
    """
    num_places = all_places(words, num_words)
    all_chars = word_chars  # of all n-grams; of one word to begin with
    later_chars = word_chars  # of the words that are the last of an n-gram
    for n in range(2, min(num_words, _MAX_NGRAM_WORDS) + 1):
        later_chars -= words.num_chars[n - 2]
        all_chars += later_chars - num_chars_of(words, num_words - n + 1, n - 1)
        num_places = compare_ngrams(words, num_places, n)
        if n < _FIRST_DUPLICATE_WORDS:
            best, most = most_frequent(words, num_places)
            out_repeated[n] = num_chars_of(words, best, n) * most
            out_all[n] = word_chars
        else:
            for i in range(num_places):
                place = words.positions[i]
                if words.counts[words.first[place]] > 1:
                    out_repeated[n] += num_chars_of(words, place, n)
            out_all[n] = all_chars
        num_places = go_on(words, keep_repeated(words, num_places))
