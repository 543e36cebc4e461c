"""Measures how much of a text repeats itself: lines, paragraphs and word n-grams.

Input: the text of a document and its words (`bessemer.text.word_families` reads texts). Output: one
float32 array per signal of `REPETITION_SIGNALS`.

The family is that of Rae et al. 2021 (Gopher, arXiv 2112.11446, appendix A1.1), which leaves room;
this is the dialect "each character once". A repeat is an occurrence after the first. Every signal
is a share of the characters (or lines) it is about, counted at most once, so all lie in [0, 1]:

- words are those of `bessemer.text.words`, folded; characters of n-grams are those of words, and
  the denominator is the characters of all words;
- duplicate n-grams: every word inside any later occurrence counts, once, overlaps or not.
  datatrove walks from left to right, jumps over a repeat it found, and divides by the length of the
  text; dolma counts all occurrences, the first as well, in overlapping n-grams, and divides by the
  characters of all n-grams; RedPajama counts the words of all occurrences, the first as well,
  once;
- most frequent n-gram: datatrove and dolma multiply its length by its count, which counts
  characters of an n-gram that overlaps itself several times and may exceed 1;
- lines and paragraphs are those of `bessemer.text.lines`: stripped, blank ones left out, and the
  denominator is the characters of all stripped lines. datatrove divides by the length of the text.

Invariants: equality is that of 64-bit hashes (odds in `bessemer.text.hashing`); all counts are
whole numbers and quotients are rounded once; scratch is that of the longest document. Cost: linear
in bytes. An n-gram can repeat only where both (n-1)-grams inside it repeat, so each order looks
only at the places the one before left over: few in prose, all in a text of one word.
"""

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Bytes, kernel
from bessemer.text.gopher import DUPLICATE_NGRAM_WORDS, TOP_NGRAM_WORDS
from bessemer.text.lines import Lines, find_lines
from bessemer.text.ngram_places import (
    Compared,
    compare_ngrams,
    count_equal,
    go_on,
    keep_repeated,
    num_chars_of,
)
from bessemer.text.shares import share

_LINE_SIGNALS = {
    "dup_line_frac": "non-blank lines equal to an earlier one, stripped / non-blank lines",
    "dup_line_char_frac": "characters of such lines / characters of non-blank lines, stripped",
    "dup_para_frac": "paragraphs equal to an earlier one, line by line stripped / paragraphs",
    "dup_para_char_frac": "characters of such paragraphs / characters of paragraphs, stripped",
}
_TOP_SIGNALS = {
    f"top_{n}gram_char_frac": (
        f"characters of words inside the most frequent {n}-gram of words, if it occurs at least "
        "twice (of equally frequent ones the longest in characters, then the first), each word "
        "once / characters of words"
    )
    for n in TOP_NGRAM_WORDS
}
_DUPLICATE_SIGNALS = {
    f"dup_{n}gram_char_frac": (
        f"characters of words inside a {n}-gram of words that occurred earlier, each word once / "
        "characters of words"
    )
    for n in DUPLICATE_NGRAM_WORDS
}
REPETITION_SIGNALS: dict[str, str] = {
    name: f"{definition}; Rae et al. 2021, appendix A1.1"
    for name, definition in (_LINE_SIGNALS | _TOP_SIGNALS | _DUPLICATE_SIGNALS).items()
}
"""Name, ending in its unit, to definition and source: the order of the output."""

_MIN_NGRAM_WORDS = min(TOP_NGRAM_WORDS)
_MIN_DUPLICATE_WORDS = min(DUPLICATE_NGRAM_WORDS)
MAX_NGRAM_WORDS = max(DUPLICATE_NGRAM_WORDS)

REPETITION_COUNTS = np.dtype(
    [
        ("lines", np.int64),
        ("line_chars", np.int64),
        ("dup_lines", np.int64),
        ("dup_line_chars", np.int64),
        ("paras", np.int64),
        ("dup_paras", np.int64),
        ("dup_para_chars", np.int64),
        ("word_chars", np.int64),
    ]
)


def repetition_of(
    count: npt.NDArray[np.void], ngram_chars: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in REPETITION_SIGNALS of documents that were counted."""
    signals = {
        "dup_line_frac": share(count["dup_lines"], count["lines"]),
        "dup_line_char_frac": share(count["dup_line_chars"], count["line_chars"]),
        "dup_para_frac": share(count["dup_paras"], count["paras"]),
        "dup_para_char_frac": share(count["dup_para_chars"], count["line_chars"]),
    }
    for name, n in zip(
        (*_TOP_SIGNALS, *_DUPLICATE_SIGNALS), TOP_NGRAM_WORDS + DUPLICATE_NGRAM_WORDS, strict=True
    ):
        signals[name] = share(ngram_chars[n], count["word_chars"])
    return {name: values.astype(np.float32) for name, values in signals.items()}


@kernel
def count_repeated_lines(
    data: Bytes,
    begin: int,
    end: int,
    classes: Bytes,
    lines: Lines,
    paragraphs: Lines,
    scratch: Compared,
    out: np.void,
) -> None:
    """Count the lines and paragraphs of a document, and those that were there before."""
    num_lines, num_paragraphs = find_lines(data, begin, end, classes, lines, paragraphs)
    line_chars = 0
    for line in range(num_lines):
        line_chars += lines.num_chars[line]
    out["lines"] = num_lines
    out["paras"] = num_paragraphs
    out["line_chars"] = line_chars
    out["dup_lines"], out["dup_line_chars"] = count_equal(
        lines.hashes, lines.num_chars, num_lines, scratch
    )
    out["dup_paras"], out["dup_para_chars"] = count_equal(
        paragraphs.hashes, paragraphs.num_chars, num_paragraphs, scratch
    )


@kernel
def count_repeated_ngrams(
    words: Compared,
    num_words: int,
    num_places: int,
    out: np.void,
    out_ngram_chars: npt.NDArray[np.int64],
) -> None:
    """Count the characters of words, and of those inside n-grams that count, by n.

    `num_places` are left of `compare_words`.
    """
    word_chars = 0
    for word in range(num_words):
        word_chars += words.num_chars[word]
    out["word_chars"] = word_chars
    for n in range(_MIN_NGRAM_WORDS, MAX_NGRAM_WORDS + 1):
        num_places = compare_ngrams(words, num_places, n)
        if n < _MIN_DUPLICATE_WORDS:
            top = _most_frequent(words, num_places, n)
            out_ngram_chars[n] = _chars_of_top(words, num_places, n, top) if top >= 0 else 0
        else:
            out_ngram_chars[n] = _chars_of_repeats(words, num_places, n)
        num_places = go_on(words, keep_repeated(words, num_places))


@kernel
def _most_frequent(words: Compared, num_places: int, n: int) -> int:
    """Return the first place of the most frequent n-gram, or -1 if none occurs twice."""
    best = -1
    most, most_chars = 2, 0
    for i in range(num_places):
        place = words.positions[i]
        if words.first[place] == place and words.counts[place] >= most:
            chars = num_chars_of(words, place, n)
            if words.counts[place] > most or chars > most_chars:
                best, most, most_chars = place, words.counts[place], chars
    return best


@kernel
def _chars_of_top(words: Compared, num_places: int, n: int, top: int) -> int:
    """Return the characters of the words inside the n-gram at `top` and its equals, each once."""
    covered_until = num_chars = 0
    for i in range(num_places):
        place = words.positions[i]
        if words.first[place] == top:
            begin = max(place, covered_until)
            covered_until = place + n
            num_chars += num_chars_of(words, begin, covered_until - begin)
    return num_chars


@kernel
def _chars_of_repeats(words: Compared, num_places: int, n: int) -> int:
    """Return the characters of the words inside n-grams that occurred earlier, each once."""
    covered_until = num_chars = 0
    for i in range(num_places):
        place = words.positions[i]
        if words.first[place] != place:
            begin = max(place, covered_until)
            covered_until = place + n
            num_chars += num_chars_of(words, begin, covered_until - begin)
    return num_chars
