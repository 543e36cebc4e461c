"""Measures how much of a text repeats itself: lines, paragraphs and word n-grams.

Input: the text of a document and its words (`bessemer.text.word_families` reads texts). Output: one
float32 array per signal of `REPETITION_SIGNALS`.

The family is that of Rae et al. 2021 (Gopher, arXiv 2112.11446, appendix A1.1), which leaves room;
this is the dialect "each character once". A repeat is an occurrence after the first. Every signal
is a share of the characters (or lines) it is about, counted at most once, so all lie in [0, 1]:

- words are those of `bessemer.text.words`, folded; characters of n-grams are those of words, and
  the denominator is the characters of all words;
- duplicate n-grams: every word inside any later occurrence counts, once, overlaps or not.
  datatrove walks from left to right, jumps over a repeat it found, and divides by the length of the
  text; dolma counts all occurrences, the first as well, in overlapping n-grams, and divides by the
  characters of all n-grams; RedPajama counts the words of all occurrences, the first as well,
  once;
- most frequent n-gram: datatrove and dolma multiply its length by its count, which counts
  characters of an n-gram that overlaps itself several times and may exceed 1;
- lines and paragraphs are those of `bessemer.text.lines`: stripped, blank ones left out, and the
  denominator is the characters of all stripped lines. datatrove divides by the length of the text.

Invariants: equality is that of 64-bit hashes (odds in `bessemer.text.hashing`); all counts are
whole numbers and quotients are rounded once; scratch is that of the longest document. Cost: linear
in bytes. An n-gram can repeat only where both (n-1)-grams inside it repeat, so each order looks
only at the places the one before left over: few in prose, all in a text of one word.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bessemer.text.buffers import (
    Bools,
    Bytes,
    Counts,
    Hashes,
    kernel,
)
from bessemer.text.hashing import SEED, extend, first_equal, num_slots
from bessemer.text.lines import Lines, empty_lines, find_lines
from bessemer.text.quality import share
from bessemer.text.words import Words, max_words

TOP_NGRAM_WORDS = (2, 3, 4)
DUPLICATE_NGRAM_WORDS = (5, 6, 7, 8, 9, 10)

_LINE_SIGNALS = {
    "dup_line_frac": "non-blank lines equal to an earlier one, stripped / non-blank lines",
    "dup_line_char_frac": "characters of such lines / characters of non-blank lines, stripped",
    "dup_para_frac": "paragraphs equal to an earlier one, line by line stripped / paragraphs",
    "dup_para_char_frac": "characters of such paragraphs / characters of paragraphs, stripped",
}
_TOP_SIGNALS = {
    f"top_{n}gram_char_frac": (
        f"characters of words inside the most frequent {n}-gram of words, if it occurs at least "
        "twice (of equally frequent ones the longest in characters, then the first), each word "
        "once / characters of words"
    )
    for n in TOP_NGRAM_WORDS
}
_DUPLICATE_SIGNALS = {
    f"dup_{n}gram_char_frac": (
        f"characters of words inside a {n}-gram of words that occurred earlier, each word once / "
        "characters of words"
    )
    for n in DUPLICATE_NGRAM_WORDS
}
REPETITION_SIGNALS: dict[str, str] = {
    name: f"{definition}; Rae et al. 2021, appendix A1.1"
    for name, definition in (_LINE_SIGNALS | _TOP_SIGNALS | _DUPLICATE_SIGNALS).items()
}
"""Name, ending in its unit, to definition and source: the order of the output."""

_MIN_NGRAM_WORDS = min(TOP_NGRAM_WORDS)
_MIN_DUPLICATE_WORDS = min(DUPLICATE_NGRAM_WORDS)
MAX_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)

REPETITION_COUNTS = np.dtype(
    [
        ("lines", np.int64),
        ("line_chars", np.int64),
        ("dup_lines", np.int64),
        ("dup_line_chars", np.int64),
        ("paras", np.int64),
        ("dup_paras", np.int64),
        ("dup_para_chars", np.int64),
        ("word_chars", np.int64),
    ]
)


def repetition_of(
    count: npt.NDArray[np.void], ngram_chars: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in REPETITION_SIGNALS of documents that were counted."""
    signals = {
        "dup_line_frac": share(count["dup_lines"], count["lines"]),
        "dup_line_char_frac": share(count["dup_line_chars"], count["line_chars"]),
        "dup_para_frac": share(count["dup_paras"], count["paras"]),
        "dup_para_char_frac": share(count["dup_para_chars"], count["line_chars"]),
    }
    for name, n in zip(
        (*_TOP_SIGNALS, *_DUPLICATE_SIGNALS), TOP_NGRAM_WORDS + DUPLICATE_NGRAM_WORDS, strict=True
    ):
        signals[name] = share(ngram_chars[n], count["word_chars"])
    return {name: values.astype(np.float32) for name, values in signals.items()}


class Scratch(NamedTuple):
    """What is needed to find what is equal among the words and lines of one document."""

    lines: Lines
    paragraphs: Lines
    positions: Counts  # int32
    first: Counts  # int32
    counts: Counts  # int32
    is_counted: Bools
    ngrams: Hashes  # uint64
    slots: Counts  # int32


@njit(cache=True, nogil=True)
def empty_scratch(longest_bytes: int) -> Scratch:
    """Return scratch for a document of that many bytes; memory is touched only as it is filled."""
    limit = max_words(longest_bytes)  # also of lines and paragraphs
    return Scratch(
        empty_lines(limit),
        empty_lines(limit),
        np.empty(limit, np.int32),
        np.empty(limit, np.int32),
        np.empty(limit, np.int32),
        np.empty(limit, np.bool_),
        np.empty(limit, np.uint64),
        np.empty(num_slots(limit), np.int32),
    )


@kernel
def count_repeated_lines(
    data: Bytes, begin: int, end: int, classes: Bytes, scratch: Scratch, out: np.void
) -> None:
    """Count the lines and paragraphs of a document, and those that were there before."""
    lines, paragraphs, positions, first, _, _, _, slots = scratch
    num_lines, num_paragraphs = find_lines(data, begin, end, classes, lines, paragraphs)
    line_chars = 0
    for line in range(num_lines):  # paragraphs are no more
        positions[line] = line
        line_chars += lines.num_chars[line]
    out["lines"] = num_lines
    out["paras"] = num_paragraphs
    out["line_chars"] = line_chars
    first_equal(lines.hashes, positions, num_lines, slots, first)
    out["dup_lines"], out["dup_line_chars"] = _repeats(first, lines.num_chars, num_lines)
    first_equal(paragraphs.hashes, positions, num_paragraphs, slots, first)
    out["dup_paras"], out["dup_para_chars"] = _repeats(first, paragraphs.num_chars, num_paragraphs)


@kernel
def count_repeated_ngrams(
    words: Words,
    num_words: int,
    scratch: Scratch,
    out: np.void,
    out_ngram_chars: npt.NDArray[np.int64],
) -> None:
    """Count the characters of words, and of those inside n-grams that count, by n."""
    _, _, positions, first, counts, is_counted, ngrams, slots = scratch
    hashes, num_chars = words.hashes, words.num_chars
    word_chars = 0
    for word in range(num_words):
        word_chars += num_chars[word]
        ngrams[word] = extend(SEED, hashes[word])
        positions[word] = word
    out["word_chars"] = word_chars
    num_positions = max(0, num_words - _MIN_NGRAM_WORDS + 1)
    for n in range(_MIN_NGRAM_WORDS, MAX_NGRAM_WORDS + 1):
        _lengthen(ngrams, hashes, n, positions, num_positions)
        first_equal(ngrams, positions, num_positions, slots, first)
        _tally(first, positions, num_positions, counts)
        if n < _MIN_DUPLICATE_WORDS:
            top = _most_frequent(first, counts, positions, num_positions, num_chars, n)
            for i in range(num_positions):
                is_counted[i] = first[positions[i]] == top
        else:
            for i in range(num_positions):
                is_counted[i] = first[positions[i]] != positions[i]
        out_ngram_chars[n] = _covered_chars(positions, is_counted, num_positions, num_chars, n)
        num_positions = _keep_candidates(first, counts, num_positions, positions)


@kernel
def _repeats(first: Counts, lengths: Counts, num_keys: int) -> tuple[int, int]:
    """Return how many keys were met before, and their characters."""
    num_repeats = num_chars = 0
    for i in range(num_keys):
        if first[i] != i:
            num_repeats += 1
            num_chars += lengths[i]
    return num_repeats, num_chars


@kernel
def _lengthen(
    out_ngrams: Hashes, hashes: Hashes, num_words: int, positions: Counts, num_positions: int
) -> None:
    """Make the (n-1)-gram hash at each position that of the n-gram, in place."""
    for i in range(num_positions):
        position = positions[i]
        out_ngrams[position] = extend(out_ngrams[position], hashes[position + num_words - 1])


@kernel
def _tally(first: Counts, positions: Counts, num_positions: int, out: Counts) -> None:
    """Write the number of occurrences of each n-gram at its first position."""
    for i in range(num_positions):
        position = positions[i]
        if first[position] == position:
            out[position] = 1
        else:
            out[first[position]] += 1


@kernel
def _most_frequent(
    first: Counts, counts: Counts, positions: Counts, num_positions: int, lengths: Counts, n: int
) -> int:
    """Return the first position of the most frequent n-gram, or -1 if none occurs twice."""
    best = -1
    best_count, best_chars = 1, 0
    for i in range(num_positions):
        position = positions[i]
        if first[position] != position or counts[position] < max(2, best_count):
            continue
        chars = 0
        for word in range(position, position + n):
            chars += lengths[word]
        if counts[position] > best_count or chars > best_chars:
            best, best_count, best_chars = position, counts[position], chars
    return best


@kernel
def _covered_chars(
    positions: Counts, is_counted: Bools, num_positions: int, lengths: Counts, n: int
) -> int:
    """Return the characters of the words inside the n-grams that count, each word once."""
    covered_until = num_chars = 0
    for i in range(num_positions):
        if is_counted[i]:
            last = positions[i] + n
            for word in range(max(positions[i], covered_until), last):
                num_chars += lengths[word]
            covered_until = last
    return num_chars


@kernel
def _keep_candidates(first: Counts, counts: Counts, num_positions: int, out: Counts) -> int:
    """Keep the positions where an n-gram longer by a word may repeat; return their number.

    Both n-grams inside it must occur at least twice: the one here and the one at the next word.
    """
    num_kept = 0
    for i in range(num_positions - 1):
        here, following = out[i], out[i + 1]
        if following == here + 1 and counts[first[here]] > 1 and counts[first[following]] > 1:
            out[num_kept] = here
            num_kept += 1
    return num_kept
