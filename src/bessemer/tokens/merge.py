"""Byte-pair merges of many pretokens at once.

In each of them the pair of tokens that was learned first is merged, the leftmost of equals, until
no pair of tokens is known: what `tokenizers` does, whatever the order of merges. A pretoken of n
bytes takes O(n log n), so one of a megabyte is no trap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Bytes, Codes, Counts, Integer, Offsets, read_only
from bessemer.text.hashing import STEP
from bessemer.tokens.spec import spell

_NO_PAIR = np.int64(-1)
_NO_MERGE = np.int64(2**63 - 1)
_LOW = np.int64(2**32 - 1)


class Merges(NamedTuple):
    """The merges of a vocabulary: a table with open addressing, at most half of it filled."""

    byte_ids: Counts  # int32 [256]: the token of each byte
    pairs: Offsets  # int64 [slots]: left << 32 | right, or _NO_PAIR
    merged: Offsets  # int64 [slots]: rank << 32 | token that the pair makes


def make_merges(model: Mapping[str, Any]) -> Merges:
    """The merges of `model` of a tokenizer.json: byte-level BPE with a token for every byte."""
    vocab = model["vocab"]
    rows = [(vocab[left], vocab[right], vocab[left + right]) for left, right in model["merges"]]
    num_slots = 1 << (2 * len(rows)).bit_length()
    pairs, merged = np.full(num_slots, _NO_PAIR), np.zeros(num_slots, np.int64)
    _fill(np.array(rows, np.int64).reshape(-1, 3), pairs, merged)
    byte_ids = np.array([vocab[spell(bytes([byte]))] for byte in range(256)], np.int32)
    return Merges(read_only(byte_ids), read_only(pairs), read_only(merged))


@njit(cache=True, nogil=True)
def merge(offsets: Offsets, data: Bytes, known: Counts, merges: Merges) -> tuple[Codes, Offsets]:
    """The tokens of some pretokens.

    Pretoken `i` is `data[offsets[i]:offsets[i + 1]]`; `known[i]` (int32) is its token if that needs
    no merges, else negative. Returns all tokens (uint32), and where those of each pretoken begin
    (int64, one more than pretokens). Takes 36 bytes of scratch per byte of the longest pretoken.
    """
    num_pretokens = len(offsets) - 1
    longest = 0
    for pretoken in range(num_pretokens):
        longest = max(longest, offsets[pretoken + 1] - offsets[pretoken])
    tokens, after, before = (
        np.empty(longest, np.int32),
        np.empty(longest, np.int32),
        np.empty(longest, np.int32),
    )
    joint, heap = np.empty(longest, np.int64), np.empty(2 * longest, np.int64)
    out = np.empty(offsets[-1] - offsets[0], np.uint32)
    starts = np.empty(num_pretokens + 1, np.int64)
    starts[0] = num_tokens = 0
    for pretoken in range(num_pretokens):
        if known[pretoken] >= 0:
            out[num_tokens] = known[pretoken]
            num_tokens += 1
        else:
            num_bytes = offsets[pretoken + 1] - offsets[pretoken]
            for position in range(num_bytes):
                tokens[position] = merges.byte_ids[data[offsets[pretoken] + position]]
            _merge_pretoken(num_bytes, merges, tokens, after, before, joint, heap)
            position = 0
            while position < num_bytes:
                out[num_tokens] = tokens[position]
                num_tokens += 1
                position = after[position]
        starts[pretoken + 1] = num_tokens
    return out[:num_tokens], starts


@njit(cache=True, nogil=True)
def _merge_pretoken(
    num_bytes: int,
    merges: Merges,
    tokens: Counts,
    after: Counts,
    before: Counts,
    joint: Offsets,
    heap: Offsets,
) -> None:
    """Merge the first `num_bytes` of `tokens` in place.

    A token stays where its first byte is; `after` and `before` name the places of its neighbours.
    `joint` is the merge of a token with the next. `heap` holds rank << 32 | place of all merges
    that were possible at some time: one that is so no longer differs from `joint`.
    """
    heap_size = 0
    for place in range(num_bytes):
        after[place], before[place] = place + 1, place - 1
        joint[place] = _NO_MERGE
        if place + 1 < num_bytes:
            joint[place] = _find(merges, tokens[place], tokens[place + 1])
            heap_size = _push(heap, heap_size, joint[place], place)
    while heap_size:
        top = heap[0]
        heap_size = _pop(heap, heap_size)
        place = top & _LOW
        if joint[place] >> 32 != top >> 32:
            continue
        tokens[place] = joint[place] & _LOW
        gone = after[place]
        joint[gone] = joint[place] = _NO_MERGE
        after[place] = after[gone]
        if after[place] < num_bytes:
            before[after[place]] = place
            joint[place] = _find(merges, tokens[place], tokens[after[place]])
            heap_size = _push(heap, heap_size, joint[place], place)
        if before[place] >= 0:
            left = before[place]
            joint[left] = _find(merges, tokens[left], tokens[place])
            heap_size = _push(heap, heap_size, joint[left], left)


@njit(cache=True, nogil=True)
def _find(merges: Merges, left: Integer, right: Integer) -> Integer:
    """rank << 32 | token of the merge of two tokens; _NO_MERGE if there is none."""
    slot = _slot(merges.pairs, np.int64(left) << 32 | right)
    return merges.merged[slot] if merges.pairs[slot] != _NO_PAIR else _NO_MERGE


@njit(cache=True, nogil=True)
def _fill(rows: Offsets, pairs: Offsets, merged: Offsets) -> None:
    """Enter (left, right, what they make), by rank: of equal pairs the last one counts."""
    for rank in range(len(rows)):
        pair = rows[rank, 0] << 32 | rows[rank, 1]
        slot = _slot(pairs, pair)
        pairs[slot] = pair
        merged[slot] = np.int64(rank) << 32 | rows[rank, 2]


@njit(cache=True, nogil=True)
def _slot(pairs: Offsets, pair: Integer) -> np.uint64:
    """Where a pair is in the table, or the free slot where it belongs."""
    mask = np.uint64(len(pairs) - 1)
    spread = np.uint64(pair) * STEP
    slot = (spread ^ spread >> np.uint64(32)) & mask
    while pairs[slot] != _NO_PAIR and pairs[slot] != pair:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True, nogil=True)
def _push(heap: Offsets, heap_size: int, found: Integer, place: Integer) -> int:
    """Add a merge, if there is one, to the heap with the least on top; its size then."""
    if found == _NO_MERGE:
        return heap_size
    value = (found & ~_LOW) | place
    at = heap_size
    while at > 0 and heap[(at - 1) >> 1] > value:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = value
    return heap_size + 1


@njit(cache=True, nogil=True)
def _pop(heap: Offsets, heap_size: int) -> int:
    """Take the least value off the heap; its size then."""
    value = heap[heap_size - 1]
    at, child = 0, 1
    while child < heap_size - 1:
        if child + 1 < heap_size - 1 and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = value
    return heap_size - 1
