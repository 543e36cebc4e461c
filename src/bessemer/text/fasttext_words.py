"""Sums the rows that a word has in a classifier of fastText: its own, and those of its n-grams.

Input: a word as bytes of a text, and the input side of a classifier
(bessemer.text.fasttext_file). Output: the sum, and how many rows it is of, in a slot of a cache.

An n-gram is of characters, and of the word between "<" and ">"; neither of these alone is one. The
hash takes bytes as signed, as fastText does (`Dictionary::hash`, `Dictionary::computeSubwords`).

Most n-grams of a pruned model are not kept, and which are a processor cannot foresee. So they are
told apart by additions instead of branches, and what is looked for lies close together: memory
that is not at hand takes longer than all that is computed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bessemer.text.buffers import Bytes, Codes, Counts, Hashes, Integer, inline_kernel
from bessemer.text.eight_bytes import count_ones
from bessemer.text.fasttext_file import IS_LABEL, Floats, Ngrams, bucket_of, find_word

_CACHE_WORDS = 2**15
_BLOCK_BYTES = 64  # of a word, whose n-grams are looked for at once
_LABEL_BEGINS = np.frombuffer(b"__label__", np.uint8)
_LESS, _GREATER = 0x3C, 0x3E
_FNV_SEED, _FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)  # FNV-1a (Fowler, Noll, Vo)
_ONE, _SIX, _SIXTY_THREE = np.uint64(1), np.uint64(6), np.uint64(63)


class InputSide(NamedTuple):
    """What a classifier has for words."""

    rows_RD: Floats
    word_keys: Hashes
    word_ids: Counts
    ngrams: Ngrams


class WordSums(NamedTuple):
    """Sums of rows by word: each word has one slot S, and the last one that came keeps it."""

    keys: Hashes
    counts: Counts  # rows that were summed
    sums_SD: Floats
    text: Bytes  # scratch for a word
    buckets: Codes  # scratch for a block's n-grams, uint32


def empty_sums(longest_word_bytes: int, dims: int, longest_ngram: int) -> WordSums:
    """Return a cache that holds no word; memory is touched only as words fill it."""
    return WordSums(
        np.zeros(_CACHE_WORDS, np.uint64),
        np.zeros(_CACHE_WORDS, np.int32),
        np.zeros((_CACHE_WORDS, dims), np.float32),
        np.zeros(longest_word_bytes + 3, np.uint8),
        np.zeros(_BLOCK_BYTES * longest_ngram + 1, np.uint32),
    )


@inline_kernel
def sum_of_word(
    data: Bytes,
    begin: int,
    end: int,
    key: np.uint64,
    inputs: InputSide,
    sums: WordSums,
) -> Integer:
    """Return the slot of the word at bytes `begin` to `end` with this hash."""
    slot = np.int64(key & np.uint64(_CACHE_WORDS - 1))
    if sums.keys[slot] != key:
        sums.keys[slot] = key
        sums.counts[slot] = _sum_rows(data, begin, end, key, inputs, sums, slot)
    return slot


@inline_kernel
def _sum_rows(
    data: Bytes,
    begin: int,
    end: int,
    key: np.uint64,
    inputs: InputSide,
    sums: WordSums,
    slot: Integer,
) -> Integer:
    """Write the sum into a slot; return the number of rows."""
    _, _, out_SD, text, buckets = sums
    input_RD, word_keys, word_ids, ngrams = inputs
    dims = input_RD.shape[1]
    num_words, num_buckets, reciprocal, shortest, longest, kept_bits, num_before = ngrams
    own = find_word(word_keys, word_ids, key)
    num_rows: Integer = 1 if own >= 0 else 0
    for dim in range(dims):
        out_SD[slot, dim] = input_RD[own, dim] if own >= 0 else np.float32(0)
    is_label = own == IS_LABEL
    if own < 0 and end - begin >= len(_LABEL_BEGINS):
        begins_so = True
        for i in range(len(_LABEL_BEGINS)):
            begins_so &= data[begin + i] == _LABEL_BEGINS[i]
        is_label |= begins_so
    if is_label or longest == 0:
        return num_rows
    size = end - begin + 2
    text[0], text[size - 1], text[size] = _LESS, _GREATER, 0
    for i in range(end - begin):
        text[1 + i] = data[begin + i]
    for block in range(0, size - 1, _BLOCK_BYTES):
        num_kept = np.uint64(0)
        for first in range(block, min(block + _BLOCK_BYTES, size - 1)):
            if text[first] & 0xC0 == 0x80:
                continue  # not the first byte of a character
            least_chars = max(2, shortest) if first == 0 else shortest
            state = _FNV_SEED
            num_chars = 0
            for last in range(first, size):
                state = np.uint32((state ^ np.uint32(np.int8(text[last]))) * _FNV_PRIME)
                if text[last + 1] & 0xC0 == 0x80:
                    continue  # not the last byte of a character
                num_chars += 1
                if num_chars >= least_chars:
                    bucket = bucket_of(state, num_buckets, reciprocal)
                    buckets[num_kept] = bucket
                    num_kept += kept_bits[bucket >> _SIX] >> (bucket & _SIXTY_THREE) & _ONE
                if num_chars == longest:
                    break
        for i in range(num_kept):
            bucket = np.uint64(buckets[i])
            below = (_ONE << (bucket & _SIXTY_THREE)) - _ONE
            rank = num_before[bucket >> _SIX] + count_ones(kept_bits[bucket >> _SIX] & below)
            for dim in range(dims):
                out_SD[slot, dim] += input_RD[num_words + rank, dim]
        num_rows += np.int64(num_kept)
    return num_rows
