"""The measures that FineWeb adds of its own, as datatrove takes them.

Definitions are those of `FineWebQualityFilter` in datatrove 0.10.1: lines are parted at line feeds,
blank ones are left out, and a line ends where its last character stands, be that white space.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import kernel
from bessemer.text.datatrove.decoded import Text, hash_between
from bessemer.text.datatrove.tables import SPACE, TERMINAL, Tables
from bessemer.text.ngram_places import Compared, count_equal

SHORT_LINE_CHARS = 30

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
    text: Text,
    num_chars: int,
    num_newlines: int,
    num_words: int,
    tables: Tables,
    words: Compared,
    out: np.void,
) -> None:
    """Count the lines of a text."""
    lines = punct_lines = short_lines = 0
    first = 0
    for i in range(num_newlines + 1):
        end = text.newlines[i] if i < num_newlines else num_chars
        visible = first
        while visible < end and np.int64(text.kinds[visible]) & SPACE:
            visible += 1
        if visible < end:
            words.keys[lines] = hash_between(text, first, end, tables.powers)
            words.sizes[lines] = end - first
            lines += 1
            punct_lines += np.int64(text.kinds[end - 1]) & TERMINAL != 0
            short_lines += end - first <= SHORT_LINE_CHARS
        first = end + 1
    out["chars"] = num_chars
    out["words"] = num_words
    out["newlines"] = num_newlines
    out["lines"] = lines
    out["punct_lines"] = punct_lines
    out["short_lines"] = short_lines
    _, out["dup_line_chars"] = count_equal(words.keys, words.sizes, lines, words)
