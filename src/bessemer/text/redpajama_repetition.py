"""Counts how much of a text's words repeats itself, as RedPajama v2 counts.

Input: one document's words (those of `bessemer.text.redpajama`), compared. Output: characters, a
number per name of `REPETITION_NAMES`.

The family is that of Rae et al. 2021 (Gopher). RedPajama's dialect: the most frequent n-gram, if it
occurs at least twice, counts its length times its occurrences, whether these overlap or not; of
equally frequent ones the first. Of n-grams that occur at least twice the words of all occurrences
count, the first as well, each word once. All are divided by the characters of all words.

Cost: linear in words. An n-gram can repeat only where both (n-1)-grams inside it repeat, so each
order looks only at the places the one before left over.
"""

from typing import Any

import numpy.typing as npt

from bessemer.text.buffers import kernel
from bessemer.text.gopher import DUPLICATE_NGRAM_WORDS, TOP_NGRAM_WORDS
from bessemer.text.ngram_places import Compared, compare_ngrams, go_on, num_chars_of

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
def count_repetition(words: Compared, num_places: int, out: npt.NDArray[Any]) -> None:
    """Write the characters of each name (int64); `num_places` are left of `compare_words`."""
    for n in range(_FIRST_NGRAM_WORDS, _LAST_NGRAM_WORDS + 1):
        num_places = compare_ngrams(words, num_places, n)
        if n < _FIRST_DUPLICATE_WORDS:
            num_chars, num_kept = _keep_most_frequent(words, num_places, n)
        else:
            num_chars, num_kept = _keep_covered(words, num_places, n)
        out[n - _FIRST_NGRAM_WORDS] = num_chars
        num_places = go_on(words, num_kept)


@kernel
def _keep_most_frequent(words: Compared, num_places: int, n: int) -> tuple[int, int]:
    """Return the characters of the most frequent n-gram times its occurrences, 0 if none occurs
    twice.

    Beside that it is `bessemer.text.ngram_places.keep_repeated`, whose number it returns last.
    Whether a short n-gram repeats cannot be foreseen: there is no branch on it.
    """
    positions, first, counts, kept = words.positions, words.first, words.counts, words.kept
    top = -1
    before = -2
    top_count = 1
    num_kept = 0
    for i in range(num_places):
        place = positions[i]
        count = counts[first[place]]
        if count > top_count:
            top, top_count = place, count
        repeats = count > 1
        kept[num_kept] = before
        num_kept += repeats & (place == before + 1)
        before = place if repeats else before
    top_chars = num_chars_of(words, top, n) if top >= 0 else 0
    return top_chars * top_count, num_kept


@kernel
def _keep_covered(words: Compared, num_places: int, n: int) -> tuple[int, int]:
    """Return the characters of words inside n-grams that occur twice or more, each word once.

    Beside that it is `bessemer.text.ngram_places.keep_repeated`, whose number it returns last.
    """
    positions, first, counts, kept = words.positions, words.first, words.counts, words.kept
    repeated_chars = covered_until = num_kept = 0
    before = -2
    for i in range(num_places):
        place = positions[i]
        if counts[first[place]] == 1:
            continue
        begin = max(place, covered_until)
        covered_until = place + n
        repeated_chars += num_chars_of(words, begin, covered_until - begin)
        kept[num_kept] = before
        num_kept += place == before + 1
        before = place
    return repeated_chars, num_kept
