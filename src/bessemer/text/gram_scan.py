"""Finds given runs of tokens (grams) in texts: one pass over each, whatever their number.

Input: grams, as places in a list of token hashes, and an Arrow string array. Output: every place
where one of them stands in a document.

A gram is known by its anchor, its last tokens: as many as the longest of a few anchor lengths that
it has. A window of tokens has a key, a polynomial of their hashes modulo 2**64, that costs the
same for any length: prefix sums give it by one product. A table of bits says of nearly all windows
that they are no anchor; the others are looked up among the sorted keys, and their grams compared
token by token, so two runs are equal only if all their token hashes are. A gram may ask for
followers: runs that must stand behind it, each beginning at most `MOST_BETWEEN` tokens behind the
one before.

Time is linear in bytes, and in the number of anchor lengths for each token; memory beyond the
output is the tokens of the longest document.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    kernel,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import class_table, fold_table
from bessemer.text.hashing import SEED, STEP, extend, finish
from bessemer.text.tokens import ascii_table, make_reading, read_tokens
from bessemer.text.words import max_words

MOST_BETWEEN = 32
"""Tokens between a question and its answer, such as "Answer:" or the letters of choices."""

# Of a table that stays in a cache, a larger part of windows is told at once; of a larger one, a
# look costs more than what it spares.
_MOST_BITS_PER_KEY, _FEWEST_BITS_PER_KEY = 64, 16
_CACHED_BITS = 1 << 26
Places = npt.NDArray[np.int64]


class Grams(NamedTuple):
    """What to look for: gram `g` is tokens `starts[g]` to `starts[g] + lengths[g]`. Its followers
    are rows `follow[g]` to `follow[g + 1]` of the two arrays behind."""

    tokens: Hashes  # uint64
    starts: Places  # int64
    lengths: Places
    follow: Places
    follow_starts: Places
    follow_lengths: Places


class Table(NamedTuple):
    """Grams with what finds them."""

    grams: Grams
    keys: Hashes  # uint64, ascending: of the anchors
    order: Places  # the gram of each key
    bits: Bytes
    shift: int  # of a key, to the number of its bit
    anchors: Places  # their lengths
    factors: Hashes  # STEP to the power of each


class Found(NamedTuple):
    """Places where a gram stands, followers included, a row each; by document."""

    document: Places
    gram: Places
    first_token: Places
    end_token: Places  # behind the last
    first_byte: Places  # within the document
    end_byte: Places


class _Scratch(NamedTuple):
    """The tokens of one document, and windows of it that may be anchors."""

    hashes: Hashes
    starts: Counts
    stops: Counts
    sums: Hashes
    windows: Counts


def make_table(grams: Grams, anchor_lengths: Iterable[int]) -> Table:
    """Return the table that `find_grams` looks in. ValueError if a gram is shorter than all
    anchors."""
    anchors = np.unique(np.array(list(anchor_lengths), np.int64))
    kind = np.searchsorted(anchors, grams.lengths, side="right") - 1
    if (kind < 0).any():
        raise ValueError(f"a gram of {grams.lengths.min()} tokens is shorter than any anchor")
    used = np.unique(kind)
    lengths = anchors[kind]
    keys = gram_keys(grams.tokens, grams.starts + grams.lengths - lengths, lengths)
    order = np.argsort(keys, kind="stable")
    most = max(_CACHED_BITS, _FEWEST_BITS_PER_KEY * len(keys))
    num_bits = 1 << 10
    while num_bits < min(_MOST_BITS_PER_KEY * len(keys), most):
        num_bits *= 2
    shift = 64 - num_bits.bit_length() + 1
    places = np.unique(keys >> np.uint64(shift))
    bits = np.zeros(num_bits // 8, np.uint8)
    masks = (np.uint64(1) << (places & np.uint64(7))).astype(np.uint8)
    np.bitwise_or.at(bits, (places >> np.uint64(3)).astype(np.int64), masks)
    factors = np.array([pow(int(STEP), int(n), 2**64) for n in anchors[used]], np.uint64)
    return Table(
        Grams(
            read_only(grams.tokens),
            read_only(grams.starts),
            read_only(grams.lengths),
            read_only(grams.follow),
            read_only(grams.follow_starts),
            read_only(grams.follow_lengths),
        ),
        read_only(keys[order]),
        read_only(order),
        read_only(bits),
        shift,
        read_only(anchors[used]),
        read_only(factors),
    )


def gram_keys(tokens: Hashes, starts: Places, lengths: Places) -> Hashes:
    """Return the key of each run of tokens (uint64)."""
    keys = np.empty(len(starts), np.uint64)
    _fill_keys(read_only(tokens), read_only(starts), read_only(lengths), keys)
    return keys


def find_grams(array: pa.Array | pa.ChunkedArray, table: Table, with_signs: bool) -> Found:
    """Return all places of grams in the documents of a string array, read as `list_tokens` does.

    Of a document they stand by length of their anchors, then by place.
    """
    offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(offsets)
    rows = _find(
        offsets,
        data,
        ascii_table(),
        class_table(),
        fold_table(),
        longest_bytes,
        with_signs,
        table,
    )
    return Found(*(np.ascontiguousarray(column) for column in rows.T))


@kernel
def _salt(length: np.int64) -> np.uint64:
    """What keeps windows of different lengths apart."""
    return finish(extend(SEED, np.uint64(length)))


@kernel
def _fill_keys(tokens: Hashes, starts: Places, lengths: Places, out: Hashes) -> None:
    for gram in range(len(starts)):
        total = np.uint64(0)
        for token in range(starts[gram], starts[gram] + lengths[gram]):
            total = total * STEP + tokens[token]
        out[gram] = total + _salt(lengths[gram])


@kernel
def _sum_up(hashes: Hashes, num_tokens: int, out: Hashes) -> None:
    total = np.uint64(0)
    out[0] = total
    for token in range(num_tokens):
        total = total * STEP + hashes[token]
        out[token + 1] = total


@kernel
def _list_windows(
    sums: Hashes,
    num_windows: int,
    length: np.int64,
    factor: np.uint64,
    bits: Bytes,
    shift: np.uint64,
    out: Counts,
) -> Integer:
    """Write the windows whose bit is set; return their number."""
    salt = _salt(length)
    num_found: Integer = 0
    for first in range(num_windows):
        bit = (sums[first + length] - sums[first] * factor + salt) >> shift
        out[num_found] = first
        num_found += np.int64(bits[bit >> np.uint64(3)] >> (bit & np.uint64(7))) & 1
    return num_found


@kernel
def _first_key(keys: Hashes, key: np.uint64) -> int:
    """Where `key` stands among the sorted keys first, or would."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _is_at(
    tokens: Hashes, start: int, length: int, hashes: Hashes, num_tokens: int, place: int
) -> bool:
    """Whether a run of `tokens` stands at a place of a document."""
    if place < 0 or place + length > num_tokens:
        return False
    for i in range(length):  # noqa: SIM110
        if tokens[start + i] != hashes[place + i]:
            return False
    return True


@kernel
def _end_of_followers(grams: Grams, gram: int, hashes: Hashes, num_tokens: int, end: int) -> int:
    """The token behind the last follower of a gram that ends before `end`; -1 if one is missing."""
    for follower in range(grams.follow[gram], grams.follow[gram + 1]):
        start, length = grams.follow_starts[follower], grams.follow_lengths[follower]
        place, last = end, min(end + MOST_BETWEEN, num_tokens - length)
        while place <= last and not _is_at(grams.tokens, start, length, hashes, num_tokens, place):
            place += 1
        if place > last:
            return -1
        end = place + length
    return end


@kernel
def _look_up(
    document: int,
    num_tokens: int,
    num_windows: Integer,
    kind: int,
    table: Table,
    scratch: _Scratch,
    num_found: int,
    out: Places,
) -> int:
    """Write the grams whose anchors are among the windows, as far as there is room; return how many
    rows there are, or would be."""
    grams, length = table.grams, table.anchors[kind]
    hashes, sums, salt = scratch.hashes, scratch.sums, _salt(table.anchors[kind])
    for window in range(num_windows):
        first = np.int64(scratch.windows[window])
        key = sums[first + length] - sums[first] * table.factors[kind] + salt
        at = _first_key(table.keys, key)
        while at < len(table.keys) and table.keys[at] == key:
            gram = table.order[at]
            at += 1
            end = first + length
            first_token = end - grams.lengths[gram]
            if not _is_at(
                grams.tokens,
                grams.starts[gram],
                grams.lengths[gram],
                hashes,
                num_tokens,
                first_token,
            ):
                continue
            end = _end_of_followers(grams, gram, hashes, num_tokens, end)
            if end < 0:
                continue
            if num_found < len(out):
                out[num_found, 0] = document
                out[num_found, 1] = gram
                out[num_found, 2] = first_token
                out[num_found, 3] = end
                out[num_found, 4] = scratch.starts[first_token]
                out[num_found, 5] = scratch.stops[end - 1]
            num_found += 1
    return num_found


@njit(cache=True, nogil=True)
def _find(
    offsets: Offsets,
    data: Bytes,
    ascii: Bytes,
    classes: Bytes,
    fold: Codes,
    longest_bytes: int,
    with_signs: bool,
    table: Table,
) -> Places:
    reading = make_reading(ascii, classes, fold, longest_bytes, with_signs)
    most = longest_bytes if with_signs else max_words(longest_bytes)
    scratch = _Scratch(
        np.empty(most, np.uint64),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(most + 1, np.uint64),
        np.empty(most + 1, np.int32),
    )
    found = np.empty((64, 6), np.int64)
    num_found = 0
    for document in range(len(offsets) - 1):
        num_tokens = read_tokens(
            data,
            offsets[document],
            offsets[document + 1],
            reading,
            with_signs,
            scratch.hashes,
            scratch.starts,
            scratch.stops,
        )
        _sum_up(scratch.hashes, num_tokens, scratch.sums)
        for kind in range(len(table.anchors)):
            length = table.anchors[kind]
            num_windows = _list_windows(
                scratch.sums,
                num_tokens - length + 1,
                length,
                table.factors[kind],
                table.bits,
                np.uint64(table.shift),
                scratch.windows,
            )
            before = num_found
            num_found = _look_up(
                document, num_tokens, num_windows, kind, table, scratch, before, found
            )
            if num_found > len(found):  # again, with room for all
                longer = np.empty((2 * num_found, 6), np.int64)
                longer[:before] = found[:before]
                found = longer
                num_found = _look_up(
                    document, num_tokens, num_windows, kind, table, scratch, before, found
                )
    return found[:num_found].copy()
