"""Turns texts into sets of character shingles: hashes of runs of so many code points.

Input: an Arrow string array. Output: as of `shingles.shingles`, which parts texts into words.

Characters are the code points of the text as it is given: no letter is folded, and white space and
punctuation count, as NeMo Curator has it (its stage hashes the text it gets). So texts without a
word have shingles, too, and no definition of a word is needed for any script.

The hash rolls: a polynomial of the code points' own hashes in STEP, modulo 2**64, so that the next
shingle takes one multiplication whatever its length; then all bits are spread (`finish`), because
the low bits of such a polynomial know little of the order. Two shingles of at most
MAX_CHARS_PER_SHINGLE that differ share a hash with odds of 2**-57 or less over the code points'
hashes: a difference of two powers of STEP, which a swap of two characters is multiplied by, is
divisible by 2**7 at most within that length, as STEP is 5 modulo 8.
"""

import numpy as np
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Hashes,
    Offsets,
    grown,
    kernel,
    longest_document_bytes,
    utf8_buffers,
)
from bessemer.text.characters import decode
from bessemer.text.hashing import SEED, STEP, extend, finish
from bessemer.text.shingles import NO_SHINGLE, num_set_slots, sort_distinct

MAX_CHARS_PER_SHINGLE = 64


def character_shingles(
    array: pa.Array | pa.ChunkedArray, chars_per_shingle: int
) -> tuple[Offsets, Hashes]:
    """Return the sorted distinct hashes of the runs of `chars_per_shingle` code points.

    The set of document `i` is `hashes[offsets[i]:offsets[i + 1]]`. A shorter document has one
    shingle of all its characters, an empty one the empty set. Raises ValueError if
    chars_per_shingle is not in 1 to MAX_CHARS_PER_SHINGLE.
    """
    if not 1 <= chars_per_shingle <= MAX_CHARS_PER_SHINGLE:
        raise ValueError(
            f"chars_per_shingle is {chars_per_shingle}; it must be 1 to {MAX_CHARS_PER_SHINGLE}"
        )
    text_offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(text_offsets)
    offsets, hashes = _shingle_sets(text_offsets, data, longest_bytes, chars_per_shingle)
    return offsets, hashes[: offsets[-1]].copy()


@njit(cache=True, nogil=True)
def _shingle_sets(
    text_offsets: Offsets, data: Bytes, longest_bytes: int, chars_per_shingle: int
) -> tuple[Offsets, Hashes]:
    """Return the sets in one array, which is longer than they are."""
    num_documents = len(text_offsets) - 1
    found = np.empty(longest_bytes, np.uint64)
    slots = np.empty(num_set_slots(longest_bytes), np.uint64)
    window = np.empty(chars_per_shingle, np.uint64)
    offsets = np.zeros(num_documents + 1, np.int64)
    hashes = np.empty(text_offsets[-1] - text_offsets[0] + 1, np.uint64)
    for document in range(num_documents):
        begin, end = text_offsets[document], text_offsets[document + 1]
        num_found = _roll(data, begin, end, window, found)
        num_found = sort_distinct(found, num_found, slots)
        used = offsets[document]
        hashes = grown(hashes, used, used + num_found)
        hashes[used : used + num_found] = found[:num_found]
        offsets[document + 1] = used + num_found
    return offsets, hashes


@kernel
def _roll(data: Bytes, begin: int, end: int, scratch_window: Hashes, out: Hashes) -> int:
    """Write the hash of every run of as many code points as the window holds; their number."""
    chars_per_shingle = len(scratch_window)
    leading = np.uint64(1)  # STEP ** (chars_per_shingle - 1): what the first character is times
    for _ in range(chars_per_shingle - 1):
        leading *= STEP
    state = np.uint64(0)
    num_chars = slot = num_found = 0
    position = begin
    while position < end:
        code, width = decode(data, position, end)
        position += width
        if num_chars >= chars_per_shingle:
            state -= scratch_window[slot] * leading
        value = finish(extend(SEED, np.uint64(code)))
        state = state * STEP + value
        scratch_window[slot] = value
        slot += 1
        if slot == chars_per_shingle:
            slot = 0
        num_chars += 1
        if num_chars >= chars_per_shingle:
            out[num_found] = min(finish(state), NO_SHINGLE - np.uint64(1))
            num_found += 1
    if 0 < num_chars < chars_per_shingle:
        out[0] = min(finish(state), NO_SHINGLE - np.uint64(1))
        num_found = 1
    return num_found
