"""Reads a text once and counts what RedPajama v2 counts, but repetition; finds its words.

Input: the UTF-8 bytes of one document, and tables over code points. Output: counts in a row, and
the hash and length of each of RedPajama's words, which `bessemer.text.redpajama` defines.
"""

import functools
import string
import unicodedata
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bessemer.text.buffers import Bytes, Codes, Counts, Hashes, Integer, kernel, read_only
from bessemer.text.characters import ASSIGNED, NEWLINE, NUM_CODE_POINTS, contains, decode
from bessemer.text.hashing import SEED, extend, finish
from bessemer.text.stop_words import ENGLISH_STOP_WORDS
from bessemer.text.string_classes import (
    ALNUM,
    BLANK,
    LOWER,
    NUMERIC,
    UPPER,
    string_classes,
)

BULLETS = "\u2022\u2023\u25b6\u25c0\u25e6\u25a0\u25a1\u25aa\u25ab\u2013"
TERMINALS = ".!?\u201d"
"""RedPajama v2, lines.py: the straight quotation mark is not among them."""

# More bits of a code point's kind, beside those of `string_classes`.
IN_WORD = 256  # `\w` of re
PUNCTUATION = 512  # string.punctuation, ASCII
ASCII_LETTER = 1024
PLAIN = 2048  # ASCII letters and digits

# A hundred times the stop words: nearly every look finds its word or nothing at once, and where a
# processor guesses wrong it loses more time than a look takes.
_STOP_WORD_SLOTS = 2**14

_GAP, _WORD, _SIGNS = range(3)  # white space, or the kind of raw word
_LAST_FIVE = (1 << 40) - 1
_LOREM = int.from_bytes(b"lorem", "big")
_IPSUM = int.from_bytes(b"ipsum", "big")


class NormalWords(NamedTuple):
    """RedPajama's words of one document, a row each; scratch beyond the last."""

    hashes: Hashes  # uint64
    num_chars: Counts  # int32, code points in NFD


class Tables(NamedTuple):
    """What characters and words are compared with."""

    kinds: npt.NDArray[np.uint16]  # per code point, a sum of bits
    normal_places: Counts  # int32, per code point: where its NFD of its lower case is, 0 for itself
    normal_codes: Codes  # uint32: at each place the number of code points, and these
    stop_words: Hashes  # uint64, open addressing by the lowest bits; 0 is empty
    bullets: Codes
    terminals: Codes
    javascript: Hashes  # uint64, one


@functools.cache
def scan_tables() -> Tables:
    """Return the tables that `scan` reads, built once."""
    stop_words = np.zeros(_STOP_WORD_SLOTS, np.uint64)
    for word in ENGLISH_STOP_WORDS:
        key = _hash_of(word)
        slot = int(key) % len(stop_words)
        while stop_words[slot]:
            slot = (slot + 1) % len(stop_words)
        stop_words[slot] = key
    places, codes = _normal_form()
    return Tables(
        _kinds(),
        places,
        codes,
        read_only(stop_words),
        read_only(np.array(list(map(ord, BULLETS)), np.uint32)),
        read_only(np.array(list(map(ord, TERMINALS)), np.uint32)),
        read_only(np.array([_hash_of("javascript")], np.uint64)),
    )


def _kinds() -> npt.NDArray[np.uint16]:
    kinds = string_classes().astype(np.uint16)
    kinds[string_classes() & ALNUM != 0] |= IN_WORD
    kinds[ord("_")] |= IN_WORD
    for signs, bits in (
        (string.punctuation, PUNCTUATION),
        (string.ascii_letters, ASCII_LETTER | PLAIN),
        (string.digits, PLAIN),
    ):
        kinds[list(map(ord, signs))] |= bits
    return read_only(kinds)


def _hash_of(word: str) -> np.uint64:
    return np.uint64(_hash(np.array(list(map(ord, word)), np.uint32)))


@njit(cache=True, nogil=True)
def _hash(codes: Codes) -> np.uint64:
    state = SEED
    for i in range(len(codes)):
        state = extend(state, np.uint64(codes[i]))
    return np.uint64(finish(state))


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
def scan(
    data: Bytes, begin: int, end: int, tables: Tables, out_words: NormalWords, out: np.void
) -> int:
    """Find the words and count everything but repetition in one pass; return how many words.

    A turn of the outer loop per line. The end of the text ends words as white space does.
    """
    hashes, lengths = out_words
    kinds = tables.kinds
    normal_places = tables.normal_places
    normal_codes = tables.normal_codes
    words = all_word_chars = sentences = symbols = raw_words = no_alpha_words = 0
    all_caps_words = stop_words = chars = curly_brackets = lorem_ipsums = javascript_words = 0
    lines = ellipsis_lines = punct_lines = bullet_lines = 0
    uppercase_frac = numeric_frac = 0.0
    in_sentence = False
    ends_lorem = False
    dots = last_dot = 0
    position = begin
    while position < end:
        line_chars = 0
        line_uppers: Integer = 0
        line_words, line_word_chars = words, all_word_chars
        line_numerics: Integer = 0
        first_visible: Integer = 0
        last_visible: Integer = 0
        raw_kind = _GAP
        raw_seen: Integer = 0
        raw_state = SEED
        word_chars = 0
        word_state = SEED
        tail: Integer = 0
        begins_ipsum = False
        code: Integer = 0
        while code != NEWLINE:
            code = NEWLINE  # at the end of the text
            if position < end:
                code, width = decode(data, position, end)
                position += width
                line_chars += 1
            kind = np.int64(kinds[code])

            kind_of_raw = _GAP if kind & BLANK else _WORD if kind & IN_WORD else _SIGNS
            if kind_of_raw != raw_kind:
                if raw_kind != _GAP:
                    raw_words += 1
                    no_alpha_words += raw_seen & ASCII_LETTER == 0
                    all_caps_words += raw_seen & (UPPER | LOWER) == UPPER
                    if raw_kind == _WORD:
                        stop_words += _is_stop_word(finish(raw_state), tables.stop_words)
                    raw_seen = 0
                    raw_state = SEED
                if kind_of_raw == _WORD:
                    sentences += not in_sentence
                    in_sentence = True
                raw_kind = kind_of_raw
            if kind_of_raw == _GAP:
                if word_chars:
                    word_hash = finish(word_state)
                    hashes[words] = word_hash
                    lengths[words] = word_chars
                    words += 1
                    all_word_chars += word_chars
                    lorem_ipsums += begins_ipsum
                    ends_lorem = word_chars >= 5 and tail & _LAST_FIVE == _LOREM
                    javascript_words += word_hash == tables.javascript[0]
                    word_chars = 0
                    word_state = SEED
                    begins_ipsum = False
                continue

            if first_visible == 0:
                first_visible = code
            if kind & PLAIN:
                # Most of most texts: an ASCII letter or digit, and those that follow it.
                run_start = position
                while True:
                    low = code | (kind & UPPER) << 5
                    raw_seen |= kind
                    raw_state = extend(raw_state, np.uint64(code))
                    word_state = extend(word_state, np.uint64(low))
                    word_chars += 1
                    tail = tail << 8 | low
                    line_uppers += kind & UPPER
                    line_numerics += kind & NUMERIC
                    if ends_lorem and word_chars == 5:
                        begins_ipsum = tail & _LAST_FIVE == _IPSUM
                    last_visible = code
                    if position == end or data[position] >= 0x80:
                        break
                    kind = np.int64(kinds[data[position]])
                    if not kind & PLAIN:
                        break
                    code = np.int64(data[position])
                    position += 1
                line_chars += position - run_start
                continue

            last_visible = code
            raw_seen |= kind
            raw_state = extend(raw_state, np.uint64(code))
            line_uppers += kind & UPPER
            if code < 0x80:  # ASCII punctuation, or a control character
                if code == 0x2E:
                    dots = dots + 1 if last_dot == position - 1 else 1
                    last_dot = position
                    symbols += dots % 3 == 0
                if code == 0x2E or code == 0x21 or code == 0x3F:
                    in_sentence = False
                symbols += code == 0x23
                curly_brackets += code == 0x7B or code == 0x7D
                if kind & PUNCTUATION:
                    continue
            else:
                symbols += code == 0x2026
            place = np.int64(normal_places[code])
            num_codes = np.int64(normal_codes[place]) if place else 1
            for i in range(num_codes):
                normal = np.int64(normal_codes[place + 1 + i]) if place else code
                word_state = extend(word_state, np.uint64(normal))
                word_chars += 1
                tail = tail << 8 | min(normal, 0x80)
                line_numerics += np.int64(kinds[normal]) & NUMERIC
                if ends_lorem and word_chars == 5:
                    begins_ipsum = tail & _LAST_FIVE == _IPSUM
        lines += 1
        chars += line_chars
        uppercase_frac += line_uppers / line_chars
        line_words, line_word_chars = words - line_words, all_word_chars - line_word_chars
        if line_words:
            numeric_frac += line_numerics // NUMERIC / (line_word_chars + line_words - 1)
        ellipsis_lines += last_visible == 0x2026 or (last_visible == 0x2E and dots >= 3)
        punct_lines += contains(tables.terminals, last_visible)
        bullet_lines += contains(tables.bullets, first_visible)
    out["words"] = words
    out["word_chars"] = all_word_chars
    out["sentences"] = sentences
    out["symbols"] = symbols
    out["raw_words"] = raw_words
    out["no_alpha_words"] = no_alpha_words
    out["all_caps_words"] = all_caps_words
    out["stop_words"] = stop_words
    out["chars"] = chars
    out["curly_brackets"] = curly_brackets
    out["lorem_ipsums"] = lorem_ipsums
    out["lines"] = lines
    out["ellipsis_lines"] = ellipsis_lines
    out["punct_lines"] = punct_lines
    out["bullet_lines"] = bullet_lines
    out["javascript_words"] = javascript_words
    out["uppercase_frac"] = uppercase_frac
    out["numeric_frac"] = numeric_frac
    return words


@kernel
def _is_stop_word(key: np.uint64, stop_words: Hashes) -> bool:
    mask = np.uint64(len(stop_words) - 1)
    slot = key & mask
    while (stop_words[slot] != 0) & (stop_words[slot] != key):
        slot = (slot + np.uint64(1)) & mask
    return bool(stop_words[slot] == key)
