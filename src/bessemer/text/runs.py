"""Finds texts that share a run of words: by hashes of all runs, or by a few that must meet.

Input: an Arrow string array. Words are those of `bessemer.text.words`, so case, punctuation and
white space do not count.

Two roads to the same answer. `run_hashes` has one hash per run of `words_per_run` words: texts
that share a run share a hash, and the other way round (up to hashes that are equal by chance, odds
in `bessemer.text.hashing`). `fingerprints` picks a few hashes of shorter runs, by winnowing
(Schleimer, Wilkerson and Aiken 2003, section 3): of every `words_per_run` words in a row at least
one is picked, by what they say alone, so that texts that share that many words share a fingerprint;
one that is shared proves only its shorter run.

A filter (Bloom 1970) tells which hashes cannot be among those that it was filled with. The hash
is spread over 64 bits already: parts of it are the places.

Invariants: texts of fewer words than a run have neither hashes nor fingerprints. Time is linear in
bytes (for fingerprints in words times `shorter_words`, half a run).
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bools,
    Bytes,
    Codes,
    Hashes,
    Offsets,
    grown,
    kernel,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import class_table, fold_table
from bessemer.text.hashing import SEED, STEP, extend, finish
from bessemer.text.shingles import require_positive
from bessemer.text.words import empty_words, find_words, max_words

Bits = npt.NDArray[np.uint64]

_BITS_PER_HASH = 16  # one in 700 of those that were not filled in passes
_PROBES = 4


def run_hashes(array: pa.Array | pa.ChunkedArray, words_per_run: int) -> tuple[Offsets, Hashes]:
    """Return a hash per run of `words_per_run` words, in text order, repeats included.

    Those of document `i` are `hashes[offsets[i]:offsets[i + 1]]`. Raises ValueError if
    words_per_run < 1.
    """
    return _over_documents(array, words_per_run, 0)


def fingerprints(array: pa.Array | pa.ChunkedArray, words_per_run: int) -> tuple[Offsets, Hashes]:
    """Return hashes of runs of half as many words, of which any `words_per_run` words have one.

    Layout and errors as of `run_hashes`.
    """
    return _over_documents(array, words_per_run, (words_per_run + 1) // 2)


def empty_filter(num_hashes: int, max_bytes: int) -> Bits:
    """Return a filter for so many hashes, of a power of two bytes: `max_bytes` at most, 8 at least.

    One that is smaller than it should be lets more pass, and is as right.
    """
    num_words = 1
    while num_words * 64 < num_hashes * _BITS_PER_HASH and num_words * 16 <= max_bytes:
        num_words *= 2
    return np.zeros(num_words, np.uint64)


def fill_filter(bits: Bits, hashes: Hashes) -> None:
    """Fill `hashes` into a filter, in place."""
    _fill(bits, read_only(hashes))


def may_hold(bits: Bits, hashes: Hashes) -> Bools:
    """Return for each hash whether it may have been filled in: False is certain."""
    out = np.empty(len(hashes), np.bool_)
    _probe(read_only(bits), read_only(hashes), out)
    return out


def _over_documents(
    array: pa.Array | pa.ChunkedArray, words_per_run: int, shorter_words: int
) -> tuple[Offsets, Hashes]:
    require_positive("words_per_run", words_per_run)
    text_offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(text_offsets)
    offsets, hashes = _hash_documents(
        text_offsets,
        data,
        class_table(),
        fold_table(),
        longest_bytes,
        words_per_run,
        shorter_words,
    )
    return offsets, hashes[: offsets[-1]].copy()


@njit(cache=True, nogil=True)
def _hash_documents(
    text_offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    fold: Codes,
    longest_bytes: int,
    words_per_run: int,
    shorter_words: int,
) -> tuple[Offsets, Hashes]:
    num_documents = len(text_offsets) - 1
    limit = max_words(longest_bytes)
    words = empty_words(limit)
    found = np.empty(limit, np.uint64)
    scratch = np.empty(limit if shorter_words else 0, np.uint64)
    offsets = np.zeros(num_documents + 1, np.int64)
    hashes = np.empty((text_offsets[-1] - text_offsets[0]) // 8 + 1, np.uint64)
    for document in range(num_documents):
        begin, end = text_offsets[document], text_offsets[document + 1]
        num_words = find_words(data, begin, end, classes, fold, words)
        if shorter_words:
            num_found = _winnow(
                words.hashes, num_words, words_per_run, shorter_words, scratch, found
            )
        else:
            num_found = _roll(words.hashes, num_words, words_per_run, found)
        used = offsets[document]
        hashes = grown(hashes, used, used + num_found)
        hashes[used : used + num_found] = found[:num_found]
        offsets[document + 1] = used + num_found
    return offsets, hashes


@kernel
def _roll(words: Hashes, num_words: int, words_per_run: int, out: Hashes) -> int:
    """Hash runs as polynomials in STEP modulo 2**64: one multiplication takes a run to the next.

    (Karp and Rabin 1987.) Coefficients are hashes of words, spread over 64 bits, so that sums of
    different runs meet by chance alone; `finish` spreads what comes of it.
    """
    num_runs = num_words - words_per_run + 1
    if num_runs < 1:
        return 0
    leaving = np.uint64(1)
    state = np.uint64(0)
    for i in range(words_per_run):
        state = state * STEP + words[i]
        leaving *= STEP
    out[0] = finish(state)
    for i in range(1, num_runs):
        state = state * STEP + words[i + words_per_run - 1] - leaving * words[i - 1]
        out[i] = finish(state)
    return num_runs


@kernel
def _winnow(
    words: Hashes,
    num_words: int,
    words_per_run: int,
    shorter_words: int,
    scratch: Hashes,
    out: Hashes,
) -> int:
    """Pick the least hash (the last of equal ones) of each window of shorter runs, each once."""
    num_shorter = num_words - shorter_words + 1
    window = words_per_run - shorter_words + 1
    if num_shorter < window:
        return 0
    for i in range(num_shorter):
        state = SEED
        for j in range(i, i + shorter_words):
            state = extend(state, words[j])
        scratch[i] = finish(state)
    num_found = 0
    least = -1
    for stop in range(window, num_shorter + 1):
        begin = stop - window
        if least < begin:  # it left the window: look through all of it
            least = begin
            for i in range(begin + 1, stop):
                if scratch[i] <= scratch[least]:
                    least = i
        elif scratch[stop - 1] <= scratch[least]:
            least = stop - 1
        else:
            continue
        out[num_found] = scratch[least]
        num_found += 1
    return num_found


@njit(cache=True, nogil=True)
def _fill(bits: Bits, hashes: Hashes) -> None:
    mask = np.uint64(len(bits) - 1)
    for i in range(len(hashes)):
        word, pattern = _place(hashes[i], mask)
        bits[word] |= pattern


@njit(cache=True, nogil=True)
def _probe(bits: Bits, hashes: Hashes, out: Bools) -> None:
    mask = np.uint64(len(bits) - 1)
    for i in range(len(hashes)):
        word, pattern = _place(hashes[i], mask)
        out[i] = bits[word] & pattern == pattern


@kernel
def _place(value: np.uint64, mask: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the word of the filter that a hash has, and its bits there: one look into memory.

    (A filter in blocks: Putze, Sanders and Singler 2007.)
    """
    pattern = np.uint64(0)
    high = value * STEP
    for probe in range(_PROBES):
        pattern |= np.uint64(1) << (high >> np.uint64(40 + 6 * probe) & np.uint64(63))
    return value & mask, pattern
