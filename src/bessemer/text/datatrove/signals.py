"""What datatrove's filters measure: the signals named `@datatrove` and `@fineweb`.

Input: an Arrow string array. Output: one float32 array per signal of `DATATROVE_SIGNALS`, one value
per document in the order of the array. The definitions are those of datatrove 0.10.1 with its
default tokenizer for English. `@datatrove` is a filter with its default settings on the text as it
is. `@fineweb` is the filter as FineWeb's published pipeline has it: C4 without terminal
punctuation, and FineWeb's own measures of the text that this leaves.

Invariants: everything is counted in whole numbers and a signal is one count or one quotient of two,
rounded once to float32; a quotient with an empty denominator is 0, as datatrove drops such a
document or never gets there. Scratch is that of the longest document.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Offsets, longest_document_bytes, utf8_buffers
from bessemer.text.datatrove.c4 import C4_COUNTS, count_c4, empty_line
from bessemer.text.datatrove.decoded import empty_text, read_text
from bessemer.text.datatrove.fineweb import FINEWEB_COUNTS, count_fineweb
from bessemer.text.datatrove.gopher import (
    GOPHER_COUNTS,
    count_lines,
    count_ngrams,
    count_repeats,
    count_words,
)
from bessemer.text.datatrove.tables import Tables, tables
from bessemer.text.datatrove.tokens import empty_tokens, find_tokens
from bessemer.text.gopher import DUPLICATE_NGRAM_WORDS, TOP_NGRAM_WORDS
from bessemer.text.ngram_places import empty_compared
from bessemer.text.shares import share

_GOPHER = {
    "word_count@datatrove": "words that are not punctuation alone",
    "mean_word_chars@datatrove": "characters of these words / these words",
    "hash_per_word_frac@datatrove": "number signs (#) / words",
    "ellipsis_per_word_frac@datatrove": "three full stops, without overlap, and U+2026 / words",
    "bullet_line_frac@datatrove": "lines that begin with U+2022 or a hyphen / lines",
    "ellipsis_line_frac@datatrove": "lines that end in three full stops or U+2026 / lines",
    "alpha_word_frac@datatrove": "words with a letter / words",
    "stop_word_count@datatrove": (
        "distinct words among the, be, to, of, and, that, have, with; small letters alone"
    ),
    "dup_line_frac@datatrove": "lines (parted at runs of line feeds) equal to an earlier / lines",
    "dup_line_char_frac@datatrove": "characters of such lines / characters of the text",
    "dup_para_frac@datatrove": "paragraphs equal to an earlier one / paragraphs",
    "dup_para_char_frac@datatrove": "characters of such paragraphs / characters of the text",
}
_TOP = {
    f"top_{n}gram_char_frac@datatrove": (
        f"characters of the most frequent {n} words with spaces between them, times their count, "
        "/ characters of the text"
    )
    for n in TOP_NGRAM_WORDS
}
_DUPLICATE = {
    f"dup_{n}gram_char_frac@datatrove": (
        f"characters of {n} words that a walk from left to right met before, and jumps over, "
        "/ characters of the text"
    )
    for n in DUPLICATE_NGRAM_WORDS
}
_C4 = {
    f"c4_{name}@{variant}": f"{definition}, {lines}"
    for variant, lines in (
        ("datatrove", "of the lines that end in terminal punctuation and that C4 keeps"),
        ("fineweb", "of all lines that C4 keeps for another reason than punctuation"),
    )
    for name, definition in (
        ("sentence_count", "sentences"),
        ("lorem_ipsum_line_count", "lines with lorem ipsum"),
        ("curly_bracket_line_count", "lines with a curly bracket"),
    )
}
_FINEWEB = {
    f"fineweb_{name}@{variant}": f"{definition}{text}"
    for variant, text in (("datatrove", ""), ("fineweb", ", of the text that C4 leaves"))
    for name, definition in (
        ("terminal_punct_line_frac", "lines whose last character is terminal punctuation / lines"),
        ("short_line_frac", "lines of at most 30 characters / lines"),
        ("dup_line_char_frac", "characters of lines equal to an earlier one / characters in lines"),
        ("newline_per_word_frac", "line feeds / words"),
    )
}
DATATROVE_SIGNALS: dict[str, str] = {
    name: f"{definition}; datatrove 0.10.1, {file}"
    for family, file in (
        (_GOPHER, "gopher_quality_filter.py and gopher_repetition_filter.py"),
        (_TOP | _DUPLICATE, "gopher_repetition_filter.py"),
        (_C4, "c4_filters.py"),
        (_FINEWEB, "fineweb_quality_filter.py"),
    )
    for name, definition in family.items()
}
"""Name, ending in its dialect, to definition and source: the order of the output."""

_MAX_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)


def datatrove_signals(array: pa.Array | pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in DATATROVE_SIGNALS for every document."""
    offsets, data = utf8_buffers(array)
    num_documents = len(offsets) - 1
    gopher = np.zeros(num_documents, GOPHER_COUNTS)
    ngram_chars = np.zeros((num_documents, _MAX_NGRAM_WORDS + 1), np.int64)
    c4 = np.zeros(num_documents, C4_COUNTS)
    fineweb = np.zeros((2, num_documents), FINEWEB_COUNTS)
    _count(
        offsets,
        data,
        tables(),
        longest_document_bytes(offsets),
        gopher,
        ngram_chars,
        c4,
        fineweb,
    )
    chars, words, lines = gopher["chars"], gopher["words"], gopher["lines"]
    signals = {
        "word_count@datatrove": gopher["real_words"],
        "mean_word_chars@datatrove": share(gopher["real_word_chars"], gopher["real_words"]),
        "hash_per_word_frac@datatrove": share(gopher["number_signs"], words),
        "ellipsis_per_word_frac@datatrove": share(gopher["ellipses"], words),
        "bullet_line_frac@datatrove": share(gopher["bullet_lines"], lines),
        "ellipsis_line_frac@datatrove": share(gopher["ellipsis_lines"], lines),
        "alpha_word_frac@datatrove": share(gopher["alpha_words"], words),
        "stop_word_count@datatrove": gopher["stop_words"],
        "dup_line_frac@datatrove": share(gopher["dup_pieces"], gopher["pieces"]),
        "dup_line_char_frac@datatrove": share(gopher["dup_piece_chars"], chars),
        "dup_para_frac@datatrove": share(gopher["dup_paras"], gopher["paras"]),
        "dup_para_char_frac@datatrove": share(gopher["dup_para_chars"], chars),
    }
    for name, n in zip(_TOP | _DUPLICATE, TOP_NGRAM_WORDS + DUPLICATE_NGRAM_WORDS, strict=True):
        signals[name] = share(ngram_chars[:, n], chars)
    for variant, kind in (("datatrove", "punctuated"), ("fineweb", "all")):
        signals[f"c4_sentence_count@{variant}"] = c4[f"sentences_{kind}"]
        signals[f"c4_lorem_ipsum_line_count@{variant}"] = c4[f"lorem_lines_{kind}"]
        signals[f"c4_curly_bracket_line_count@{variant}"] = c4[f"curly_lines_{kind}"]
    for variant, row in (("datatrove", fineweb[0]), ("fineweb", fineweb[1])):
        count = {name: row[name] for name in row.dtype.names or ()}
        in_lines = count["chars"] - count["newlines"]
        signals |= {
            f"fineweb_terminal_punct_line_frac@{variant}": share(
                count["punct_lines"], count["lines"]
            ),
            f"fineweb_short_line_frac@{variant}": share(count["short_lines"], count["lines"]),
            f"fineweb_dup_line_char_frac@{variant}": share(count["dup_line_chars"], in_lines),
            f"fineweb_newline_per_word_frac@{variant}": share(count["newlines"], count["words"]),
        }
    return {name: signals[name].astype(np.float32) for name in DATATROVE_SIGNALS}


@njit(cache=True, nogil=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    tables: Tables,
    longest_bytes: int,
    out_gopher: npt.NDArray[np.void],
    out_ngram_chars: npt.NDArray[np.int64],
    out_c4: npt.NDArray[np.void],
    out_fineweb: npt.NDArray[np.void],
) -> None:
    limit = longest_bytes + 1
    text, line = empty_text(limit), empty_line(limit)
    tokens = empty_tokens(limit)
    words = empty_compared(limit)
    suffixes = np.empty(limit, np.int32)
    for document in range(len(offsets) - 1):
        num_chars, num_newlines = read_text(
            data, offsets[document], offsets[document + 1], tables, text
        )
        num_tokens = find_tokens(text, num_chars, tables, suffixes, tokens)
        gopher = out_gopher[document]
        num_words = count_words(text, tokens, num_tokens, tables, words, gopher)
        count_ngrams(words, num_words, out_ngram_chars[document])
        count_lines(text, num_chars, gopher)
        count_repeats(text, num_chars, num_newlines, tables, words, gopher)
        count_fineweb(
            text, num_chars, num_newlines, num_words, tables, words, out_fineweb[0, document]
        )
        count_c4(
            text,
            num_chars,
            tokens,
            num_tokens,
            tables,
            line,
            words,
            out_c4[document],
            out_fineweb[1, document],
        )
