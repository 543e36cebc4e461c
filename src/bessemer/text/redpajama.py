"""Measures a text as RedPajama v2 did: its signals of natural language and of lines.

Input: an Arrow string array. Output: one float32 array per signal of `REDPAJAMA_SIGNALS`, one value
per document in the order of the array; repetition is measured by `redpajama_repetition`.

RedPajama-Data v2 (Together 2023; app/src/core/quality_signals) publishes signals and decides
nothing. All of its signals that need no model and no list of the user's are here. Its words are
two:

- raw words: `\\w+|[^\\w\\s]+` of the text as it is, so that runs of signs are words too;
- words: what stands between white space once ASCII punctuation is taken out, lower case is made and
  NFD is applied ("don't" is one word, dont; a Hangul syllable is two or three characters).

Its lines end with a line feed, which belongs to them, and blank lines count. What it gives line by
line is here the mean over the lines, or the sum where the name ends in _count.

One of its signals is ours to the last digit, and has no second column: ccnet_length is
`char_count`. rps_doc_ml_*, rps_doc_*_importance and ccnet_perplexity need models;
rps_doc_ldnoobw_words and rps_doc_ut1_blacklist need lists.

Deviations: RedPajama rounds to eight digits; where a denominator is empty it has no value, and here
it is 0. A capital sigma becomes the same small one at a word's end as within it, and combining
marks are not put into canonical order: words that differ in nothing else are two there or here.

Invariants: counts are exact; a quotient of counts is rounded once to float32; means over lines and
the entropy are sums in float64, in the order of lines and of first occurrences. Scratch is that of
the longest document; time is linear in bytes.
"""

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Counts,
    Offsets,
    kernel,
    longest_document_bytes,
    utf8_buffers,
)
from bessemer.text.ngram_places import compare_words, compared_over
from bessemer.text.redpajama_repetition import REPETITION_NAMES, count_repetition
from bessemer.text.redpajama_scan import NormalWords, scan
from bessemer.text.redpajama_tables import Tables, scan_tables
from bessemer.text.shares import share
from bessemer.text.words import max_words

_DEFINITIONS = {
    "word_count": "words; rps_doc_word_count",
    "mean_word_chars": "characters of words / words; rps_doc_mean_word_length",
    "unique_word_frac": "distinct words / words; rps_doc_frac_unique_words",
    "unigram_entropy_nats": (
        "entropy of the words' frequencies, natural logarithm; rps_doc_unigram_entropy"
    ),
    "sentence_count": (
        "stretches between runs of . ! ? with a letter, number or underscore; rps_doc_num_sentences"
    ),
    "symbol_per_word_frac": (
        "#, ellipses of three full stops and U+2026 / raw words, may exceed 1; "
        "rps_doc_symbol_to_word_ratio"
    ),
    "no_alpha_word_frac": (
        "raw words without an ASCII letter / raw words; rps_doc_frac_no_alph_words"
    ),
    "all_caps_word_frac": (
        "raw words that are str.isupper / raw words; rps_doc_frac_all_caps_words"
    ),
    "stop_word_frac": (
        "raw words among ENGLISH_STOP_WORDS, in lower case / raw words; rps_doc_stop_word_fraction "
        "of English text"
    ),
    "curly_bracket_frac": "the signs { and } / characters; rps_doc_curly_bracket",
    "lorem_ipsum_frac": (
        '"lorem ipsum" / characters, both of the words joined by spaces; rps_doc_lorem_ipsum'
    ),
    "ellipsis_line_frac": (
        "lines that end in ... or U+2026 before white space / lines; "
        "rps_doc_frac_lines_end_with_ellipsis"
    ),
    "terminal_punct_line_frac": (
        "lines that end in . ! ? or U+201D before white space / lines; "
        "rps_lines_ending_with_terminal_punctution_mark"
    ),
    "bullet_line_frac": (
        "lines that begin with one of ten bullets after white space / lines; "
        "rps_lines_start_with_bulletpoint"
    ),
    "mean_line_words": "words / lines; rps_lines_num_words",
    "uppercase_letter_frac": (
        "str.isupper of a line's characters / characters, the line feed included, mean over the "
        "lines; rps_lines_uppercase_letter_fraction"
    ),
    "numeric_char_frac": (
        "str.isnumeric of the characters of a line's words joined by spaces / those characters, "
        "mean over the lines; rps_lines_numerical_chars_fraction"
    ),
    "javascript_word_count": 'words "javascript"; rps_lines_javascript_counts',
}
REDPAJAMA_SIGNALS: dict[str, str] = {
    f"{name}@redpajama": f"{definition}; RedPajama v2"
    for name, definition in (_DEFINITIONS | REPETITION_NAMES).items()
}
"""Name, ending in the peer whose measure it is, to definition and source: the order of the
output."""

_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "words", "word_chars", "unique_words", "sentences", "symbols", "raw_words",
            "no_alpha_words", "all_caps_words", "stop_words", "chars", "curly_brackets",
            "lorem_ipsums", "lines", "ellipsis_lines", "punct_lines", "bullet_lines",
            "javascript_words",
        )
    ]
    + [(name, np.float64) for name in ("entropy", "uppercase_frac", "numeric_frac")]
)  # fmt: skip


def redpajama_signals(array: pa.Array | pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in REDPAJAMA_SIGNALS for every document."""
    offsets, data = utf8_buffers(array)
    num_documents = len(offsets) - 1
    count = np.zeros(num_documents, _COUNTS)
    ngram_chars = np.zeros((len(REPETITION_NAMES), num_documents), np.int64)
    _count(offsets, data, scan_tables(), longest_document_bytes(offsets), count, ngram_chars)
    words, raw_words, lines = count["words"], count["raw_words"], count["lines"]
    normal_chars = count["word_chars"] + np.maximum(words - 1, 0)
    signals = {
        "word_count": words,
        "mean_word_chars": share(count["word_chars"], words),
        "unique_word_frac": share(count["unique_words"], words),
        "unigram_entropy_nats": count["entropy"],
        "sentence_count": count["sentences"],
        "symbol_per_word_frac": share(count["symbols"], raw_words),
        "no_alpha_word_frac": share(count["no_alpha_words"], raw_words),
        "all_caps_word_frac": share(count["all_caps_words"], raw_words),
        "stop_word_frac": share(count["stop_words"], raw_words) * (words > 0),
        "curly_bracket_frac": share(count["curly_brackets"], count["chars"]),
        "lorem_ipsum_frac": share(count["lorem_ipsums"], normal_chars),
        "ellipsis_line_frac": share(count["ellipsis_lines"], lines),
        "terminal_punct_line_frac": share(count["punct_lines"], lines),
        "bullet_line_frac": share(count["bullet_lines"], lines),
        "mean_line_words": share(words, lines),
        "uppercase_letter_frac": share(count["uppercase_frac"], lines),
        "numeric_char_frac": share(count["numeric_frac"], lines),
        "javascript_word_count": count["javascript_words"],
    }
    for name, chars in zip(REPETITION_NAMES, ngram_chars, strict=True):
        signals[name] = share(chars, count["word_chars"])
    return {f"{name}@redpajama": values.astype(np.float32) for name, values in signals.items()}


@njit(cache=True, nogil=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    tables: Tables,
    longest_bytes: int,
    out: npt.NDArray[np.void],
    out_ngram_chars: npt.NDArray[np.int64],
) -> None:
    limit = max_words(longest_bytes)
    words = NormalWords(np.empty(limit, np.uint64), np.empty(limit, np.int32))
    bounds = np.empty(longest_bytes + 3, np.int32)
    compared = compared_over(words.hashes, words.num_chars)
    for document in range(len(offsets) - 1):
        row = out[document]
        begin, end = offsets[document], offsets[document + 1]
        num_words = scan(data, begin, end, tables, bounds, words, row)
        num_places = compare_words(compared, num_words)
        row["unique_words"], row["entropy"] = _variety(compared.first, compared.counts, num_words)
        count_repetition(compared, num_places, out_ngram_chars[:, document])


@kernel
def _variety(first: Counts, counts: Counts, num_words: int) -> tuple[int, float]:
    """Return the number of distinct words, and the entropy of their frequencies.

    Of N words that occur c times each it is log N less the mean of log c: the same as the sum of
    -c/N log(c/N) over distinct words, but those that occur once, which are most, cost no logarithm.
    """
    num_distinct = 0
    total = 0.0
    for word in range(num_words):
        if first[word] == word:
            num_distinct += 1
            if counts[word] > 1:
                total += counts[word] * math.log(counts[word])
    entropy = max(0.0, math.log(num_words) - total / num_words) if num_words else 0.0
    return num_distinct, entropy
