"""Holds what RedPajama v2 knows of characters and words, as tables.

Input: the Unicode database of the running Python, and the stop words. Output: arrays for
`bessemer.text.redpajama_scan`, built once.
"""

import functools
import string
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bessemer.text.buffers import Codes, Counts, Hashes, Integer, kernel, read_only
from bessemer.text.characters import ASSIGNED, NUM_CODE_POINTS
from bessemer.text.packed_words import NO_WORD, append_code, hash_of
from bessemer.text.stop_words import ENGLISH_STOP_WORDS
from bessemer.text.string_classes import ALNUM, BLANK, string_classes

BULLETS = "\u2022\u2023\u25b6\u25c0\u25e6\u25a0\u25a1\u25aa\u25ab\u2013"
TERMINALS = ".!?\u201d"
"""RedPajama v2, lines.py: the straight quotation mark is not among them."""

# More bits of a code point's kind, beside those of `string_classes`.
PUNCTUATION = 256  # string.punctuation, ASCII
ASCII_LETTER = 512
BULLET = 1024
TERMINAL = 2048
CHANGES = 4096  # in lower case and NFD it is another, or several
_RAW_SHIFT = 13  # above them, in two bits:
GAP, RAW_WORD, SIGNS = range(3)  # white space, or the kind of raw word: `\w` of re, or neither

_STOP_WORD_BITS = 10  # as few as there is a place for each word with: 8 KB, which stay in cache


class Tables(NamedTuple):
    """What characters and words are compared with."""

    kinds: npt.NDArray[np.uint16]  # per code point, a sum of bits
    normal_places: Counts  # int32, per code point: where its NFD of its lower case is, 0 for itself
    normal_codes: Codes  # uint32: at each place the number of code points, and these
    stop_words: Hashes  # uint64, each in one of two places that its bits name; 0 is empty
    javascript: Hashes  # uint64, one


@functools.cache
def scan_tables() -> Tables:
    """Return the tables, built once."""
    places, codes = _normal_form()
    return Tables(
        _kinds(places != 0),
        places,
        codes,
        _in_one_of_two_places(ENGLISH_STOP_WORDS),
        read_only(np.array([_hash_of("javascript")], np.uint64)),
    )


def _kinds(changes: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint16]:
    classes = string_classes()
    is_word = classes & ALNUM != 0
    is_word[ord("_")] = True
    raw_kinds = np.where(classes & BLANK, GAP, np.where(is_word, RAW_WORD, SIGNS))
    kinds = classes | (changes * CHANGES | raw_kinds << _RAW_SHIFT).astype(np.uint16)
    for signs, bit in (
        (string.punctuation, PUNCTUATION),
        (string.ascii_letters, ASCII_LETTER),
        (BULLETS, BULLET),
        (TERMINALS, TERMINAL),
    ):
        kinds[list(map(ord, signs))] |= bit
    return read_only(kinds)


def _in_one_of_two_places(words: Sequence[str]) -> Hashes:
    """Return the hashes of words in a table that is looked into without a branch.

    A word that takes another's place sends it to its other one (cuckoo hashing: Pagh and Rodler,
    Journal of Algorithms 51, 2004).
    """
    table = np.zeros(1 << _STOP_WORD_BITS, np.uint64)
    for key in map(_hash_of, words):
        slot, _ = _places_of(int(key))
        for _ in range(len(table)):
            key, table[slot] = table[slot], key
            if not key:
                break
            slot = sum(_places_of(int(key))) - slot
        assert not key, "the table is too small"
    return read_only(table)


def _places_of(key: int) -> tuple[int, int]:
    mask = (1 << _STOP_WORD_BITS) - 1
    return key & mask, key >> _STOP_WORD_BITS & mask


def _hash_of(word: str) -> np.uint64:
    return np.uint64(_hash(np.array(list(map(ord, word)), np.uint32)))


@njit(cache=True, nogil=True)
def _hash(codes: Codes) -> np.uint64:
    word = NO_WORD
    for i in range(len(codes)):
        word = append_code(word, np.int64(codes[i]))
    return np.uint64(hash_of(word))


def _normal_form() -> tuple[Counts, Codes]:
    """Return what the lower case of every code point is in NFD: places, and codes at the places."""
    places = np.zeros(NUM_CODE_POINTS, np.int32)
    codes = [0]
    for code, char in enumerate(map(chr, ASSIGNED[0])):  # none of the others changes
        normal = unicodedata.normalize("NFD", char.lower())
        if normal != char:
            places[code] = len(codes)
            codes += [len(normal), *map(ord, normal)]
    return read_only(places), read_only(np.array(codes, np.uint32))


@kernel
def raw_kind_of(kind: Integer) -> Integer:
    """Return which kind of raw word a character of that kind is part of."""
    return kind >> _RAW_SHIFT


@kernel
def is_stop_word(key: np.uint64, stop_words: Hashes) -> bool:
    """Whether a word of that hash is among them."""
    mask = np.uint64((1 << _STOP_WORD_BITS) - 1)
    first, second = key & mask, key >> np.uint64(_STOP_WORD_BITS) & mask
    return bool((stop_words[first] == key) | (stop_words[second] == key))
