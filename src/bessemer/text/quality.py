"""Measures the surface of a text: words, lines and characters, as the Gopher rules need them.

Input: counts of every document, of its words here and of its lines by `bessemer.text.quality_lines`
(`bessemer.text.word_families` reads texts). Output: one float32 array per signal of
`QUALITY_SIGNALS`.

Invariants: everything is counted in whole numbers; a signal is one count or one exact quotient of
two, rounded once to float32 (so bounds are compared in float32, and counts are exact up to 2**24).
A quotient with an empty denominator is 0; an empty or null document has 0 everywhere.
"""

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Counts, Hashes, kernel
from bessemer.text.shares import share
from bessemer.text.words import Words

BULLETS = "•‣*-●◦"
"""Rae et al. 2021 name the bullet point; the other signs are the union of those that datatrove,
dolma and the DCLM filters count (each has a different subset)."""

TERMINAL_PUNCTUATION = ".!?\"'…”’»。！？．｡」』＂＇։؟۔।॥။።។"
"""Raffel et al. 2020 (C4, arXiv 1910.10683) name full stop, exclamation and question mark and the
straight quotation mark; the others are their curly, full-width and other-script equivalents."""

SHORT_LINE_CHARS = 30
"""Penedo et al. 2024 (arXiv 2406.17557), the filters FineWeb adds of its own."""

CLAUSE_PUNCTUATION = ",;:-–—，、；：،؛"
"""Signs that end a line of verse or a listed clause, but no entry of a menu or an index."""

RUNNING_LINE_WORDS = 10
CLAUSE_LINE_WORDS = 4
"""Lengths that part running text from entries: chosen by reading web pages (docs/presets.md)."""

QUALITY_SIGNALS: dict[str, str] = {
    "char_count": "characters (Unicode code points)",
    "word_count": "words (bessemer.text.words); Rae et al. 2021",
    "unique_word_frac": "distinct folded words / words",
    "mean_word_chars": "characters of words / words; Rae et al. 2021",
    "alpha_word_frac": "words with at least one letter / words; Rae et al. 2021",
    "stop_word_count": "distinct words among the eight of STOP_WORDS, 0 to 8; Rae et al. 2021",
    "hash_per_word_frac": "number signs (#) / words, may exceed 1; Rae et al. 2021",
    "ellipsis_per_word_frac": (
        "ellipses (three full stops, counted without overlap, or U+2026) / words, may exceed 1; "
        "Rae et al. 2021"
    ),
    "newline_per_word_frac": "line feeds / words, may exceed 1; Penedo et al. 2024 (FineWeb)",
    "line_count": "non-blank lines (bessemer.text.lines)",
    "mean_line_chars": "characters of non-blank lines, indentation included / non-blank lines",
    "max_line_chars": "characters of the longest non-blank line, indentation included",
    "short_line_frac": (
        "non-blank lines of at most SHORT_LINE_CHARS characters / non-blank lines; "
        "Penedo et al. 2024 (FineWeb)"
    ),
    "bullet_line_frac": (
        "non-blank lines whose first character after white space is one of BULLETS / non-blank "
        "lines; Rae et al. 2021"
    ),
    "ellipsis_line_frac": (
        "non-blank lines that end in an ellipsis before white space / non-blank lines; "
        "Rae et al. 2021"
    ),
    "terminal_punct_line_frac": (
        "non-blank lines whose last character before white space is one of TERMINAL_PUNCTUATION / "
        "non-blank lines; Raffel et al. 2020 (C4), Penedo et al. 2024 (FineWeb)"
    ),
    "running_word_frac": (
        "words in lines of running text / words; a line runs with RUNNING_LINE_WORDS words, or "
        "with CLAUSE_LINE_WORDS if its last character before white space is one of "
        "TERMINAL_PUNCTUATION or CLAUSE_PUNCTUATION; ours, for menus and indexes have few"
    ),
    "alnum_frac": (
        "letters, combining marks and numbers (Unicode L*, M*, N*) / characters that are not white "
        "space"
    ),
    "alpha_frac": "letters and combining marks (Unicode L*, M*) / characters not white space",
    "digit_frac": "decimal digits (Unicode Nd) / characters not white space",
    "whitespace_frac": "white space (Unicode White_Space) / characters",
    "control_frac": (
        "C0 control characters other than tab, line feed and carriage return, and U+FFFD / "
        "characters"
    ),
}
"""Name, ending in its unit, to definition and source: the order of the output."""

QUALITY_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "words", "word_chars", "alpha_words", "stop_words", "unique_words", "chars", "spaces",
            "letters", "numbers", "digits", "controls", "number_signs", "ellipses", "newlines",
            "lines", "line_chars", "max_line_chars", "short_lines", "bullet_lines",
            "ellipsis_lines", "punct_lines", "running_words",
        )
    ]
)  # fmt: skip


def quality_of(count: npt.NDArray[np.void]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in QUALITY_SIGNALS of documents that were counted."""
    words, lines, chars = count["words"], count["lines"], count["chars"]
    visible = chars - count["spaces"]
    signals = {
        "char_count": chars,
        "word_count": words,
        "unique_word_frac": share(count["unique_words"], words),
        "mean_word_chars": share(count["word_chars"], words),
        "alpha_word_frac": share(count["alpha_words"], words),
        "stop_word_count": count["stop_words"],
        "hash_per_word_frac": share(count["number_signs"], words),
        "ellipsis_per_word_frac": share(count["ellipses"], words),
        "newline_per_word_frac": share(count["newlines"], words),
        "line_count": lines,
        "mean_line_chars": share(count["line_chars"], lines),
        "max_line_chars": count["max_line_chars"],
        "short_line_frac": share(count["short_lines"], lines),
        "bullet_line_frac": share(count["bullet_lines"], lines),
        "ellipsis_line_frac": share(count["ellipsis_lines"], lines),
        "terminal_punct_line_frac": share(count["punct_lines"], lines),
        "running_word_frac": share(count["running_words"], words),
        "alnum_frac": share(count["letters"] + count["numbers"], visible),
        "alpha_frac": share(count["letters"], visible),
        "digit_frac": share(count["digits"], visible),
        "whitespace_frac": share(count["spaces"], chars),
        "control_frac": share(count["controls"], chars),
    }
    return {name: values.astype(np.float32) for name, values in signals.items()}


@kernel
def count_words(
    words: Words, num_words: int, first: Counts, stop_words: Hashes, out: np.void
) -> None:
    """Count a document's words; `first` holds for each the first one that is equal."""
    hashes, _, _, lengths, has_letter = words
    stop_words_seen = 0
    word_chars = alpha_words = unique_words = 0
    for word in range(num_words):
        word_chars += lengths[word]
        alpha_words += has_letter[word]
        if first[word] == word:
            unique_words += 1
            for i in range(len(stop_words)):
                if hashes[word] == stop_words[i]:
                    stop_words_seen += 1
    out["words"] = num_words
    out["word_chars"] = word_chars
    out["alpha_words"] = alpha_words
    out["unique_words"] = unique_words
    out["stop_words"] = stop_words_seen
