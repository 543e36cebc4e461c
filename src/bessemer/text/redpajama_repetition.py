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

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Counts, Hashes, kernel
from bessemer.text.hashing import EMPTY, SEED, extend, num_slots
from bessemer.text.repetition import DUPLICATE_NGRAM_WORDS, TOP_NGRAM_WORDS

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


@kernel
def count_repetition(
    hashes: Hashes,
    lengths: Counts,
    num_words: int,
    positions: Counts,
    first: Counts,
    counts: Counts,
    scratch_ngrams: Hashes,
    scratch_slots: Counts,
    out: npt.NDArray[Any],
) -> None:
    """Write the characters of each name (int64).

    `positions` holds all words, `first` the first equal one of each, and `counts` there how often
    it occurs; all three are overwritten.
    """
    for word in range(num_words):
        scratch_ngrams[word] = extend(SEED, hashes[word])
    num_positions = _keep_repeated(lengths, 1, positions, num_words, first, counts)[2]
    for n in range(_FIRST_NGRAM_WORDS, _LAST_NGRAM_WORDS + 1):
        _count_ngrams(
            scratch_ngrams, hashes, n, positions, num_positions, scratch_slots, first, counts
        )
        top_chars, repeated_chars, num_positions = _keep_repeated(
            lengths, n, positions, num_positions, first, counts
        )
        is_top = n < _FIRST_DUPLICATE_WORDS
        out[n - _FIRST_NGRAM_WORDS] = top_chars if is_top else repeated_chars


@kernel
def _count_ngrams(
    ngrams: Hashes,
    hashes: Hashes,
    n: int,
    positions: Counts,
    num_positions: int,
    scratch_slots: Counts,
    out_first: Counts,
    out_counts: Counts,
) -> None:
    """Make the (n-1)-gram at each position that of n words, find the first equal one, and count.

    The same as `bessemer.text.hashing.first_equal`, in one pass with what comes before and after.
    """
    slots = num_slots(num_positions)
    scratch_slots[:slots] = EMPTY
    mask = np.uint64(slots - 1)
    for i in range(num_positions):
        position = positions[i]
        key = extend(ngrams[position], hashes[position + n - 1])
        ngrams[position] = key
        slot = key & mask
        held = scratch_slots[slot]
        while held != EMPTY and ngrams[held] != key:
            slot = (slot + np.uint64(1)) & mask
            held = scratch_slots[slot]
        if held == EMPTY:
            scratch_slots[slot] = position
            out_counts[position] = 0
            held = position
        out_counts[held] += 1
        out_first[position] = held


@kernel
def _keep_repeated(
    lengths: Counts,
    n: int,
    positions: Counts,
    num_positions: int,
    first: Counts,
    counts: Counts,
) -> tuple[int, int, int]:
    """Return the characters of the most frequent n-gram times its occurrences, and those of words
    inside n-grams that occur twice or more, each word once; both 0 if there is none.

    Keeps the positions, in place, where an n-gram longer by a word may occur twice: where this one
    does and the one at the next word. Returns their number last.
    """
    top = -1
    top_count = 1
    repeated_chars = covered_until = num_kept = 0
    before = -1
    for i in range(num_positions):
        position = positions[i]
        count = counts[first[position]]
        if count == 1:
            continue
        if count > top_count:
            top, top_count = position, count
        for word in range(max(position, covered_until), position + n):
            repeated_chars += lengths[word]
        covered_until = position + n
        if before >= 0 and position == before + 1:
            positions[num_kept] = before
            num_kept += 1
        before = position
    top_chars = 0
    if top >= 0:
        for word in range(top, top + n):
            top_chars += lengths[word]
    return top_chars * top_count, repeated_chars, num_kept
