"""Which items of evaluation sets stand in which documents, how much of them, and where.

An item is found in a document by a part of it if the document holds `min_overlap_frac` of that
part's runs of words (needles.py), and of choices runs of two of them. Shares are of different runs:
one that stands there twice counts once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bessemer.curate.evals.needles import Needles
from bessemer.curate.groups import begins_group
from bessemer.text.gram_scan import Found, find_grams

Places = npt.NDArray[np.int64]


class Shares(NamedTuple):
    """How much of needles documents hold, a row for each pair that share a run; by document."""

    document: Places
    needle: Places
    share: npt.NDArray[np.float64]
    is_found: npt.NDArray[np.bool_]


class Stretches(NamedTuple):
    """Where needles that are found stand in documents: runs that touch, or lie no farther apart
    than an n-gram is long, are one stretch. By document, needle and place."""

    document: Places
    needle: Places
    first_byte: Places
    end_byte: Places


def match(texts: pa.Array | pa.ChunkedArray, needles: Needles) -> tuple[Shares, Stretches]:
    """Look for needles in texts (string array)."""
    if needles.table is None:
        none = np.empty(0, np.int64)
        return (
            Shares(none, none, np.empty(0, np.float64), np.empty(0, np.bool_)),
            Stretches(none, none, none, none),
        )
    found = find_grams(texts, needles.table, needles.matching.with_signs)
    document, gram = _unique_pairs(found.document, found.gram)
    row, at = _expand(gram, needles)
    in_document, text = document[row], needles.texts[at]
    document, needle, counts = _count_pairs(in_document, needles.needles[at])
    share = counts / needles.totals[needle]
    # Counts are compared as such: 3 of 6 is half, whatever floats say of it.
    least = np.ceil(needles.totals[needle] * needles.matching.min_overlap_frac - 1e-9)
    is_found = counts >= np.maximum(least, 1)
    is_found &= _have_texts(in_document, needles.needles[at], text, document, needle, needles)
    shares = Shares(document, needle, share, is_found)
    return shares, _join(found, shares, needles)


def _expand(gram: Places, needles: Needles) -> tuple[Places, Places]:
    """For each needle of each gram: its row, and the row of `needles.needles`."""
    begin = needles.gram_offsets[gram]
    counts = needles.gram_offsets[gram + 1] - begin
    row = np.repeat(np.arange(len(gram)), counts)
    within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    return row, begin[row] + within


def _have_texts(
    in_document: Places,
    of_needle: Places,
    text: Places,
    document: Places,
    needle: Places,
    needles: Needles,
) -> npt.NDArray[np.bool_]:
    """Whether runs of enough texts of each `needle` are in each `document` (sorted pairs), given
    the document, needle and text of all runs."""
    num_needles = np.int64(len(needles.totals))
    least = needles.least_texts[needle]
    asks = (needles.least_texts[of_needle] > 1) & (text >= 0)
    pair = in_document[asks] * num_needles + of_needle[asks]
    seen, _ = _unique_pairs(pair, text[asks])
    places = np.searchsorted(document * num_needles + needle, seen)
    num_texts = np.bincount(places, minlength=len(needle))
    return np.asarray((least <= 1) | (num_texts >= least))


def _unique_pairs(first: Places, second: Places) -> tuple[Places, Places]:
    first, second, _ = _count_pairs(first, second)
    return first, second


def _count_pairs(first: Places, second: Places) -> tuple[Places, Places, Places]:
    """The different pairs, sorted, and how often each is there."""
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    at = np.flatnonzero(begins_group(first, second))
    return first[at], second[at], np.diff(np.append(at, len(first)))


def _join(found: Found, shares: Shares, needles: Needles) -> Stretches:
    """The stretches of needles that are found."""
    row, at = _expand(found.gram, needles)
    document, needle = found.document[row], needles.needles[at]
    num_needles = np.int64(len(needles.totals))
    wanted = (shares.document * num_needles + shares.needle)[shares.is_found]
    kept = np.isin(document * num_needles + needle, wanted)
    row, needle, document = row[kept], needle[kept], document[kept]
    order = np.lexsort((found.first_token[row], needle, document))
    row, needle, document = row[order], needle[order], document[order]
    begins = begins_group(document, needle)
    group = np.cumsum(begins)
    if not len(row):
        none = np.empty(0, np.int64)
        return Stretches(none, none, none, none)
    # The farthest end so far, within the group: groups ascend, and places are less than 2**32.
    reach = np.maximum.accumulate((group << 32) + found.end_token[row]) - (group << 32)
    begins[1:] |= found.first_token[row][1:] > reach[:-1] + needles.matching.ngram
    at = np.flatnonzero(begins)
    return Stretches(
        document[at],
        needle[at],
        found.first_byte[row][at],
        np.maximum.reduceat(found.end_byte[row], at),
    )
