"""The measures that FineWeb adds of its own, as datatrove takes them.

Definitions are those of `FineWebQualityFilter` in datatrove 0.10.1: lines are parted at line feeds,
blank ones are left out, and a line ends where its last character stands, be that white space.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import kernel
from bessemer.text.datatrove.decoded import Text, hash_between
from bessemer.text.datatrove.gopher import Words, count_equal
from bessemer.text.datatrove.tables import SPACE, TERMINAL, Tables

SHORT_LINE_CHARS = 30
_NEWLINE = 0x0A

FINEWEB_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "chars", "words", "newlines", "lines", "punct_lines", "short_lines", "dup_line_chars",
        )
    ]
)  # fmt: skip


@kernel
def count_fineweb(
    text: Text, num_chars: int, num_words: int, tables: Tables, words: Words, out: np.void
) -> None:
    """Count the lines of a text."""
    newlines = lines = punct_lines = short_lines = 0
    first = 0
    is_blank = True
    for place in range(num_chars + 1):
        if place == num_chars or text.codes[place] == _NEWLINE:
            newlines += place < num_chars
            if not is_blank:
                words.keys[lines] = hash_between(text, first, place, tables.powers)
                words.sizes[lines] = place - first
                lines += 1
                punct_lines += np.int64(text.kinds[place - 1]) & TERMINAL != 0
                short_lines += place - first <= SHORT_LINE_CHARS
            first = place + 1
            is_blank = True
        else:
            is_blank &= np.int64(text.kinds[place]) & SPACE != 0
    out["chars"] = num_chars
    out["words"] = num_words
    out["newlines"] = newlines
    out["lines"] = lines
    out["punct_lines"] = punct_lines
    out["short_lines"] = short_lines
    _, out["dup_line_chars"] = count_equal(words, lines)
