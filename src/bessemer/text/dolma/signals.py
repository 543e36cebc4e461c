"""What dolma's taggers measure: the signals named `@dolma`.

Input: an Arrow string array. Output: one float32 array per signal of `DOLMA_SIGNALS`, one value per
document in the order of the array. The definitions are those of dolma 1.2.1, `gopher_v1` and
`c4_v2`.

Invariants: everything is counted in whole numbers and a signal is one count or one quotient of two,
rounded once to float32; a quotient with an empty denominator is 0, as the tagger has it. Scratch is
that of the longest document.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Hashes,
    Offsets,
    longest_document_bytes,
    utf8_buffers,
)
from bessemer.text.dolma.c4 import C4_COUNTS, count_phrases
from bessemer.text.dolma.gopher import (
    GOPHER_COUNTS,
    count_equal_lines,
    count_ngrams,
    count_words_and_lines,
    twice_median,
)
from bessemer.text.gopher import DUPLICATE_NGRAM_WORDS, TOP_NGRAM_WORDS, stop_word_hashes
from bessemer.text.ngram_places import empty_compared
from bessemer.text.shares import share
from bessemer.text.string_classes import string_classes

_GOPHER = {
    "word_count@dolma": "stretches between white space (words)",
    "median_word_chars@dolma": "median of the characters of words, punctuation among them",
    "symbol_word_frac@dolma": "words with a number sign (#) or U+2026 in them / words",
    "alpha_word_frac@dolma": "words with a letter / words",
    "stop_word_count@dolma": (
        "words that are the, be, to, of, and, that, have or with, each time; small letters alone"
    ),
    "bullet_line_frac@dolma": "lines that begin with an asterisk or a hyphen / lines",
    "ellipsis_line_frac@dolma": "lines that end in U+2026 / lines",
    "dup_line_frac@dolma": "lines equal to another one / lines, empty ones among them",
    "dup_line_char_frac@dolma": (
        "characters of such lines, white space among them / characters of words; may exceed 1"
    ),
}
_TOP = {
    f"top_{n}gram_char_frac@dolma": (
        f"characters of the most frequent {n} words times their occurrences, even if that is one, "
        "/ characters of words"
    )
    for n in TOP_NGRAM_WORDS
}
_DUPLICATE = {
    f"dup_{n}gram_char_frac@dolma": (
        f"characters of all occurrences of {n} words that occur twice or more / characters of all "
        f"{n} words in a row"
    )
    for n in DUPLICATE_NGRAM_WORDS
}
_C4 = {
    "c4_curly_bracket_count@dolma": "opening curly brackets",
    "c4_lorem_ipsum_count@dolma": "occurrences of lorem ipsum, in either case",
    "c4_javascript_count@dolma": "occurrences of javascript, in either case",
}
DOLMA_SIGNALS: dict[str, str] = {
    name: f"{definition}; dolma 1.2.1, taggers/{file}"
    for family, file in ((_GOPHER | _TOP | _DUPLICATE, "gopher.py"), (_C4, "c4.py"))
    for name, definition in family.items()
}
"""Name, ending in its dialect, to definition and source: the order of the output."""

_MAX_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)


def dolma_signals(array: pa.Array | pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in DOLMA_SIGNALS for every document."""
    offsets, data = utf8_buffers(array)
    num_documents = len(offsets) - 1
    gopher = np.zeros(num_documents, GOPHER_COUNTS)
    repeated, ngrams = np.zeros((2, num_documents, _MAX_NGRAM_WORDS + 1), np.int64)
    c4 = np.zeros(num_documents, C4_COUNTS)
    _count(
        offsets,
        data,
        string_classes(),
        stop_word_hashes(),
        longest_document_bytes(offsets),
        gopher,
        repeated,
        ngrams,
        c4,
    )
    words, lines, chars = gopher["words"], gopher["lines"], gopher["word_chars"]
    signals = {
        "word_count@dolma": words,
        "median_word_chars@dolma": gopher["twice_median_chars"] / 2,
        "symbol_word_frac@dolma": share(gopher["symbol_words"], words),
        "alpha_word_frac@dolma": share(gopher["alpha_words"], words),
        "stop_word_count@dolma": gopher["stop_words"],
        "bullet_line_frac@dolma": share(gopher["bullet_lines"], lines),
        "ellipsis_line_frac@dolma": share(gopher["ellipsis_lines"], lines),
        "dup_line_frac@dolma": share(gopher["dup_lines"], lines),
        # The tagger divides by one where a text has lines of white space and no words.
        "dup_line_char_frac@dolma": gopher["dup_line_chars"] / np.maximum(chars, 1),
        "c4_curly_bracket_count@dolma": c4["curly"],
        "c4_lorem_ipsum_count@dolma": c4["lorem"],
        "c4_javascript_count@dolma": c4["javascript"],
    }
    for name, n in zip(_TOP | _DUPLICATE, TOP_NGRAM_WORDS + DUPLICATE_NGRAM_WORDS, strict=True):
        signals[name] = share(repeated[:, n], ngrams[:, n])
    return {name: signals[name].astype(np.float32) for name in DOLMA_SIGNALS}


@njit(cache=True, nogil=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    stop_words: Hashes,
    longest_bytes: int,
    out_gopher: npt.NDArray[np.void],
    out_repeated: npt.NDArray[np.int64],
    out_ngrams: npt.NDArray[np.int64],
    out_c4: npt.NDArray[np.void],
) -> None:
    words = empty_compared(longest_bytes + 1)
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        count_phrases(data, begin, end, out_c4[document])
        if begin == end:
            continue  # the tagger leaves all at 0, while str.split finds one line
        gopher = out_gopher[document]
        num_words, num_lines = count_words_and_lines(
            data, begin, end, classes, stop_words, words, gopher
        )
        gopher["twice_median_chars"] = twice_median(words.num_chars, num_words, words.counts)
        gopher["dup_lines"], gopher["dup_line_chars"] = count_equal_lines(words, num_lines)
        count_ngrams(
            words,
            num_words,
            gopher["word_chars"],
            out_repeated[document],
            out_ngrams[document],
        )
