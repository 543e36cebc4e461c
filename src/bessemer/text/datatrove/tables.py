"""The tables that datatrove's measures go by: classes of characters, exceptions, units.

Built once from `tables.tsv` (facts of spaCy and datatrove, named there) and the Unicode database
of the running Python, and handed to the kernels as read-only arrays.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from bessemer.text import characters
from bessemer.text.buffers import Bools, Bytes, Codes, Hashes, read_only
from bessemer.text.characters import NUM_CODE_POINTS, by_category, class_table
from bessemer.text.datatrove.rolling import hash_text, powers
from bessemer.text.gopher import STOP_WORDS

# Classes of characters, bits of one table over all code points (uint32).
PREFIX = 1 << 0  # cut off the front of a chunk of text by spaCy
SUFFIX = 1 << 1  # cut off its end
ICON = 1 << 2
ALPHA = 1 << 3  # spaCy's letters, among them all signs of scripts without case
LOWER = 1 << 4  # those that may stand before a full stop or in a top-level domain
UPPER = 1 << 5
QUOTE = 1 << 6
BEFORE_PERIOD = 1 << 7
CURRENCY = 1 << 8
SENTENCE_END = 1 << 9  # of spaCy's sentencizer
PUNCTUATION = 1 << 10  # datatrove's own set; a word of nothing else is a symbol
TERMINAL = 1 << 11  # what may end a line, for datatrove's FineWeb filter
SPACE = 1 << 12  # str.isspace
LETTER = 1 << 13  # str.isalpha
PUNCT = 1 << 14  # general categories P*
DIGIT = 1 << 15  # 0 to 9 alone
HOST = 1 << 16  # what a label of a host name may begin with
WORD = 1 << 17  # \w of Python's re
LINE_END = 1 << 18  # where str.splitlines parts lines
DECIMAL = 1 << 19  # \d of Python's re
INFIX = 1 << 20  # what an infix begins with
COUNTED = 1 << 21  # line ends, number signs, full stops and ellipses

_LISTED = {
    "prefix": PREFIX,
    "suffix": SUFFIX,
    "icon": ICON,
    "alpha": ALPHA,
    "lower": LOWER,
    "upper": UPPER,
    "quote": QUOTE,
    "before_period": BEFORE_PERIOD,
    "sentence_end": SENTENCE_END,
    "punctuation": PUNCTUATION,
    "terminal": TERMINAL,
}
_INFIXES = ".\u2026,-\u2013\u2014~:<>=/+*^"
_LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"

FILTER_BITS = 14
MAX_EXCEPTION_CHARS = 12
MAX_EXCEPTION_PIECES = 4
MAX_UNIT_CHARS = 6


class Tables(NamedTuple):
    """What the kernels need: all read-only."""

    classes: Codes  # uint32, one entry per code point
    powers: Hashes  # of the rolling hash's base
    exceptions: Hashes  # open addressing; 0 is an empty slot
    may_be_exception: Bools  # by the first FILTER_BITS of a hash: small enough to stay in cache
    pieces: Bytes  # (slots, MAX_EXCEPTION_PIECES): characters of each piece, 0 behind the last
    is_affixed: Bools  # per slot: what is put together again if its affixes were cut off
    affixed_sizes: Codes  # uint32, by first character (127 for all behind): a bit for each length
    units: Hashes  # open addressing; 0 is an empty slot
    stop_words: Hashes  # sorted as given


@functools.cache
def tables() -> Tables:
    """Read and build all tables (about a second, once per process)."""
    listed: dict[str, list[str]] = {}
    text = files("bessemer.text.datatrove").joinpath("tables.tsv").read_text("utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, values = line.partition("\t")
            listed.setdefault(name, []).append(values)
    affixed = listed["affixed_exception"]
    exceptions = [entry.split(" ") for entry in affixed + listed["exception"]]
    spelt = ["".join(parts) for parts in exceptions]
    slots = _slots(spelt)
    pieces = np.zeros((len(slots), MAX_EXCEPTION_PIECES), np.uint8)
    is_affixed = np.zeros(len(slots), np.bool_)
    sizes = np.zeros(128, np.uint32)
    for i, (whole, parts) in enumerate(zip(spelt, exceptions, strict=True)):
        slot = int(np.flatnonzero(slots == hash_text(whole))[0])
        pieces[slot, : len(parts)] = [len(part) for part in parts]
        is_affixed[slot] = i < len(affixed)
        if is_affixed[slot]:
            sizes[min(ord(whole[0]), 127)] |= np.uint32(1 << len(whole))
    filled = np.zeros(1 << FILTER_BITS, np.bool_)
    filled[slots[slots != 0] >> np.uint64(64 - FILTER_BITS)] = True
    return Tables(
        classes=read_only(_classes(listed)),
        powers=powers(),
        exceptions=read_only(slots),
        may_be_exception=read_only(filled),
        pieces=read_only(pieces),
        is_affixed=read_only(is_affixed),
        affixed_sizes=read_only(sizes),
        units=read_only(_slots(" ".join(listed["unit"]).split(" "))),
        stop_words=read_only(np.array([hash_text(word) for word in STOP_WORDS], np.uint64)),
    )


def _classes(listed: dict[str, list[str]]) -> Codes:
    table = np.zeros(NUM_CODE_POINTS, np.uint32)
    for name, bit in _LISTED.items():
        for span in " ".join(listed[name]).split(" "):
            first, _, last = span.partition("-")
            table[int(first, 16) : int(last or first, 16) + 1] |= np.uint32(bit)
    for sign in " ".join(listed["currency"]).split(" "):
        if len(sign) == 1:
            table[ord(sign)] |= np.uint32(CURRENCY)
    ours = class_table()
    for bit, our_bits in (
        (SPACE, characters.SPACE),
        (LETTER, characters.LETTER),
        (WORD, characters.LETTER | characters.NUMBER | characters.UNDERSCORE),
        (DECIMAL, characters.DIGIT),
    ):
        table |= (ours & our_bits != 0) * np.uint32(bit)
    table[0x1C:0x20] |= np.uint32(SPACE)  # to Python, not to Unicode
    table |= by_category(lambda category: category[0] == "P") * np.uint32(PUNCT)
    table[ord("0") : ord("9") + 1] |= np.uint32(DIGIT)
    for begin, end in ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A), (0xA1, 0xFFFF)):
        table[begin : end + 1] |= np.uint32(HOST)
    for chars, bit in (
        (_LINE_ENDS, LINE_END),
        (_INFIXES, INFIX),
        (_LINE_ENDS + "#.\u2026", COUNTED),
    ):
        for char in chars:
            table[ord(char)] |= np.uint32(bit)
    return table


def _slots(entries: list[str]) -> Hashes:
    """A table of the hashes of `entries`, a quarter of it filled."""
    size = 16
    while size < 4 * len(entries):
        size *= 2
    slots = np.zeros(size, np.uint64)
    for entry in entries:
        key = hash_text(entry)
        slot = int(key) & (size - 1)
        while slots[slot] not in (0, key):
            slot = (slot + 1) % size
        slots[slot] = key
    return slots
