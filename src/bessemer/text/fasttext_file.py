"""Reads a fastText classifier (.bin, or .ftz with product quantisation) into plain arrays.

Input: the path of a supervised model as fastText 0.9 writes it (file format version 11 or 12).
Output: a `FastText`: matrices, vocabulary and tree as arrays that kernels take. A large dense input
matrix stays a map of the file, a quantised one is expanded to float32.

Everything that the file claims is checked against its length before it is believed. Source of the
format: `FastText::loadModel`, `Dictionary::load`, `QMatrix::load`, `ProductQuantizer::load` and
`HierarchicalSoftmaxLoss::buildTree` of github.com/facebookresearch/fastText (MIT), version 0.9.2.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bessemer.text.buffers import Bools, Bytes, Counts, Hashes, Offsets, kernel
from bessemer.text.eight_bytes import eight_at
from bessemer.text.hashing import SEED, finish, num_slots

_MAGIC = 793712314
_SUPERVISED = 3
_HIERARCHICAL, _NEGATIVE, _SOFTMAX, _ONE_VS_ALL = 1, 2, 3, 4
_CENTROIDS = 256  # per part of a product quantiser: a code is a byte
_MOST_DIMS, _MOST_LABELS, _MOST_BUCKETS, _MOST_CHARS = 4096, 100_000, 2**28, 64
_MAPPED_BYTES = 2**28  # a dense matrix of this size and more is not copied into memory
_END_OF_LINE = np.frombuffer(b"</s>", np.uint8)
_LABEL = "__label__"

FREE, IS_LABEL = np.int32(-1), np.int32(-2)
"""What `word_ids` holds at a slot without a word, and at that of a label, which is no input."""

Floats = npt.NDArray[np.float32]


class Ngrams(NamedTuple):
    """Which n-grams of characters a word has, and where their rows are."""

    num_words: int  # the rows before the first n-gram
    num_buckets: np.uint64
    reciprocal: np.uint64  # for `bucket_of`
    shortest: int  # characters, of a word between "<" and ">"
    longest: int  # 0: no n-grams
    # Buckets that were not pruned have rows in their order. 64 in a number, and how many are left
    # before these, take a twentieth of a list of rows: most are pruned, and this fits a cache.
    kept_bits: Hashes  # uint64, from the lowest bit on
    num_before: Counts  # int32


class FastText(NamedTuple):
    """A classifier as arrays. D dimensions, L labels, N columns of the output, R rows."""

    labels: tuple[str, ...]  # L, without "__label__"
    input_RD: Floats  # a row per word, then one per bucket of n-grams
    output_DN: Floats  # a column per label, or, with a tree, per inner node (N = L - 1)
    children_N2: npt.NDArray[np.int32]  # below L a label, else L + an inner node; N = 0: no tree
    is_softmax: bool  # without a tree and this, each label has a probability of its own
    word_keys: Hashes  # uint64 hash of a word's bytes, by slot (open addressing)
    word_ids: Counts  # int32 row of the word at the slot, FREE or IS_LABEL
    ngrams: Ngrams
    end_row: int  # row of the end of a line; -1 if there is none


def read_fasttext(path: Path) -> FastText:
    """The classifier in `path`. OSError if it cannot be read, ValueError says what is wrong."""
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise ValueError("it is empty") from None
    reader = _Reader(data)
    magic, version = reader.values("<ii") if len(data) >= 8 else (0, 0)
    if magic != _MAGIC or version not in (11, 12):
        raise ValueError("it does not begin as models of fastText do")
    settings = reader.values("<12id")
    dims, word_ngrams, loss, model = (settings[place] for place in (0, 5, 6, 7))
    num_buckets, shortest, longest = settings[8:11]
    if version == 11:
        longest = 0  # older classifiers have no n-grams of characters, whatever they say
    if model != _SUPERVISED:
        raise ValueError("it holds word vectors and is no classifier")
    if word_ngrams > 1:
        raise ValueError("it goes by n-grams of words; only those of characters are read")
    if loss not in (_HIERARCHICAL, _NEGATIVE, _SOFTMAX, _ONE_VS_ALL):
        raise ValueError(f"its loss {loss} is unknown")
    sizes = ((dims, 1, _MOST_DIMS), (num_buckets, 0, _MOST_BUCKETS), (longest, 0, _MOST_CHARS))
    if any(not low <= size <= high for size, low, high in sizes):
        raise ValueError("its settings are out of range")
    words = _read_words(reader)
    has_ngrams = longest > 0 and num_buckets > 0
    row_of_bucket = _read_pruned(reader, words, num_buckets if has_ngrams else 0)
    is_quantised = bool(reader.values("<B")[0])
    if words.num_pruned >= 0 and not is_quantised:
        raise ValueError("its n-grams are pruned, but its matrix is not quantised")
    input_RD = _read_matrix(reader, is_quantised)
    num_rows = words.num_words + (num_buckets if has_ngrams and words.num_pruned < 0 else 0)
    num_rows = max(num_rows, int(row_of_bucket.max(initial=-1)) + 1, 1)
    if len(input_RD) < num_rows or input_RD.shape[1] != dims:
        raise ValueError(f"its input matrix is of shape {input_RD.shape}")
    is_kept = np.ones(num_buckets if has_ngrams else 0, np.bool_)
    if words.num_pruned >= 0:
        is_kept = row_of_bucket >= 0
        input_RD = np.concatenate([input_RD[: words.num_words], input_RD[row_of_bucket[is_kept]]])
    kept_bits, num_before = _bits(is_kept)
    is_output_quantised = bool(reader.values("<B")[0]) and is_quantised
    output_LD = _read_matrix(reader, is_output_quantised)
    num_labels = len(words.labels)
    if output_LD.shape != (num_labels, dims):
        raise ValueError(f"its output matrix is of shape {output_LD.shape}")
    children_N2 = np.zeros((0, 2), np.int32)
    if loss == _HIERARCHICAL and num_labels > 1:
        children_N2 = _tree(words.label_counts)
        output_LD = output_LD[: num_labels - 1]
    return FastText(
        labels=words.labels,
        input_RD=input_RD,
        output_DN=np.ascontiguousarray(output_LD.T),
        children_N2=children_N2,
        is_softmax=loss == _SOFTMAX,
        word_keys=words.keys,
        word_ids=words.ids,
        ngrams=Ngrams(
            num_words=words.num_words,
            num_buckets=np.uint64(num_buckets),
            reciprocal=np.uint64((2**32 - 1) // max(1, num_buckets)),
            shortest=shortest,
            longest=longest if has_ngrams else 0,
            kept_bits=kept_bits,
            num_before=num_before,
        ),
        end_row=_row_of(words.keys, words.ids, _END_OF_LINE),
    )


@kernel
def hash_eight(state: np.uint64, eight: np.uint64) -> np.uint64:
    """Return the state of a word's hash after eight more of its bytes.

    Behind its last byte are zeros, one at least: a word of eight bytes takes two turns.
    """
    return finish(state ^ eight)


@kernel
def bucket_of(state: np.uint32, num_buckets: np.uint64, reciprocal: np.uint64) -> np.uint64:
    """Return `state % num_buckets` without dividing; `reciprocal` is (2**32 - 1) // num_buckets.

    The quotient is at most one too small, for `state` times what the reciprocal lacks is below 1.
    """
    rest = state - (state * reciprocal >> np.uint64(32)) * num_buckets
    return np.uint64(rest - num_buckets if rest >= num_buckets else rest)


@kernel
def find_word(keys: Hashes, ids: Counts, key: np.uint64) -> int:
    """Return the row of the word with this hash, FREE if there is none, IS_LABEL for a label."""
    mask = np.uint64(len(keys) - 1)
    slot = key & mask
    while ids[slot] != FREE and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return ids[slot]  # type: ignore[no-any-return]


class _Reader:
    """The bytes of a file in their order; ValueError where they end."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data: Bytes = np.frombuffer(data, np.uint8)
        self.at = 0

    def values(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self.array("u1", struct.calcsize(form)).tobytes())

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        """The next `count` numbers, as a view of the file that may not be aligned."""
        num_bytes = count * np.dtype(kind).itemsize
        if not 0 <= num_bytes <= len(self.data) - self.at:
            raise ValueError("it is cut short, or its sizes are wrong")
        self.at += num_bytes
        return np.frombuffer(self.data, kind, count, self.at - num_bytes)


class _Words(NamedTuple):
    num_words: int
    num_pruned: int  # n-grams that are left; -1 if none was pruned
    keys: Hashes
    ids: Counts
    labels: tuple[str, ...]
    label_counts: npt.NDArray[np.int64]


def _read_words(reader: _Reader) -> _Words:
    num_entries, num_words, num_labels, _, num_pruned = reader.values("<iiiqq")
    if not (0 < num_labels <= _MOST_LABELS and num_words >= 0):
        raise ValueError(f"its vocabulary has {num_words} words and {num_labels} labels")
    left = len(reader.data) - reader.at
    if num_entries != num_words + num_labels or num_entries > left // 10:  # of ten bytes and more
        raise ValueError("its vocabulary has another number of entries than it says")
    keys, ids, starts, counts, end = _hash_entries(
        reader.data, reader.at, num_words, num_labels, num_slots(num_entries)
    )
    if end < 0:
        raise ValueError("its vocabulary is damaged")
    labels = []
    for start in starts.tolist():
        stop = start + int(np.flatnonzero(reader.data[start : start + 1024] == 0)[:1].sum())
        label = reader.data[start:stop].tobytes().decode("utf-8", "replace")
        labels.append(label.removeprefix(_LABEL))
    reader.at = end
    return _Words(num_words, num_pruned, keys, ids, tuple(labels), counts)


@njit(cache=True, nogil=True)
def _hash_entries(
    data: Bytes, at: int, num_words: int, num_labels: int, slots: int
) -> tuple[Hashes, Counts, Offsets, Offsets, int]:
    """Place all entries by the hash of their bytes.

    Returns slots (keys, ids), where labels begin, their counts, and where entries end; -1 there if
    they do not. An entry is text that ends with a zero byte, an int64 count, and a byte that is 0
    for a word, 1 for a label.
    """
    keys = np.zeros(slots, np.uint64)
    ids = np.full(slots, FREE, np.int32)
    starts = np.zeros(num_labels, np.int64)
    counts = np.zeros(num_labels, np.int64)
    mask = np.uint64(slots - 1)
    for entry in range(num_words + num_labels):
        start = at
        while at < len(data) and data[at] != 0:
            at += 1
        if at + 10 > len(data) or data[at + 9] != (entry >= num_words):
            return keys, ids, starts, counts, -1
        key = _hash_word(data, start, at)
        if entry >= num_words:
            count = np.int64(0)
            for byte in range(8):
                count |= np.int64(data[at + 1 + byte]) << (8 * byte)
            starts[entry - num_words] = start
            counts[entry - num_words] = count
        slot = key & mask
        while ids[slot] != FREE:
            slot = (slot + np.uint64(1)) & mask
        keys[slot] = key
        ids[slot] = entry if entry < num_words else IS_LABEL
        at += 10
    return keys, ids, starts, counts, at


@njit(cache=True, nogil=True)
def _row_of(keys: Hashes, ids: Counts, word: Bytes) -> int:
    return find_word(keys, ids, _hash_word(word, 0, len(word)))


@kernel
def _hash_word(data: Bytes, begin: int, end: int) -> np.uint64:
    state = SEED
    for position in range(begin, end + 1, 8):
        state = hash_eight(state, eight_at(data, position, end))
    return state


def _read_pruned(reader: _Reader, words: _Words, num_buckets: int) -> Counts:
    """The row of every bucket, or an empty array if none was pruned."""
    if words.num_pruned < 0:
        return np.zeros(0, np.int32)
    pairs = reader.array("<i4", 2 * words.num_pruned).reshape(-1, 2)
    if pairs.size and (pairs.min() < 0 or pairs[:, 0].max() >= num_buckets):
        raise ValueError("its pruned n-grams are out of range")
    rows = np.full(num_buckets, -1, np.int32)
    rows[pairs[:, 0]] = pairs[:, 1] + words.num_words
    return rows


def _bits(is_kept: Bools) -> tuple[Hashes, Counts]:
    """Sixty-four in a number, from the lowest bit on, and how many are true before each number."""
    padded = np.pad(is_kept, (0, -len(is_kept) % 64))
    num_kept = padded.reshape(-1, 64).sum(axis=1)
    before = (np.cumsum(num_kept) - num_kept).astype(np.int32)
    return np.packbits(padded, bitorder="little").view(np.uint64), before


def _read_matrix(reader: _Reader, is_quantised: bool) -> Floats:
    if is_quantised:
        return _read_quantised(reader)
    num_rows, dims = reader.values("<qq")
    if not (0 <= num_rows <= 2**33 and 0 < dims <= _MOST_DIMS):
        raise ValueError(f"it has a matrix of {num_rows} rows and {dims} columns")
    values = reader.array("<f4", num_rows * dims).reshape(num_rows, dims)
    return values if values.nbytes >= _MAPPED_BYTES else np.array(values, np.float32)


def _read_quantised(reader: _Reader) -> Floats:
    """A product-quantised matrix, expanded: a code stands for a part of a row, and one perhaps for
    the row's length (Jegou et al. 2011)."""
    has_norms, num_rows, dims, num_codes = reader.values("<Bqqi")
    if not (0 <= num_rows <= 2**31 and 0 < dims <= _MOST_DIMS):
        raise ValueError(f"it has a matrix of {num_rows} rows and {dims} columns")
    codes = reader.array("u1", num_codes)
    parts = _read_quantiser(reader, dims)
    if num_codes != num_rows * len(parts):
        raise ValueError(f"it has {num_codes} codes for {num_rows} rows of {len(parts)} parts")
    rows = codes.reshape(num_rows, len(parts))
    matrix = np.concatenate([part[rows[:, at]] for at, part in enumerate(parts)], axis=1)
    if has_norms:
        norm_codes = reader.array("u1", num_rows)
        matrix *= _read_quantiser(reader, 1)[0][norm_codes]
    return np.ascontiguousarray(matrix, np.float32)


def _read_quantiser(reader: _Reader, dims: int) -> list[Floats]:
    """The centroids of each part of a row: float32 of shape (256, dimensions of the part)."""
    all_dims, num_parts, part_dims, last_dims = reader.values("<4i")
    if all_dims != dims or num_parts < 1 or (num_parts - 1) * part_dims + last_dims != dims:
        raise ValueError("its quantiser is of another shape than its matrix")
    if part_dims < 1 or last_dims < 1:
        raise ValueError("its quantiser has empty parts")
    flat = reader.array("<f4", dims * _CENTROIDS)
    widths = [part_dims] * (num_parts - 1) + [last_dims]
    ends = np.cumsum(widths) * _CENTROIDS
    return [
        np.array(flat[end - width * _CENTROIDS : end], np.float32).reshape(_CENTROIDS, width)
        for end, width in zip(ends.tolist(), widths, strict=True)
    ]


def _tree(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The Huffman tree of labels: both children of each inner node, the root last.

    Labels stand from the most frequent to the least. Ties go to the inner node, as in fastText.
    """
    num_labels = len(counts)
    weights = counts.tolist() + [10**15] * (num_labels - 1)
    children = np.zeros((num_labels - 1, 2), np.int32)
    leaf, node = num_labels - 1, num_labels
    for inner in range(num_labels - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[inner, side], leaf = leaf, leaf - 1
            else:
                children[inner, side], node = node, node + 1
        weights[num_labels + inner] = sum(weights[child] for child in children[inner])
    return children
