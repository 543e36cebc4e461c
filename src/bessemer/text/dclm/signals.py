"""What DCLM's filters measure: the signals named `@dclm`.

Input: an Arrow string array. Output: one float32 array per signal of `DCLM_SIGNALS`, one value per
document in the order of the array. The definitions are those of mlfoundations/dclm at 361714b.

Invariants: everything is counted in whole numbers and a signal is one count or one quotient of two,
rounded once to float32; a quotient with an empty denominator is 0. A text of which C4 leaves
nothing has no sentences, so the bound on these drops it where DCLM drops an empty text. Scratch is
that of the longest document.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import Bytes, Hashes, Offsets, longest_document_bytes, utf8_buffers
from bessemer.text.dclm.c4 import C4_COUNTS, take_out_lines
from bessemer.text.dclm.decoded import empty_text, read_text
from bessemer.text.dclm.gopher import (
    GOPHER_COUNTS,
    count_ngrams,
    count_words,
    find_parts,
)
from bessemer.text.dclm.sentences import abbreviation_hashes, count_sentences
from bessemer.text.dclm.words import Breaks, find_words, word_breaks
from bessemer.text.dolma.gopher import count_equal_lines
from bessemer.text.gopher import DUPLICATE_NGRAM_WORDS, TOP_NGRAM_WORDS, stop_word_hashes
from bessemer.text.ngram_places import empty_compared
from bessemer.text.shares import share
from bessemer.text.string_classes import string_classes

_GOPHER = {
    "word_count@dclm": "words between ASCII white space that begin with a letter or a number",
    "mean_word_chars@dclm": "characters of words between white space / these words",
    "symbol_word_frac@dclm": (
        'number signs (#), U+2026, "..." and ". . .", each without overlap / words'
    ),
    "bullet_line_frac@dclm": "lines that begin with U+25CF, U+2022, * or a hyphen / lines",
    "ellipsis_line_frac@dclm": 'lines that end in U+2026, "..." or ". . ." / lines',
    "no_alpha_word_frac@dclm": "words without a letter / words",
    "stop_word_count@dclm": (
        "words that are the, be, to, of, and, that, have or with, each time, in either case"
    ),
    "dup_line_frac@dclm": "lines equal to another one, stripped / lines that are not blank",
    "dup_para_frac@dclm": (
        "paragraphs (parted at two line feeds) equal to another one, stripped / paragraphs"
    ),
    "dup_line_char_frac@dclm": "characters of such lines / characters of lines, stripped",
    "dup_para_char_frac@dclm": "characters of such paragraphs / characters of paragraphs, stripped",
}
_TOP = {
    f"top_{n}gram_char_frac@dclm": (
        f"characters of the most frequent {n} Unicode words, if they occur twice (of equally "
        "frequent ones the longest), times their occurrences / characters of Unicode words"
    )
    for n in TOP_NGRAM_WORDS
}
_DUPLICATE = {
    f"dup_{n}gram_char_frac@dclm": (
        f"characters of words inside {n} Unicode words that occur twice or more, each word once "
        "/ characters of Unicode words"
    )
    for n in DUPLICATE_NGRAM_WORDS
}
_C4 = {
    "c4_char_count@dclm": "characters of the text as it is",
    "c4_lorem_ipsum_line_count@dclm": (
        'lines with lorem ipsum, of those of five words that end in one of . ! ? " but not in '
        "three full stops"
    ),
    "c4_curly_bracket_line_count@dclm": (
        "of the same lines without javascript, those with a curly bracket"
    ),
    "c4_sentence_count@dclm": (
        "sentences of the text that C4 leaves, by NLTK's English tokenizer without its lists of "
        "words met in small letters and in capitals"
    ),
}
DCLM_SIGNALS: dict[str, str] = {
    name: f"{definition}; mlfoundations/dclm, {file}"
    for family, file in (
        (_GOPHER | _TOP | _DUPLICATE, "mappers/filters/content_filters.py"),
        (_C4, "baselines_configs/c4.yaml"),
    )
    for name, definition in family.items()
}
"""Name, ending in its dialect, to definition and source: the order of the output."""


_MAX_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)


def dclm_signals(array: pa.Array | pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in DCLM_SIGNALS for every document."""
    offsets, data = utf8_buffers(array)
    num_documents = len(offsets) - 1
    gopher = np.zeros(num_documents, GOPHER_COUNTS)
    ngram_chars = np.zeros((num_documents, _MAX_NGRAM_WORDS + 1), np.int64)
    c4 = np.zeros(num_documents, C4_COUNTS)
    _count(
        offsets,
        data,
        string_classes(),
        word_breaks(),
        stop_word_hashes(),
        abbreviation_hashes(),
        longest_document_bytes(offsets),
        gopher,
        ngram_chars,
        c4,
    )
    words, lines = gopher["words"], gopher["lines"]
    signals = {
        "word_count@dclm": gopher["ascii_words"],
        "mean_word_chars@dclm": share(gopher["word_chars"], words),
        "symbol_word_frac@dclm": share(gopher["symbols"], words),
        "bullet_line_frac@dclm": share(gopher["bullet_lines"], lines),
        "ellipsis_line_frac@dclm": share(gopher["ellipsis_lines"], lines),
        "no_alpha_word_frac@dclm": share(gopher["no_alpha_words"], words),
        "stop_word_count@dclm": gopher["stop_words"],
        "dup_line_frac@dclm": share(gopher["dup_lines"], lines),
        "dup_para_frac@dclm": share(gopher["dup_paras"], gopher["paras"]),
        "dup_line_char_frac@dclm": share(gopher["dup_line_chars"], gopher["line_chars"]),
        "dup_para_char_frac@dclm": share(gopher["dup_para_chars"], gopher["para_chars"]),
        "c4_char_count@dclm": c4["chars"],
        "c4_lorem_ipsum_line_count@dclm": c4["lorem_lines"],
        "c4_curly_bracket_line_count@dclm": c4["curly_lines"],
        "c4_sentence_count@dclm": c4["sentences"],
    }
    for name, n in zip(_TOP | _DUPLICATE, TOP_NGRAM_WORDS + DUPLICATE_NGRAM_WORDS, strict=True):
        signals[name] = share(ngram_chars[:, n], gopher["ngram_word_chars"])
    return {name: signals[name].astype(np.float32) for name in DCLM_SIGNALS}


@njit(cache=True, nogil=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    breaks: Breaks,
    stop_words: Hashes,
    abbreviations: Hashes,
    longest_bytes: int,
    out_gopher: npt.NDArray[np.void],
    out_ngram_chars: npt.NDArray[np.int64],
    out_c4: npt.NDArray[np.void],
) -> None:
    text = empty_text(longest_bytes)
    words = empty_compared(longest_bytes + 1)
    for document in range(len(offsets) - 1):
        gopher, c4 = out_gopher[document], out_c4[document]
        num_chars = read_text(data, offsets[document], offsets[document + 1], classes, text)
        count_words(text, num_chars, stop_words, gopher)
        num_parts, part_chars, bullets, ellipses = find_parts(text, num_chars, 1, words)
        gopher["lines"], gopher["line_chars"] = num_parts, part_chars
        gopher["bullet_lines"], gopher["ellipsis_lines"] = bullets, ellipses
        gopher["dup_lines"], gopher["dup_line_chars"] = count_equal_lines(words, num_parts)
        num_parts, part_chars, _, _ = find_parts(text, num_chars, 2, words)
        gopher["paras"], gopher["para_chars"] = num_parts, part_chars
        gopher["dup_paras"], gopher["dup_para_chars"] = count_equal_lines(words, num_parts)
        num_words, gopher["ngram_word_chars"] = find_words(text, num_chars, breaks, words)
        count_ngrams(words, num_words, out_ngram_chars[document])
        # Last, for it moves what C4 leaves to the front of the text.
        num_left = take_out_lines(text, num_chars, c4)
        c4["sentences"] = count_sentences(text, num_left, abbreviations)
