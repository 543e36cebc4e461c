"""Best-fit packing: samples filled with whole documents, cutting only those longer than a sample.

Best fit decreasing, as in "Fewer Truncations Improve Language Modeling" (Ding et al. 2024, arXiv
2404.10830). A document of n tokens is n - 1 predictions, and a sample of `seq_len` places holds so
many of them: an END token predicts nothing and takes no place as an input. A longer document gives
full pieces of `seq_len` predictions; the last token of one is predicted there and is the first
input of the next, so no prediction is lost. The rests are packed from the longest to the shortest,
each where the least room is left that suffices, into a new sample if there is none; of equally
full samples, into the one filled last, and of equally long rests, the earlier document's first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit

from bessemer.core.errors import IntegrityError
from bessemer.core.storage import atomic_path

PIECE = np.dtype([("position", "<i8"), ("num_tokens", "<i4")])
"""A piece: where its inputs begin in the source's stream, and how many they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packing:
    """Samples of one length made of pieces: sample i has `pieces[bounds[i] : bounds[i + 1]]`."""

    bounds: np.ndarray  # int64 [num_samples + 1]
    pieces: np.ndarray  # PIECE, those of a sample in the order of the stream

    @property
    def num_samples(self) -> int:
        """Samples, each with at least one piece."""
        return len(self.bounds) - 1

    def tokens(self) -> np.ndarray:
        """int64 [num_samples]: places of each sample that hold a token."""
        before = np.concatenate([[0], np.cumsum(self.pieces["num_tokens"], dtype=np.int64)])
        held: np.ndarray = np.diff(before[self.bounds])
        return held


def pack_documents(starts: np.ndarray, lengths: np.ndarray, seq_len: int) -> Packing:
    """Pack documents that begin at `starts` in a stream and have `lengths` tokens (int64).

    O(n log seq_len). A document of one token predicts nothing and is in no sample.
    """
    predictions = np.maximum(lengths - 1, 0)
    num_full, rests = predictions // seq_len, predictions % seq_len
    total_full = int(num_full.sum())
    document = np.repeat(np.arange(len(lengths)), num_full)
    within = np.arange(total_full) - np.repeat(np.cumsum(num_full) - num_full, num_full)
    with_rest = np.flatnonzero(rests)
    bins = np.empty(len(with_rest), np.int64)
    # A stable sort of what is negated: decreasing, and the earlier document first among equals.
    order = np.argsort(-rests[with_rest], kind="stable")
    num_bins = _best_fit(rests[with_rest], order, seq_len, bins)
    pieces = np.empty(total_full + len(with_rest), PIECE)
    pieces["position"][:total_full] = starts[document] + within * seq_len
    pieces["num_tokens"][:total_full] = seq_len
    by_bin = np.argsort(bins, kind="stable")
    last = with_rest[by_bin]
    pieces["position"][total_full:] = starts[last] + num_full[last] * seq_len
    pieces["num_tokens"][total_full:] = rests[last]
    counts = np.concatenate([np.ones(total_full, np.int64), np.bincount(bins, minlength=num_bins)])
    return Packing(bounds=np.concatenate([[0], np.cumsum(counts)]), pieces=pieces)


def write_packing(prefix: Path, packing: Packing) -> None:
    """Write `<prefix>.pieces.npy` and `<prefix>.bounds.npy`."""
    for name, array in (("pieces", packing.pieces), ("bounds", packing.bounds)):
        with (
            atomic_path(prefix.with_name(f"{prefix.name}.{name}.npy")) as path,
            path.open("wb") as file,
        ):
            np.save(file, array, allow_pickle=False)


def read_packing(prefix: Path) -> Packing:
    """Map what `write_packing` wrote into memory; IntegrityError if it is missing or damaged."""
    arrays = []
    for name in ("bounds", "pieces"):
        path = prefix.with_name(f"{prefix.name}.{name}.npy")
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise IntegrityError(
                f"{path} is missing or damaged ({error}); delete its folder and run again"
            ) from error
        arrays.append(np.asarray(mapped))
    return Packing(bounds=arrays[0], pieces=arrays[1])


@njit(cache=True, nogil=True)
def _best_fit(sizes: np.ndarray, order: np.ndarray, capacity: int, out_bins: np.ndarray) -> int:
    """Put things of `sizes` (1 to `capacity`) into bins, in `order`; returns how many bins.

    Bins that have the same room left are a stack; a tree over all amounts of room (each node says
    whether any stack below it has a bin) finds the smallest that suffices.
    """
    leaves = 1
    while leaves <= capacity:
        leaves *= 2
    has_bin = np.zeros(2 * leaves, np.bool_)
    top = np.full(capacity + 1, -1, np.int64)
    below = np.empty(len(sizes), np.int64)
    num_bins = 0
    for thing in order:
        room = _least_room(has_bin, leaves, sizes[thing])
        if room < 0:
            chosen, room = num_bins, capacity
            num_bins += 1
        else:
            chosen = top[room]
            top[room] = below[chosen]
            if top[room] < 0:
                _mark(has_bin, leaves + room, False)
        out_bins[thing] = chosen
        room -= sizes[thing]
        if room > 0:
            below[chosen] = top[room]
            if top[room] < 0:
                _mark(has_bin, leaves + room, True)
            top[room] = chosen
    return num_bins


@njit(cache=True, nogil=True)
def _least_room(has_bin: np.ndarray, leaves: int, size: int) -> int:
    """The least room of any bin that is at least `size`; -1 if there is none."""
    node = leaves + size
    while not has_bin[node]:
        # Up while this is a right child, or nothing is to the right; then over to the right.
        while node % 2 == 1 or not has_bin[node + 1]:
            node //= 2
            if node <= 1:
                return -1
        node += 1
        while node < leaves:
            node = 2 * node if has_bin[2 * node] else 2 * node + 1
    return node - leaves


@njit(cache=True, nogil=True)
def _mark(has_bin: np.ndarray, node: int, value: bool) -> None:
    """Set a leaf, and what follows for the nodes above it."""
    has_bin[node] = value
    while node > 1:
        node //= 2
        value = has_bin[2 * node] or has_bin[2 * node + 1]
        if has_bin[node] == value:
            break
        has_bin[node] = value
