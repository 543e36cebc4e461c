"""Finds fixed phrases in a text while it is read, whatever their case: a look-up per character.

Input: phrases in lower-case ASCII, each with a kind (a bit) and a pair of neighbouring letters in
it that is rare in prose. Output: tables for kernels, and the kernel that tells which phrases stand
around a pair.

A reader of text keeps the last two characters; where `is_pair` says so of them, it calls
`phrases_at`, which compares the few phrases that have that pair. Case is that of ASCII letters.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bessemer.text.buffers import Bytes, Counts, Integer, kernel, read_only

NUM_PAIRS = 128 * 128


class Phrases(NamedTuple):
    """Phrases, sorted by their pair."""

    letters: Bytes  # of all phrases, one after the other
    starts: Counts  # int32, one more than phrases
    offsets: Counts  # int32, from a phrase's beginning to behind its pair
    kinds: Counts  # int32, a sum of bits
    is_pair: Bytes  # uint8, for each pair of characters whether a phrase has it: 16 KB, in cache
    first: Counts  # int32, for each pair the first phrase that has it, or -1
    stop: Counts  # int32, and the one behind the last


def make_phrases(pairs: Mapping[str, tuple[str, int]]) -> Phrases:
    """Return the tables for phrase -> (its pair, its kind)."""
    ordered = sorted(pairs, key=lambda phrase: (pairs[phrase][0], phrase))
    first = np.full(NUM_PAIRS, -1, np.int32)
    stop = np.full(NUM_PAIRS, -1, np.int32)
    for index, phrase in enumerate(ordered):
        pair = pair_of(*map(ord, pairs[phrase][0]))
        if first[pair] < 0:
            first[pair] = index
        stop[pair] = index + 1
    return Phrases(
        read_only(np.frombuffer("".join(ordered).encode("ascii"), np.uint8)),
        read_only(np.cumsum([0, *map(len, ordered)]).astype(np.int32)),
        read_only(np.array([p.index(pairs[p][0]) + 2 for p in ordered], np.int32)),
        read_only(np.array([pairs[phrase][1] for phrase in ordered], np.int32)),
        read_only((first >= 0).astype(np.uint8)),
        read_only(first),
        read_only(stop),
    )


@kernel
def pair_of(before: Integer, code: Integer) -> Integer:
    """Return the place in the tables of two ASCII characters in a row."""
    return before * 128 + code


@kernel
def lower(code: Integer) -> Integer:
    """Return the lower case of an ASCII letter, and anything else as it is."""
    return code + 32 if 0x41 <= code <= 0x5A else code


@kernel
def phrases_at(
    data: Bytes, begin: int, end: int, behind: int, pair: Integer, phrases: Phrases
) -> Integer:
    """Return the kinds of the phrases of which the pair that ends before byte `behind` is a part.

    The text is the bytes from `begin` to `end`.
    """
    kinds: Integer = 0
    for index in range(phrases.first[pair], phrases.stop[pair]):
        letter, last = np.int64(phrases.starts[index]), np.int64(phrases.starts[index + 1])
        position = behind - phrases.offsets[index]
        if position < begin or position + last - letter > end:
            continue
        while letter < last and lower(np.int64(data[position])) == phrases.letters[letter]:
            letter += 1
            position += 1
        if letter == last:
            kinds |= np.int64(phrases.kinds[index])
    return kinds
