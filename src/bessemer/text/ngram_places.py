"""Where n-grams of words repeat: compared only at the places where shorter ones do.

Our n-grams and those of datatrove, DCLM, dolma and RedPajama differ in what is a word and in what
is counted of a repeat, not in how equal ones are found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Bytes, Counts, Hashes, kernel
from bessemer.text.hashing import EMPTY, SEED, extend, first_equal, num_slots

_SEEN_SLOTS = 1 << 20


class Compared(NamedTuple):
    """The words among a text's tokens, and what their comparison finds or needs: scratch."""

    hashes: Hashes  # uint64, finished, of each word
    num_chars: Counts  # int32
    keys: Hashes  # uint64, of n-grams, lines or paragraphs
    sizes: Counts  # int32, of lines or paragraphs, in characters
    positions: Counts  # int32
    first: Counts  # int32
    counts: Counts  # int32
    kept: Counts  # int32
    slots: Counts  # int32
    seen: Bytes  # uint8


@njit(cache=True, nogil=True)
def empty_compared(num_chars: int) -> Compared:
    """Scratch for a text; memory is touched only as words fill it."""
    hashes, lengths = np.empty(num_chars + 1, np.uint64), np.empty(num_chars + 1, np.int32)
    words: Compared = compared_over(hashes, lengths)
    return words


@njit(cache=True, nogil=True)
def compared_over(hashes: Hashes, num_chars: Counts) -> Compared:
    """Words that are found into two arrays, with scratch for comparing as many."""
    most = len(hashes)
    return Compared(
        hashes,
        num_chars,
        np.empty(most, np.uint64),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(num_slots(most), np.int32),
        np.empty(_SEEN_SLOTS, np.uint8),
    )


@kernel
def all_places(words: Compared, num_words: int) -> int:
    """Begin with every place; the number of those where two words stand."""
    for word in range(num_words):
        words.keys[word] = extend(SEED, words.hashes[word])
        words.positions[word] = word
    return max(0, num_words - 1)


@kernel
def compare_words(words: Compared, num_words: int) -> int:
    """Begin with the words alone: find the first equal of each, and how many; then the number of
    places that are left, where two words may repeat.

    For those who count words anyway: to others it costs what it spares.
    """
    for word in range(num_words):
        words.keys[word] = extend(SEED, words.hashes[word])
        words.positions[word] = word
    _find_equal(words, num_words)
    num_places: int = go_on(words, keep_repeated(words, num_words))
    return num_places


@kernel
def compare_ngrams(words: Compared, num_places: int, n: int) -> int:
    """Make the keys at `positions` those of n words; find the first equal of each, and how many.

    Returns the number of places that are left: those whose n-gram occurs once go, but for some that
    share a slot of `seen` with others. It is most of them, in a fifth of the time of a table that
    says where.
    """
    _, _, keys, _, positions, _, _, _, _, seen = words
    hashes = words.hashes
    num_bits = 6
    while 1 << num_bits < min(8 * num_places, len(seen)):
        num_bits += 1
    seen[: 1 << num_bits] = 0
    shift = np.uint64(64 - num_bits)
    for i in range(num_places):
        place = np.uint64(positions[i])  # so numba does not ask whether it counts from behind
        key = extend(keys[place], hashes[place + np.uint64(n - 1)])
        keys[place] = key
        slot = key >> shift
        seen[slot] = seen[slot] << 1 | 1  # 0, 1, and more than that
    num_left = 0
    for i in range(num_places):
        place = positions[i]
        positions[num_left] = place
        num_left += seen[keys[np.uint64(place)] >> shift] > 1
    _find_equal(words, num_left)
    return num_left


@kernel
def _find_equal(words: Compared, num_places: int) -> None:
    """Find the first place with an equal key of each, and how many there are.

    It is `bessemer.text.hashing.first_equal`, in one pass with what is counted.
    """
    _, _, keys, _, positions, first, counts, _, slots, _ = words
    num_used = num_slots(num_places)
    slots[:num_used] = EMPTY
    mask = np.uint64(num_used - 1)
    for i in range(num_places):
        place = np.uint64(positions[i])
        key = keys[place]
        slot = key & mask
        held = slots[slot]
        while held != EMPTY and keys[np.uint64(held)] != key:
            slot = (slot + np.uint64(1)) & mask
            held = slots[slot]
        if held == EMPTY:
            held = positions[i]
            slots[slot] = held
            counts[place] = 0
        counts[np.uint64(held)] += 1
        first[place] = held


@kernel
def most_frequent(words: Compared, num_places: int) -> tuple[int, int]:
    """Place and count of the most frequent n-gram, of equals the first; the text's first if none
    at `positions` occurs twice."""
    best, most = 0, 1
    for i in range(num_places):
        place = words.positions[i]
        if words.first[place] == place and words.counts[place] > most:
            best, most = place, words.counts[place]
    return best, most


@kernel
def keep_repeated(words: Compared, num_places: int) -> int:
    """Write into `kept` the places where n + 1 words may repeat: here and at the next, n do."""
    positions, first, counts, kept = words.positions, words.first, words.counts, words.kept
    num_kept = 0
    before = -2
    for i in range(num_places):
        place = positions[i]
        if counts[first[place]] > 1:
            kept[num_kept] = before
            num_kept += place == before + 1
            before = place
    return num_kept


@kernel
def go_on(words: Compared, num_kept: int) -> int:
    """Look no further than at the places that are kept; return their number."""
    for i in range(num_kept):
        words.positions[i] = words.kept[i]
    return num_kept


@kernel
def num_chars_of(words: Compared, place: int, n: int) -> int:
    """Characters of the n words at a place."""
    size = 0
    for word in range(place, place + n):
        size += words.num_chars[word]
    return size


@kernel
def count_equal(keys: Hashes, sizes: Counts, num_keys: int, scratch: Compared) -> tuple[int, int]:
    """How many of the keys (of lines or paragraphs) were met before, and their characters."""
    positions, first = scratch.positions, scratch.first
    for i in range(num_keys):
        positions[i] = i
    first_equal(keys, positions, num_keys, scratch.slots, first)
    num_repeats = num_chars = 0
    for i in range(num_keys):
        if first[i] != i:
            num_repeats += 1
            num_chars += sizes[i]
    return num_repeats, num_chars
