"""Gopher's measures as DCLM takes them.

Definitions are those of mlfoundations/dclm at 361714b, baselines/mappers/filters/content_filters.py
with the settings of baselines_configs/dclm_baseline_refinedweb.yaml. Words are parted in three
ways: the number of words by ASCII white space (fastText's tokenizer), what is measured of words by
white space (str.split), n-grams by the boundaries of Unicode. Lines and paragraphs are stripped,
empty ones left out; of what is repeated the first occurrence counts as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Hashes, Integer, kernel
from bessemer.text.dclm.decoded import Text
from bessemer.text.gopher import DUPLICATE_NGRAM_WORDS
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.ngram_places import (
    Compared,
    all_places,
    compare_ngrams,
    go_on,
    keep_repeated,
    num_chars_of,
)
from bessemer.text.string_classes import ALNUM, ALPHA, BLANK

_FIRST_DUPLICATE_WORDS = min(DUPLICATE_NGRAM_WORDS)
_MAX_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)
_MAX_STOP_WORD_CHARS = 4
_NEWLINE, _SPACE, _DOT, _ELLIPSIS, _HASH = 0x0A, 0x20, 0x2E, 0x2026, 0x23

GOPHER_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "ascii_words", "words", "word_chars", "no_alpha_words", "stop_words", "symbols",
            "lines", "line_chars", "bullet_lines", "ellipsis_lines", "dup_lines", "dup_line_chars",
            "paras", "para_chars", "dup_paras", "dup_para_chars", "ngram_word_chars",
        )
    ]
)  # fmt: skip


@kernel
def count_words(text: Text, num_chars: int, stop_words: Hashes, out: np.void) -> None:
    """Count words by white space, and signs in all of the text."""
    ascii_words = num_words = word_chars = no_alpha_words = num_stop_words = symbols = 0
    size = dots = spaced_until = 0
    kinds_in_word: Integer = 0
    state = SEED
    follows_ascii_blank = True
    for place in range(num_chars + 1):
        code = np.int64(text.codes[place]) if place < num_chars else np.int64(_NEWLINE)
        kind = np.int64(text.kinds[place]) if place < num_chars else np.int64(BLANK)
        # fastText parts words at these, and takes a line end for a word without a letter.
        ascii_words += follows_ascii_blank and kind & ALNUM != 0
        follows_ascii_blank = bool(code == _SPACE or 0x09 <= code <= 0x0D or code == 0)
        if code == _DOT:
            dots += 1
            if dots == 3:
                symbols += 1
                dots = 0
            if place >= spaced_until and _is_spaced_ellipsis(text, place, num_chars):
                symbols += 1
                spaced_until = place + 5
        else:
            dots = 0
            symbols += code in (_HASH, _ELLIPSIS)
        if not kind & BLANK:
            lowered = code + 0x20 if 0x41 <= code <= 0x5A else code
            state = extend(state, np.uint64(lowered))
            size += 1
            kinds_in_word |= kind
        elif size:
            num_words += 1
            word_chars += size
            no_alpha_words += kinds_in_word & ALPHA == 0
            if size <= _MAX_STOP_WORD_CHARS:
                key = finish(state)
                for stop_word in stop_words:
                    num_stop_words += key == stop_word
            state = SEED
            size = 0
            kinds_in_word = 0
    out["ascii_words"] = ascii_words
    out["words"] = num_words
    out["word_chars"] = word_chars
    out["no_alpha_words"] = no_alpha_words
    out["stop_words"] = num_stop_words
    out["symbols"] = symbols


@kernel
def find_parts(
    text: Text, num_chars: int, min_newlines: int, words: Compared
) -> tuple[int, int, int, int]:
    """Fill in hash and length (`keys`, `sizes`) of the parts between runs of line feeds, stripped.

    One line feed parts lines, two paragraphs. Returns the number of parts that are not empty, their
    characters, how many begin with a bullet and how many end in an ellipsis.
    """
    num_parts = part_chars = bullets = ellipses = 0
    size = stripped_size = newlines = 0
    state = stripped_state = SEED
    last = 0
    for place in range(num_chars + 1):
        code = np.int64(text.codes[place]) if place < num_chars else _NEWLINE
        if code == _NEWLINE:
            newlines += 1
            if (newlines == min_newlines or place == num_chars) and stripped_size:
                words.keys[num_parts] = finish(stripped_state)
                words.sizes[num_parts] = stripped_size
                num_parts += 1
                part_chars += stripped_size
                ellipses += text.codes[last] == _ELLIPSIS or (
                    text.codes[last] == _DOT and _ends_in_dots(text, last, stripped_size)
                )
                size = stripped_size = 0
                state = SEED
        else:
            newlines = 0
        if place == num_chars or (np.int64(text.kinds[place]) & BLANK and size == 0):
            continue
        if size == 0:
            bullets += code in (0x25CF, 0x2022, 0x2A, 0x2D)
        state = extend(state, np.uint64(code))
        size += 1
        if not np.int64(text.kinds[place]) & BLANK:
            stripped_state, stripped_size, last = state, size, place
    return num_parts, part_chars, bullets, ellipses


@kernel
def count_ngrams(words: Compared, num_words: int, out_chars: npt.NDArray[np.int64]) -> None:
    """Write into `out_chars[n]` the characters that DCLM counts of n-grams, n from 2 to 10.

    Of 2 to 4 words: length times occurrences of the most frequent n-gram, of equals the longest. Of
    5 to 10: the words inside n-grams that occur twice or more, each once. 0 if none does.
    """
    num_places = all_places(words, num_words)
    for n in range(2, min(num_words, _MAX_NGRAM_WORDS) + 1):
        num_places = compare_ngrams(words, num_places, n)
        if n < _FIRST_DUPLICATE_WORDS:
            most, longest = 2, 0
            for i in range(num_places):
                place = words.positions[i]
                if words.first[place] == place and words.counts[place] >= most:
                    if words.counts[place] > most:
                        most, longest = words.counts[place], 0
                    longest = max(longest, num_chars_of(words, place, n))
            out_chars[n] = most * longest
        else:
            covered_until = 0
            for i in range(num_places):
                place = words.positions[i]
                if words.counts[words.first[place]] > 1:
                    first = max(place, covered_until)
                    covered_until = place + n
                    out_chars[n] += num_chars_of(words, first, covered_until - first)
        num_places = go_on(words, keep_repeated(words, num_places))


@kernel
def _is_spaced_ellipsis(text: Text, place: int, num_chars: int) -> bool:
    """Whether ". . ." stands there."""
    return (
        place + 4 < num_chars
        and text.codes[place + 1] == _SPACE
        and text.codes[place + 2] == _DOT
        and text.codes[place + 3] == _SPACE
        and text.codes[place + 4] == _DOT
    )


@kernel
def _ends_in_dots(text: Text, last: int, size: int) -> bool:
    """Whether a part of so many characters that ends at `last` ends in "..." or ". . ."."""
    if size >= 3 and text.codes[last - 1] == _DOT and text.codes[last - 2] == _DOT:
        return True
    return size >= 5 and bool(_is_spaced_ellipsis(text, last - 4, last + 1))
