"""Counts how much of a text's words repeats itself, as RedPajama v2 counts.

Input: the hashes and lengths of one document's words (those of `bessemer.text.redpajama`), and how
often each occurs. Output: characters, a number per name of `REPETITION_NAMES`.

The family is that of Rae et al. 2021 (Gopher). RedPajama's dialect: the most frequent n-gram, if it
occurs at least twice, counts its length times its occurrences, whether these overlap or not; of
equally frequent ones the first. Of n-grams that occur at least twice the words of all occurrences
count, the first as well, each word once. All are divided by the characters of all words.

Cost: linear in words. An n-gram can repeat only where both (n-1)-grams inside it repeat, so each
order looks only at the places the one before left over.
"""

from typing import Any

import numpy.typing as npt
from numba import njit

from bessemer.text.buffers import Bools, Counts, Hashes
from bessemer.text.hashing import SEED, extend, first_equal
from bessemer.text.repetition import (
    DUPLICATE_NGRAM_WORDS,
    TOP_NGRAM_WORDS,
    _covered_chars,
    _keep_candidates,
    _lengthen,
    _tally,
)

REPETITION_NAMES = {
    f"top_{n}gram_char_frac": (
        f"characters of the most frequent {n}-gram of words times its occurrences, if there are "
        f"two or more / characters of words, may exceed 1; rps_doc_frac_chars_top_{n}gram"
    )
    for n in TOP_NGRAM_WORDS
} | {
    f"dup_{n}gram_char_frac": (
        f"characters of words inside a {n}-gram of words that occurs twice or more, each word once "
        f"/ characters of words; rps_doc_frac_chars_dupe_{n}grams"
    )
    for n in DUPLICATE_NGRAM_WORDS
}
"""Name without the peer to definition and source, most frequent ones first, shortest first."""

_FIRST_NGRAM_WORDS = min(TOP_NGRAM_WORDS)
_FIRST_DUPLICATE_WORDS = min(DUPLICATE_NGRAM_WORDS)
_LAST_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)


@njit(cache=True, nogil=True)
def count_repetition(
    hashes: Hashes,
    lengths: Counts,
    num_words: int,
    positions: Counts,
    first: Counts,
    counts: Counts,
    scratch_ngrams: Hashes,
    scratch_is_counted: Bools,
    scratch_slots: Counts,
    out: npt.NDArray[Any],
) -> None:
    """Write the characters of each name (int64).

    `positions` holds all words, `first` the first equal one of each, and `counts` there how often
    it occurs; all three are overwritten.
    """
    for word in range(num_words):
        scratch_ngrams[word] = extend(SEED, hashes[word])
    num_positions = _keep_candidates(first, counts, num_words, positions)
    for n in range(_FIRST_NGRAM_WORDS, _LAST_NGRAM_WORDS + 1):
        _lengthen(scratch_ngrams, hashes, n, positions, num_positions)
        first_equal(scratch_ngrams, positions, num_positions, scratch_slots, first)
        _tally(first, positions, num_positions, counts)
        if n < _FIRST_DUPLICATE_WORDS:
            chars = _top_chars(first, counts, positions, num_positions, lengths, n)
        else:
            for i in range(num_positions):
                scratch_is_counted[i] = counts[first[positions[i]]] > 1
            chars = _covered_chars(positions, scratch_is_counted, num_positions, lengths, n)
        out[n - _FIRST_NGRAM_WORDS] = chars
        num_positions = _keep_candidates(first, counts, num_positions, positions)


@njit(cache=True, nogil=True)
def _top_chars(
    first: Counts, counts: Counts, positions: Counts, num_positions: int, lengths: Counts, n: int
) -> int:
    """Return length times occurrences of the most frequent n-gram, 0 if none occurs twice."""
    best = -1
    best_count = 1
    for i in range(num_positions):
        position = positions[i]
        if first[position] == position and counts[position] > best_count:
            best, best_count = position, counts[position]
    chars = 0
    if best >= 0:
        for word in range(best, best + n):
            chars += lengths[word]
    return chars * best_count
