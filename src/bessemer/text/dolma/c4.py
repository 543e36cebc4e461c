"""C4's rules as dolma's tagger and its replication of C4 have them.

Definitions are those of `c4_v2` in dolma 1.2.1 (python/dolma/taggers/c4.py) and of the mixer in
configs/c4-replication. A text is dropped if a phrase stands anywhere in it, in letters of either
case; from the others lines are taken out, each with its line feed, and nothing is stripped. The
tagger's list of bad words is not taken over.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import Bytes, Counts, Integer, kernel, read_only
from bessemer.text.characters import decode
from bessemer.text.string_classes import BLANK

MIN_LINE_WORDS = 3
_NEWLINE, _CURLY, _SMALL_J, _SMALL_L, _TO_SMALL = 0x0A, 0x7B, 0x6A, 0x6C, 0x20
_END_SIGNS = read_only(np.frombuffer(b'.?!"', np.uint8))
_JAVASCRIPT = read_only(np.frombuffer(b"javascript", np.uint8))
_LOREM = read_only(np.frombuffer(b"lorem ipsum", np.uint8))

C4_COUNTS = np.dtype([(name, np.int64) for name in ("curly", "lorem", "javascript")])


@kernel
def count_phrases(data: Bytes, begin: int, end: int, out: np.void) -> None:
    """Count the phrases in the bytes `begin` to `end`."""
    curly = lorem = javascript = 0
    for position in range(begin, end):
        byte = np.int64(data[position])
        curly += byte == _CURLY
        small = byte | _TO_SMALL
        if small == _SMALL_J:
            javascript += _reads(data, position, end, _JAVASCRIPT)
        elif small == _SMALL_L:
            lorem += _reads(data, position, end, _LOREM)
    out["curly"] = curly
    out["lorem"] = lorem
    out["javascript"] = javascript


@kernel
def list_kept(
    data: Bytes,
    begin: int,
    end: int,
    classes: Bytes,
    out_begins: Counts,
    out_ends: Counts,
    out_lines: Counts,
) -> int:
    """Write the runs of lines that stay, in bytes from `begin` on; return their number.

    A line stays if it has MIN_LINE_WORDS words and its last sign that is no white space is one of
    . ? ! ". Line feeds belong to the line they end, so the number of each line is 0: nothing is to
    be put between runs.
    """
    num_kept = num_words = 0
    in_word = False
    last: Integer = 0
    line_begin = position = begin
    while position <= end:
        code: Integer = _NEWLINE  # the turn at the end closes the last line
        width = 1
        if position < end:
            code, width = decode(data, position, end)
        position += width
        if not np.int64(classes[code]) & BLANK:
            num_words += not in_word
            in_word = True
            last = code
            continue
        in_word = False
        if code != _NEWLINE:
            continue
        stop = min(position, end) - begin
        is_ended = False
        for sign in _END_SIGNS:
            is_ended |= last == sign
        if is_ended and num_words >= MIN_LINE_WORDS:
            if num_kept and out_ends[num_kept - 1] == line_begin - begin:
                out_ends[num_kept - 1] = stop
            else:
                out_begins[num_kept], out_ends[num_kept] = line_begin - begin, stop
                out_lines[num_kept] = 0
                num_kept += 1
        line_begin = position
        num_words = last = 0
    return num_kept


@kernel
def _reads(data: Bytes, position: int, end: int, phrase: Bytes) -> bool:
    """Whether a phrase of small letters stands there, in ASCII letters of either case."""
    if position + len(phrase) > end:
        return False
    for i in range(len(phrase)):
        byte = np.int64(data[position + i])
        if 0x41 <= byte <= 0x5A:
            byte += _TO_SMALL
        if byte != phrase[i]:
            return False
    return True
