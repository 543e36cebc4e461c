"""Gives every window of a text a key, so that equal windows of a corpus come to one place.

Input: sequences of symbols (bytes, or 64-bit hashes of words), as offsets and one array; a window
is `length` symbols in a row. Output: runs of windows with the same key, in text order.

The key of a window is the least of the hashes of its k-grams, k being half of the window: a
minimizer (Roberts et al. 2004, "Reducing storage requirements for biological sequence comparison";
as winnowing Schleimer, Wilkerson and Aiken 2003). Neighbouring windows share most k-grams and so,
mostly, the key: what is sent to the place of a key is a run of windows at once, whose symbols
overlap (the super-k-mers of Li et al. 2013, MSPKmerCounter, and Deorowicz et al. 2015, KMC 2). A
text of random symbols has a run for every (length - k + 2) / 2 of them.

Invariants: the key depends on the symbols of the window alone, so equal windows have equal keys;
that other windows may have it too costs time and nothing else. A run is as long as the key stays
the same, whichever of several equal k-grams it is of, so a stretch of one character is one run.
Places are 64-bit integers.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Bytes, Hashes, Offsets, grown, kernel, read_only
from bessemer.text.hashing import STEP, finish

Symbols = Bytes | Hashes

NO_KEY = np.uint64(2**64 - 1)


class Runs(NamedTuple):
    """Windows in a row with the same key, a row for each run, in text order."""

    keys: Hashes
    sequence: Offsets  # int64, the row that the run is of
    first: Offsets  # int64, the symbol of that at which its first window begins
    num_windows: Offsets  # int64
    places: Offsets  # 1 if the key's k-gram stands at one place of the run, else 2


def window_runs(offsets: Offsets, symbols: Symbols, length: int) -> Runs:
    """Return the runs of windows of each sequence.

    A run whose key stands at one place has no window twice. A sequence shorter than a window has no
    run. Cost: linear, whatever the length of a window.
    """
    runs: Runs = _list_runs(read_only(offsets), read_only(symbols), symbol_values(), length)
    return runs


def symbol_values() -> Hashes:
    """What a byte counts for in a hash, uint64 [256]; a word's hash counts for itself."""
    multiples = np.arange(1, 257, dtype=np.uint64) * STEP
    return read_only(np.array([finish(each) for each in multiples], np.uint64))


def cut_runs(
    offsets: Offsets, symbols: Symbols, sequence: Offsets, first: Offsets, num_symbols: Offsets
) -> tuple[Offsets, Symbols]:
    """Return the symbols of runs one after the other, as offsets and an array of their type."""
    cut: tuple[Offsets, Symbols] = _cut_runs(
        read_only(offsets), read_only(symbols), sequence, first, num_symbols
    )
    return cut


@kernel
def value_at(symbols: Symbols, place: int, values: Hashes) -> np.uint64:
    """Return what the symbol at `place` counts for in a hash."""
    symbol = symbols[place]
    # Known when compiled, so no turn of a loop asks.
    return values[symbol] if symbols.itemsize == 1 else np.uint64(symbol)


@kernel
def leading_factor(num_symbols: int) -> np.uint64:
    """Return what the first of so many symbols is multiplied by in a rolling hash."""
    factor = np.uint64(1)
    for _ in range(num_symbols):
        factor *= STEP
    return factor


@njit(cache=True, nogil=True)
def _cut_runs(
    offsets: Offsets, symbols: Symbols, sequence: Offsets, first: Offsets, num_symbols: Offsets
) -> tuple[Offsets, Symbols]:
    ends = np.zeros(len(sequence) + 1, np.int64)
    for run in range(len(sequence)):
        ends[run + 1] = ends[run] + num_symbols[run]
    out = np.empty(ends[-1], symbols.dtype)
    for run in range(len(sequence)):
        begin = offsets[sequence[run]] + first[run]
        out[ends[run] : ends[run + 1]] = symbols[begin : begin + num_symbols[run]]
    return ends, out


@njit(cache=True, nogil=True)
def _list_runs(offsets: Offsets, symbols: Symbols, values: Hashes, length: int) -> Runs:
    gram = (length + 1) // 2
    width = length - gram + 1  # k-grams in a window
    ring_size = 1
    while ring_size < 2 * width:
        ring_size *= 2
    ring = np.empty(ring_size, np.uint64)  # hashes of the last k-grams
    suffix = np.empty(width + 1, np.uint64)
    lost = leading_factor(gram)
    num_runs = 0
    capacity = max(16, 2 * (offsets[-1] - offsets[0]) // width)
    keys = np.empty(capacity, np.uint64)
    sequences, firsts = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    counts, places = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    for sequence in range(len(offsets) - 1):
        begin, end = offsets[sequence], offsets[sequence + 1]
        if end - begin < length:
            continue
        num_windows = end - begin - length + 1
        most = num_runs + num_windows
        keys = grown(keys, num_runs, most)
        sequences = grown(sequences, num_runs, most)
        firsts = grown(firsts, num_runs, most)
        counts = grown(counts, num_runs, most)
        places = grown(places, num_runs, most)
        before = num_runs
        num_runs = _runs_of_sequence(
            *(symbols, begin, end, values, gram, width, lost, ring, suffix),
            *(num_runs, keys, firsts, counts, places),
        )
        sequences[before:num_runs] = sequence
    return Runs(
        keys[:num_runs].copy(),
        sequences[:num_runs].copy(),
        firsts[:num_runs].copy(),
        counts[:num_runs].copy(),
        places[:num_runs].copy(),
    )


@kernel
def _runs_of_sequence(
    symbols: Symbols,
    begin: int,
    end: int,
    values: Hashes,
    gram: int,
    width: int,
    lost: np.uint64,
    ring: Hashes,
    suffix: Hashes,
    num_runs: int,
    keys: Hashes,
    firsts: Offsets,
    counts: Offsets,
    places: Offsets,
) -> int:
    """Append the runs of one sequence; return how many there are in all.

    The least hash of a window in three comparisons per symbol, without a branch (van Herk 1992, Gil
    and Werman 1993): k-grams come in blocks of `width`; a window is the end of one block, whose
    least is `suffix`, and the beginning of the next, whose least is `prefix`.
    """
    mask = len(ring) - 1
    state = np.uint64(0)
    for place in range(begin, begin + gram - 1):
        state = state * STEP + value_at(symbols, place, values)
    for at in range(width):
        place = begin + gram - 1 + at
        state = state * STEP + value_at(symbols, place, values)
        if at:
            state -= lost * value_at(symbols, place - gram, values)
        ring[at & mask] = finish(state)
    _fill_suffix(ring, mask, 0, width, suffix)
    key = suffix[0]
    first = 0  # window that began the run
    num_grams = end - begin - gram + 1
    at = width
    while at < num_grams:
        block = at
        prefix = NO_KEY
        for at in range(block, min(block + width, num_grams)):
            place = begin + gram - 1 + at
            state = state * STEP + value_at(symbols, place, values)
            state -= lost * value_at(symbols, place - gram, values)
            hashed = finish(state)
            ring[at & mask] = hashed
            prefix = min(prefix, hashed)
            least = min(prefix, suffix[at - block + 1])
            if least != key:
                window = at - width + 1
                keys[num_runs], firsts[num_runs] = key, first
                counts[num_runs] = window - first
                places[num_runs] = _count_places(ring, mask, first, at, key, width)
                num_runs += 1
                key, first = least, window
        at = block + width
        if at < num_grams:
            _fill_suffix(ring, mask, block, width, suffix)
    keys[num_runs], firsts[num_runs] = key, first
    counts[num_runs] = num_grams - width + 1 - first
    places[num_runs] = _count_places(ring, mask, first, num_grams, key, width)
    return num_runs + 1


@kernel
def _fill_suffix(ring: Hashes, mask: int, block: int, width: int, suffix: Hashes) -> None:
    """Let suffix[i] be the least hash of a block from its i-th k-gram on."""
    least = NO_KEY
    suffix[width] = least
    for at in range(width - 1, -1, -1):
        least = min(least, ring[(block + at) & mask])
        suffix[at] = least


@kernel
def _count_places(ring: Hashes, mask: int, first: int, end: int, key: np.uint64, width: int) -> int:
    """Return at how many of the k-grams `first` to `end` of a run its key stands: 1, or 2 for more.

    No k-gram is in more windows than `width`: a longer run has several with its key.
    """
    if end - first >= 2 * width:
        return 2
    num_places = 0
    for at in range(first, end):
        num_places += ring[at & mask] == key
    return min(num_places, 2)
