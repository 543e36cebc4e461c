"""Holds what RedPajama v2 knows of characters and words, as tables.

Input: the Unicode database of the running Python, and the stop words. Output: arrays for
`bessemer.text.redpajama_scan`, built once.
"""

import functools
import string
import unicodedata
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

# A hundred times the stop words: nearly every look finds its word or nothing at once, and where a
# processor guesses wrong it loses more time than a look takes.
_STOP_WORD_SLOTS = 2**14


class Tables(NamedTuple):
    """What characters and words are compared with."""

    kinds: npt.NDArray[np.uint16]  # per code point, a sum of bits
    normal_places: Counts  # int32, per code point: where its NFD of its lower case is, 0 for itself
    normal_codes: Codes  # uint32: at each place the number of code points, and these
    stop_words: Hashes  # uint64, open addressing by the lowest bits; 0 is empty
    javascript: Hashes  # uint64, one


@functools.cache
def scan_tables() -> Tables:
    """Return the tables, built once."""
    stop_words = np.zeros(_STOP_WORD_SLOTS, np.uint64)
    for word in ENGLISH_STOP_WORDS:
        key = _hash_of(word)
        slot = int(key) % len(stop_words)
        while stop_words[slot]:
            slot = (slot + 1) % len(stop_words)
        stop_words[slot] = key
    places, codes = _normal_form()
    return Tables(
        _kinds(places != 0),
        places,
        codes,
        read_only(stop_words),
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
    mask = np.uint64(len(stop_words) - 1)
    slot = key & mask
    while (stop_words[slot] != 0) & (stop_words[slot] != key):
        slot = (slot + np.uint64(1)) & mask
    return bool(stop_words[slot] == key)
