"""Turns a text into hashed features, and sums a linear model's weights over them.

Input: an Arrow string array. Output: for each document the distinct buckets of its words and of its
pairs of neighbouring words (bessemer.text.words), or the score that a linear model gives them.

A bucket is the top bits of a 64-bit hash: of the folded word, or of both words' hashes. A document
of n distinct buckets is the vector with 1 / sqrt(n) at each of them (length one, whatever the
document's length; a phrase that is repeated counts once). Its score is the sum of the weights
there, divided by sqrt(n), plus the intercept.

Invariants: buckets stand in the order in which they first appear; sums are float64, taken in that
order, so a score is the same for any neighbours and on every machine. Time is linear in bytes;
memory beyond the output is 4 bytes per bucket and the words of the longest document.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Codes,
    Counts,
    Hashes,
    Integer,
    Offsets,
    grown,
    kernel,
    longest_document_bytes,
    utf8_buffers,
)
from bessemer.text.characters import class_table, fold_table
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.words import empty_words, find_words, max_words

FEATURES_VERSION = 1
"""Raised when the same text comes to have other buckets: a model holds for one version only."""


class Buckets(NamedTuple):
    """The distinct buckets of each document: those of document `i` are rows `offsets[i]` to
    `offsets[i + 1]`."""

    offsets: Offsets  # int64, one more than documents
    buckets: Counts  # int32, in order of first appearance


def ngram_buckets(array: pa.Array | pa.ChunkedArray, bucket_bits: int) -> Buckets:
    """Return the distinct buckets of every document, of 2**bucket_bits (at most 31 bits)."""
    offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(offsets)
    bucket_offsets, buckets = _list_buckets(
        offsets, data, class_table(), fold_table(), longest_bytes, bucket_bits
    )
    return Buckets(bucket_offsets, buckets[: bucket_offsets[-1]].copy())


def linear_scores(
    array: pa.Array | pa.ChunkedArray, weights: npt.NDArray[np.float32], intercept: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the score of every document (float64) and the number of its distinct buckets (int64).

    `weights` has a power of two of float32. A document without words has the score `intercept`.
    """
    offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(offsets)
    return _sum_weights(  # type: ignore[no-any-return]
        offsets, data, class_table(), fold_table(), longest_bytes, weights, intercept
    )


def bucket_scores(
    found: Buckets, weights: npt.NDArray[np.float32], intercept: float
) -> npt.NDArray[np.float64]:
    """Return what `linear_scores` gives the documents that these buckets are of."""
    scores = np.empty(len(found.offsets) - 1, np.float64)
    _weigh_all(found.offsets, found.buckets, weights, intercept, scores)
    return scores


def pair_hashes(hashes: Hashes) -> Hashes:
    """Return the hash of each word with the next one (uint64, one fewer than words)."""
    out = np.empty(max(0, len(hashes) - 1), np.uint64)
    _fill_pairs(hashes, out)
    return out


def buckets_of(hashes: Hashes, bucket_bits: int) -> npt.NDArray[np.int64]:
    """Return the bucket of each hash of a word or a pair."""
    return (hashes >> np.uint64(64 - bucket_bits)).astype(np.int64)


@kernel
def _pair(first: np.uint64, second: np.uint64) -> np.uint64:
    return finish(extend(extend(SEED, first), second))


@kernel
def _fill_pairs(hashes: Hashes, out: Hashes) -> None:
    for i in range(len(out)):
        out[i] = _pair(hashes[i], hashes[i + 1])


@kernel
def _distinct(
    hashes: Hashes, num_words: int, shift: Integer, seen: Codes, stamp: Integer, out: Counts
) -> int:
    """Write the distinct buckets of a document's words and pairs; return their number.

    `seen` holds for each bucket the stamp of the last document that had it.
    """
    num_found = 0
    for word in range(num_words):
        for kind in range(2):
            if kind == 0:
                key = hashes[word]
            elif word + 1 < num_words:
                key = _pair(hashes[word], hashes[word + 1])
            else:
                break
            bucket = np.int64(key >> np.uint64(shift))
            if seen[bucket] != stamp:
                seen[bucket] = stamp
                out[num_found] = bucket
                num_found += 1
    return num_found


@kernel
def _weigh(
    buckets: Counts, first: int, last: int, weights: npt.NDArray[np.float32], intercept: float
) -> float:
    total = 0.0
    for i in range(first, last):
        total += weights[buckets[i]]
    if last > first:
        total /= np.sqrt(last - first)
    return total + intercept


@kernel
def _weigh_all(
    offsets: Offsets,
    buckets: Counts,
    weights: npt.NDArray[np.float32],
    intercept: float,
    out: npt.NDArray[np.float64],
) -> None:
    for document in range(len(out)):
        out[document] = _weigh(
            buckets, offsets[document], offsets[document + 1], weights, intercept
        )


@njit(cache=True, nogil=True)
def _list_buckets(
    offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    fold: Codes,
    longest_bytes: int,
    bucket_bits: int,
) -> tuple[Offsets, Counts]:
    num_documents = len(offsets) - 1
    most_words = max_words(longest_bytes)
    words = empty_words(most_words)
    found = np.empty(2 * most_words, np.int32)
    seen = np.zeros(1 << bucket_bits, np.uint32)
    out_offsets = np.zeros(num_documents + 1, np.int64)
    # Grown by doubling: the worst case would be a bucket for every byte.
    out = np.empty(max(16, (offsets[-1] - offsets[0]) // 4), np.int32)
    for document in range(num_documents):
        num_words = find_words(data, offsets[document], offsets[document + 1], classes, fold, words)
        first = out_offsets[document]
        last = first + _distinct(
            words.hashes, num_words, 64 - bucket_bits, seen, document + 1, found
        )
        out = grown(out, first, last)
        out[first:last] = found[: last - first]
        out_offsets[document + 1] = last
    return out_offsets, out


@njit(cache=True, nogil=True)
def _sum_weights(
    offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    fold: Codes,
    longest_bytes: int,
    weights: npt.NDArray[np.float32],
    intercept: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    num_documents = len(offsets) - 1
    most_words = max_words(longest_bytes)
    words = empty_words(most_words)
    found = np.empty(2 * most_words, np.int32)
    seen = np.zeros(len(weights), np.uint32)
    shift = 64
    while 1 << (64 - shift) < len(weights):
        shift -= 1
    scores = np.empty(num_documents, np.float64)
    num_buckets = np.empty(num_documents, np.int64)
    for document in range(num_documents):
        num_words = find_words(data, offsets[document], offsets[document + 1], classes, fold, words)
        num_found = _distinct(words.hashes, num_words, shift, seen, document + 1, found)
        scores[document] = _weigh(found, 0, num_found, weights, intercept)
        num_buckets[document] = num_found
    return scores, num_buckets
