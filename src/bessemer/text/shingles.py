"""Turns texts into sets of shingles, runs of words: a sorted set of 64-bit hashes per document.

Input: an Arrow string array. Sets of runs of characters are made by `character_shingles`, with
the same parts. `sort_distinct` makes a set of what was found.

Invariants: a shingle set is the same for texts that differ only in case, punctuation and white
space. No hash is NO_SHINGLE. Time is linear in bytes times `words_per_shingle`.
"""

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Codes,
    Hashes,
    Offsets,
    grown,
    kernel,
    longest_document_bytes,
    utf8_buffers,
)
from bessemer.text.characters import class_table, fold_table
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.words import empty_words, find_words, max_words

NO_SHINGLE = np.uint64(2**64 - 1)
"""The minimum over nothing: no shingle hash has this value."""


def shingles(array: pa.Array | pa.ChunkedArray, words_per_shingle: int) -> tuple[Offsets, Hashes]:
    """Return the sorted distinct hashes of the runs of `words_per_shingle` words per document.

    The set of document `i` is `hashes[offsets[i]:offsets[i + 1]]`. A document with fewer words, but
    at least one, has one shingle of all its words; one without words has the empty set, and the
    caller compares it by its content hash. Raises ValueError if words_per_shingle < 1.
    """
    require_positive("words_per_shingle", words_per_shingle)
    text_offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(text_offsets)
    offsets, hashes = _shingle_sets(
        text_offsets, data, class_table(), fold_table(), longest_bytes, words_per_shingle
    )
    return offsets, hashes[: offsets[-1]]


def require_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")


@njit(cache=True, nogil=True)
def _shingle_sets(
    text_offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    fold: Codes,
    longest_bytes: int,
    words_per_shingle: int,
) -> tuple[Offsets, Hashes]:
    """Return the sets in one array, which is longer than they are."""
    num_documents = len(text_offsets) - 1
    limit = max_words(longest_bytes)
    words = empty_words(limit)
    found = np.empty(limit, np.uint64)
    slots = np.empty(num_set_slots(limit), np.uint64)
    offsets = np.zeros(num_documents + 1, np.int64)
    hashes = np.empty((text_offsets[-1] - text_offsets[0]) // 8 + 1, np.uint64)
    for document in range(num_documents):
        begin, end = text_offsets[document], text_offsets[document + 1]
        num_words = find_words(data, begin, end, classes, fold, words)
        num_found = _hash_shingles(words.hashes, num_words, words_per_shingle, found)
        num_found = sort_distinct(found, num_found, slots)
        used = offsets[document]
        # Doubled, not sized for the worst case: a word for every second byte is rare.
        hashes = grown(hashes, used, used + num_found)
        hashes[used : used + num_found] = found[:num_found]
        offsets[document + 1] = used + num_found
    return offsets, hashes


@kernel
def _hash_shingles(hashes: Hashes, num_words: int, words_per_shingle: int, out: Hashes) -> int:
    num_shingles = max(num_words - words_per_shingle + 1, min(num_words, 1))
    shingle_words = min(num_words, words_per_shingle)
    for i in range(num_shingles):
        state = SEED
        for j in range(i, i + shingle_words):
            state = extend(state, hashes[j])
        out[i] = min(finish(state), NO_SHINGLE - np.uint64(1))
    return num_shingles


@kernel
def num_set_slots(num_values: int) -> int:
    """Return the slots that `sort_distinct` needs for so many values."""
    return 2 * num_values + num_values // 2 + 1


@kernel
def sort_distinct(values: Hashes, num_values: int, scratch_slots: Hashes) -> int:
    """Sort hashes (none is NO_SHINGLE) in place, drop repeats, and return how many are left.

    A hash table that is kept in order: a value's home is its rank if hashes were spread evenly, and
    from there it moves up past smaller values and pushes greater ones on. Homes never decrease with
    the value, so the table read from its beginning is sorted. Linear time for hashes, which are
    spread; at most two thirds of the homes are taken, and as many slots again catch the overflow.
    """
    slots = num_set_slots(num_values)
    # 32 bits times at most 1.5 * 2**30 homes (MAX_DOCUMENT_BYTES) stay below 2**64.
    num_homes = np.uint64(num_values + num_values // 2 + 1)
    scratch_slots[:slots] = NO_SHINGLE
    for i in range(num_values):
        value = values[i]
        slot = (value >> np.uint64(32)) * num_homes >> np.uint64(32)
        while value != NO_SHINGLE:
            held = scratch_slots[slot]
            if held == value:
                break
            if held > value:
                scratch_slots[slot] = value
                value = held
            slot += np.uint64(1)
    num_distinct = 0
    for slot in range(slots):
        if scratch_slots[slot] != NO_SHINGLE:
            values[num_distinct] = scratch_slots[slot]
            num_distinct += 1
    return num_distinct
