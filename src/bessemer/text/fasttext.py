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

from bessemer.text.buffers import (
    Bytes,
    Offsets,
    kernel,
    longest_document_bytes,
    utf8_buffers,
)
from bessemer.text.characters import NEWLINE
from bessemer.text.eight_bytes import (
    before_first,
    count_ones,
    eight_at,
    mark_spaces,
)
from bessemer.text.fasttext_file import FastText, Floats, hash_eight
from bessemer.text.fasttext_labels import Doubles, Judging, empty_judging, most_likely
from bessemer.text.fasttext_words import InputSide, WordSums, empty_sums, sum_of_word
from bessemer.text.hashing import SEED

LONG_LINE_BYTES = 120
"""Text is wrapped at 72 to 80 characters, seldom at 100; in bytes of scripts that take two or three
per character a wrapped line may be longer, and is then long enough to be judged by itself."""

MIN_PARAGRAPH_BYTES = 100
"""Paragraphs of fewer bytes of words are not judged: of less, names and titles decide."""

MIN_CERTAINTY = 0.5
"""A paragraph is of another language only if that is likelier than all others together."""


class Found(NamedTuple):
    """What was found of every document."""

    labels: npt.NDArray[np.int32]  # place in `labels` of the model; -1 if nothing is known
    scores: Floats  # probability of the label, 0 to 1; 0 without one
    judged_bytes: Offsets  # int64, in words of paragraphs that are long enough
    other_bytes: Offsets  # of those, in paragraphs that are certainly of another label


class _Scratch(NamedTuple):
    """Of one paragraph and one document."""

    paragraph_D: Doubles
    document_D: Doubles
    bytes_of_label: Offsets
    judging: Judging


def classify(array: pa.Array | pa.ChunkedArray, model: FastText) -> Found:
    """Classify every document and its paragraphs.

    Time is linear in bytes. Memory is that of 32,768 sums of rows, 2 MiB of 16 dimensions, 32 MiB
    of 256, and of the longest word, whatever the texts.
    """
    offsets, data = utf8_buffers(array)
    num_documents, dims = len(offsets) - 1, model.input_RD.shape[1]
    num_labels, num_nodes = len(model.labels), len(model.children_N2)
    scratch = _Scratch(
        np.zeros(dims, np.float64),
        np.zeros(dims, np.float64),
        np.zeros(num_labels, np.int64),
        empty_judging(dims, num_labels, num_nodes),
    )
    found = Found(
        np.full(num_documents, -1, np.int32),
        np.zeros(num_documents, np.float32),
        np.zeros(num_documents, np.int64),
        np.zeros(num_documents, np.int64),
    )
    _classify(
        offsets,
        data,
        InputSide(model.input_RD, model.word_keys, model.word_ids, model.ngrams),
        model.output_DN,
        model.children_N2,
        model.is_softmax,
        model.end_row,
        num_labels,
        empty_sums(longest_document_bytes(offsets), dims, model.ngrams.longest),
        scratch,
        found,
    )
    return found


@kernel
def _classify(
    offsets: Offsets,
    data: Bytes,
    inputs: InputSide,
    output_DN: Floats,
    children_N2: npt.NDArray[np.int32],
    is_softmax: bool,
    end_row: int,
    num_labels: int,
    sums: WordSums,
    scratch: _Scratch,
    out: Found,
) -> None:
    input_RD = inputs.rows_RD
    dims = input_RD.shape[1]
    paragraph_D, document_D, bytes_of_label, judging = scratch
    for document in range(len(offsets) - 1):
        position, end = offsets[document], offsets[document + 1]
        document_D[:] = 0
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
                key = SEED
                marks = np.uint64(0)
                while marks == 0:
                    eight = eight_at(data, position, end)
                    marks = mark_spaces(eight)
                    inside = before_first(marks)
                    key = hash_eight(key, eight & inside)
                    position += count_ones(inside) >> 3
                slot = sum_of_word(data, begin, position, key, inputs, sums)
                paragraph_rows += sums.counts[slot]
                for dim in range(dims):
                    paragraph_D[dim] += sums.sums_SD[slot, dim]
                paragraph_bytes += position - begin
                has_words = True
            is_wrapped = position - line_begin <= LONG_LINE_BYTES
            position += 1
            if has_words and is_wrapped and position < end:
                continue
            if paragraph_rows > 0 and paragraph_bytes >= MIN_PARAGRAPH_BYTES:
                label, chance = most_likely(
                    *(paragraph_D, paragraph_rows, input_RD, end_row, output_DN, children_N2),
                    *(is_softmax, num_labels, MIN_CERTAINTY, judging),
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
                *(document_D, document_rows, input_RD, end_row, output_DN, children_N2),
                *(is_softmax, num_labels, 0.0, judging),
            )
            out.labels[document] = label
            out.scores[document] = chance
            out.judged_bytes[document] = judged_bytes
            out.other_bytes[document] = certain_bytes - bytes_of_label[label]


@kernel
def _is_space(byte: np.uint8) -> bool:
    """Whether fastText parts words at this byte: white space of ASCII, and zero."""
    return byte == 0x20 or 0x09 <= byte <= 0x0D or byte == 0  # type: ignore[return-value]
