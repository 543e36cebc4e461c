"""Where n-grams of words repeat: compared only at the places where shorter ones do.

The n-grams of datatrove, DCLM and dolma differ in what is a word and in what is counted of a
repeat, not in how equal ones are found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Counts, Hashes, kernel
from bessemer.text.hashing import extend, first_equal, num_slots


class Words(NamedTuple):
    """The words among a text's tokens, and scratch for comparing them."""

    hashes: Hashes  # uint64, finished, of each word
    num_chars: Counts  # int32
    keys: Hashes  # uint64, of n-grams, lines or paragraphs
    sizes: Counts  # int32, of lines or paragraphs, in characters
    positions: Counts  # int32
    first: Counts  # int32
    counts: Counts  # int32
    kept: Counts  # int32
    slots: Counts  # int32


@njit(cache=True, nogil=True)
def empty_words(num_chars: int) -> Words:
    """Scratch for a text; memory is touched only as words fill it."""
    return Words(
        np.empty(num_chars + 1, np.uint64),
        np.empty(num_chars + 1, np.int32),
        np.empty(num_chars + 1, np.uint64),
        np.empty(num_chars + 1, np.int32),
        np.empty(num_chars + 1, np.int32),
        np.empty(num_chars + 1, np.int32),
        np.empty(num_chars + 1, np.int32),
        np.empty(num_chars + 1, np.int32),
        np.empty(num_slots(num_chars + 1), np.int32),
    )


@kernel
def compare_ngrams(words: Words, num_places: int, n: int) -> None:
    """Make the keys at `positions` those of n words; find the first equal of each, and how many."""
    for i in range(num_places):
        place = words.positions[i]
        words.keys[place] = extend(words.keys[place], words.hashes[place + n - 1])
    first_equal(words.keys, words.positions, num_places, words.slots, words.first)
    for i in range(num_places):
        place = words.positions[i]
        if words.first[place] == place:
            words.counts[place] = 1
        else:
            words.counts[words.first[place]] += 1


@kernel
def most_frequent(words: Words, num_places: int) -> tuple[int, int]:
    """Place and count of the most frequent n-gram, of equals the first; the text's first if none
    at `positions` occurs twice."""
    best, most = 0, 1
    for i in range(num_places):
        place = words.positions[i]
        if words.first[place] == place and words.counts[place] > most:
            best, most = place, words.counts[place]
    return best, most


@kernel
def keep_repeated(words: Words, num_places: int) -> int:
    """Write into `kept` the places where n + 1 words may repeat: here and at the next, n do."""
    num_kept = 0
    for i in range(num_places - 1):
        here, following = words.positions[i], words.positions[i + 1]
        if (
            following == here + 1
            and words.counts[words.first[here]] > 1
            and words.counts[words.first[following]] > 1
        ):
            words.kept[num_kept] = here
            num_kept += 1
    return num_kept


@kernel
def num_chars_of(words: Words, place: int, n: int) -> int:
    """Characters of the n words at a place."""
    size = 0
    for word in range(place, place + n):
        size += words.num_chars[word]
    return size


@kernel
def count_equal(words: Words, num_keys: int) -> tuple[int, int]:
    """How many of the keys were met before, and their characters."""
    for i in range(num_keys):
        words.positions[i] = i
    first_equal(words.keys, words.positions, num_keys, words.slots, words.first)
    num_repeats = num_chars = 0
    for i in range(num_keys):
        if words.first[i] != i:
            num_repeats += 1
            num_chars += words.sizes[i]
    return num_repeats, num_chars
