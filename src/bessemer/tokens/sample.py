"""One training sample: its tokens, what each of them predicts, and where documents end.

Filled from token shards range by range. T is the sample's `seq_len`; all arrays are int64 [T].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bessemer.core.labels import IGNORED

NO_DOCUMENT = -1  # document of padding


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Consecutive tokens of one or more documents, padded at the end if they are too few."""

    input_ids: np.ndarray  # 0 in padding
    labels: np.ndarray  # the next token of the document; IGNORED at its end and in padding
    doc_ids: np.ndarray  # document id of each input token; NO_DOCUMENT in padding
    pieces: np.ndarray
    """Which piece of text each input token is of: rises from 0 at every border, NO_DOCUMENT in
    padding. Two pieces of one document never share a number, so a mask made of it is right."""
    source: int  # index of the source in the order


def empty_sample(seq_len: int, source: int) -> Sample:
    """A sample of padding, to be filled."""
    return Sample(
        input_ids=np.zeros(seq_len, np.int64),
        labels=np.full(seq_len, IGNORED, np.int64),
        doc_ids=np.full(seq_len, NO_DOCUMENT, np.int64),
        pieces=np.full(seq_len, NO_DOCUMENT, np.int64),
        source=source,
    )


def fill_range(
    out: Sample,
    at: int,
    piece: int,
    tokens: np.ndarray,
    ends: np.ndarray,
    doc_ids: np.ndarray,
    first_token: int,
    num_tokens: int,
) -> int:
    """Write a range of a shard into `out` from place `at` on, its first piece numbered `piece`.

    `tokens` holds the shard's tokens from `first_token` on: `num_tokens`, and one more if the shard
    has it, for the last label. `ends` and `doc_ids` (int64) are the shard's documents. Returns the
    number for the next piece.
    """
    return 1 + int(
        _fill(
            tokens,
            ends,
            doc_ids,
            first_token,
            num_tokens,
            at,
            piece,
            out.input_ids,
            out.labels,
            out.doc_ids,
            out.pieces,
        )
    )


@njit(cache=True, nogil=True)
def _fill(
    tokens: np.ndarray,
    ends: np.ndarray,
    doc_ids: np.ndarray,
    first_token: int,
    num_tokens: int,
    at: int,
    piece: int,
    out_input_ids: np.ndarray,
    out_labels: np.ndarray,
    out_doc_ids: np.ndarray,
    out_pieces: np.ndarray,
) -> int:
    document = np.searchsorted(ends, first_token, side="right")
    for offset in range(num_tokens):
        token = first_token + offset
        if token >= ends[document]:
            piece += 1
            while token >= ends[document]:  # documents without a token have no piece
                document += 1
        place = at + offset
        out_input_ids[place] = tokens[offset]
        out_labels[place] = tokens[offset + 1] if token + 1 < ends[document] else IGNORED
        out_doc_ids[place] = doc_ids[document]
        out_pieces[place] = piece
    return piece
