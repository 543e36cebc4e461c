"""Classifies texts and their paragraphs as fastText does, over Arrow buffers.

Input: an Arrow string array and a classifier (bessemer.text.fasttext_file). Output: for each
document its label, the probability of that, and how many of its bytes stand in paragraphs of it.

As in fastText a text is the mean of the rows of its words and of their n-grams of characters; words
are what stands between ASCII white space. Line breaks part words like blanks do. What a word adds
is a sum of rows, and words recur: sums are kept in a cache, so that most words cost one addition.

A paragraph is a run of non-blank lines that ends, too, behind each line of more than
LONG_LINE_BYTES, for nobody wraps text so late: it is a paragraph by itself.

Deviations from fastText: a text in which nothing is known to the model has no label (there, the one
of an empty text); the word "</s>" does not end a text; sums are float64, of words in float32, so
that probabilities differ in the sixth digit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Counts, Hashes, Offsets, kernel, utf8_buffers
from bessemer.text.characters import NEWLINE
from bessemer.text.fasttext_file import IS_LABEL, FastText, Floats, Ngrams, find_word
from bessemer.text.fasttext_labels import empty_judging, most_likely
from bessemer.text.hashing import SEED, extend, finish

LONG_LINE_BYTES = 120
"""Text is wrapped at 72 to 80 characters, seldom at 100; in bytes of scripts that take two or three
per character a wrapped line may be longer, and is then long enough to be judged by itself."""

MIN_PARAGRAPH_BYTES = 100
"""Paragraphs of fewer bytes of words are not judged: of less, names and titles decide."""

MIN_CERTAINTY = 0.5
"""A paragraph is of another language only if that is likelier than all others together."""

_CACHE_WORDS = 2**17
_LABEL_BEGINS = np.frombuffer(b"__label__", np.uint8)
_FNV_SEED, _FNV_PRIME = 2166136261, 16777619  # FNV-1a of 32 bits (Fowler, Noll, Vo)


class Found(NamedTuple):
    """What was found of every document."""

    labels: npt.NDArray[np.int32]  # place in `labels` of the model; -1 if nothing is known
    scores: Floats  # probability of the label, 0 to 1; 0 without one
    judged_bytes: Offsets  # int64, in words of paragraphs that are long enough
    other_bytes: Offsets  # of those, in paragraphs that are certainly of another label


class _Cache(NamedTuple):
    """Sums of rows by word: each word has one slot, and the last one that came keeps it."""

    keys: Hashes
    counts: Counts  # rows that were summed
    sums_SD: Floats


def classify(array: pa.Array | pa.ChunkedArray, model: FastText) -> Found:
    """Classify every document and its paragraphs.

    Time is linear in bytes. Memory is that of 131,072 sums of rows at most, whatever the texts: 8
    MiB of 16 dimensions, 128 MiB of 256; it is touched only as words fill it.
    """
    offsets, data = utf8_buffers(array)
    num_documents, dims = len(offsets) - 1, model.input_RD.shape[1]
    cache = _Cache(
        np.zeros(_CACHE_WORDS, np.uint64),
        np.zeros(_CACHE_WORDS, np.int32),
        np.zeros((_CACHE_WORDS, dims), np.float32),
    )
    found = Found(
        np.full(num_documents, -1, np.int32),
        np.zeros(num_documents, np.float32),
        np.zeros(num_documents, np.int64),
        np.zeros(num_documents, np.int64),
    )
    _classify(
        *(offsets, data, model.input_RD, model.output_DN, model.children_N2, model.is_softmax),
        *(model.word_keys, model.word_ids, model.ngrams, model.end_row),
        *(len(model.labels), cache, found),
    )
    return found


@njit(cache=True, nogil=True)
def _classify(
    offsets: Offsets,
    data: Bytes,
    input_RD: Floats,
    output_DN: Floats,
    children_N2: npt.NDArray[np.int32],
    is_softmax: bool,
    word_keys: Hashes,
    word_ids: Counts,
    ngrams: Ngrams,
    end_row: int,
    num_labels: int,
    cache: _Cache,
    out: Found,
) -> None:
    dims = input_RD.shape[1]
    keys, counts, sums_SD = cache
    paragraph_D, document_D = np.zeros(dims, np.float64), np.zeros(dims, np.float64)
    judging = empty_judging(dims, num_labels, len(children_N2))
    bytes_of_label = np.zeros(num_labels, np.int64)
    for document in range(len(offsets) - 1):
        position, end = offsets[document], offsets[document + 1]
        document_D[:] = 0
        paragraph_D[:] = 0
        bytes_of_label[:] = 0
        document_rows = paragraph_rows = paragraph_bytes = judged_bytes = certain_bytes = 0
        while position < end:
            line_begin = position
            has_words = False
            while position < end and data[position] != NEWLINE:
                if _is_space(data[position]):
                    position += 1
                    continue
                begin = position
                state = SEED
                while position < end and not _is_space(data[position]):
                    state = extend(state, np.uint64(data[position]))
                    position += 1
                key = finish(state)
                slot = np.int64(key & np.uint64(len(keys) - 1))
                if keys[slot] != key:
                    keys[slot] = key
                    counts[slot] = _sum_rows(
                        *(data, begin, position, key, input_RD, word_keys, word_ids, ngrams),
                        sums_SD[slot],
                    )
                paragraph_rows += counts[slot]
                for dim in range(dims):
                    paragraph_D[dim] += sums_SD[slot, dim]
                paragraph_bytes += position - begin
                has_words = True
            is_wrapped = position - line_begin <= LONG_LINE_BYTES
            position += 1
            if has_words and is_wrapped and position < end:
                continue
            if paragraph_rows > 0 and paragraph_bytes >= MIN_PARAGRAPH_BYTES:
                label, chance = most_likely(
                    *(paragraph_D, paragraph_rows, input_RD, end_row, output_DN),
                    *(children_N2, is_softmax, num_labels, judging),
                )
                judged_bytes += paragraph_bytes
                if chance >= MIN_CERTAINTY:
                    bytes_of_label[label] += paragraph_bytes
                    certain_bytes += paragraph_bytes
            document_rows += paragraph_rows
            for dim in range(dims):
                document_D[dim] += paragraph_D[dim]
                paragraph_D[dim] = 0
            paragraph_rows = paragraph_bytes = 0
        if document_rows > 0:
            label, chance = most_likely(
                *(document_D, document_rows, input_RD, end_row, output_DN),
                *(children_N2, is_softmax, num_labels, judging),
            )
            out.labels[document] = label
            out.scores[document] = chance
            out.judged_bytes[document] = judged_bytes
            out.other_bytes[document] = certain_bytes - bytes_of_label[label]


@kernel
def _is_space(byte: np.uint8) -> bool:
    """Whether fastText parts words at this byte: white space of ASCII, and zero."""
    return byte == 0x20 or 0x09 <= byte <= 0x0D or byte == 0  # type: ignore[return-value]


@kernel
def _sum_rows(
    data: Bytes,
    begin: int,
    end: int,
    key: np.uint64,
    input_RD: Floats,
    word_keys: Hashes,
    word_ids: Counts,
    ngrams: Ngrams,
    out_D: Floats,
) -> int:
    """Write the sum of a word's rows: its own, and those of its n-grams; return their number.

    The word stands between "<" and ">"; neither of these alone is an n-gram. The hash takes bytes
    as signed, as fastText does (`Dictionary::hash`, `Dictionary::computeSubwords`). One function
    without calls, since calls with arrays take longer than what is done between them.
    """
    dims = input_RD.shape[1]
    num_words, num_buckets, shortest, longest, row_of_bucket, kept_bits = ngrams
    own = find_word(word_keys, word_ids, key)
    num_rows = 1 if own >= 0 else 0
    for dim in range(dims):
        out_D[dim] = input_RD[own, dim] if own >= 0 else np.float32(0)
    is_label = own == IS_LABEL
    if own < 0 and end - begin >= len(_LABEL_BEGINS):
        begins_so = True
        for i in range(len(_LABEL_BEGINS)):
            begins_so &= data[begin + i] == _LABEL_BEGINS[i]
        is_label |= begins_so
    if is_label or num_buckets == 0:
        return num_rows
    is_pruned = len(row_of_bucket) > 0
    size = end - begin + 2
    for first in range(size):
        inside = 0 < first < size - 1
        if inside and data[begin + first - 1] & 0xC0 == 0x80:
            continue  # not the first byte of a character
        state = np.uint32(_FNV_SEED)
        last = first
        for num_chars in range(1, longest + 1):
            if last >= size:
                break
            is_open = True
            while is_open:
                byte = np.uint8(0x3C if last == 0 else 0x3E)
                if 0 < last < size - 1:
                    byte = data[begin + last - 1]
                state = np.uint32((state ^ np.uint32(np.int8(byte))) * np.uint32(_FNV_PRIME))
                last += 1
                is_open = last < size - 1 and data[begin + last - 1] & 0xC0 == 0x80
            if num_chars < shortest or (num_chars == 1 and (first == 0 or last == size)):
                continue
            bucket = np.int64(state % np.uint32(num_buckets))
            if is_pruned and not kept_bits[bucket >> 3] >> (bucket & 7) & 1:
                continue
            row = np.int64(row_of_bucket[bucket]) if is_pruned else num_words + bucket
            for dim in range(dims):
                out_D[dim] += input_RD[row, dim]
            num_rows += 1
    return num_rows
