"""Measures the surface of a text: words, lines and characters, as the Gopher rules need them.

Input: an Arrow string array. Output: one float32 array per signal of `QUALITY_SIGNALS`, one value
per document in the order of the array.

Invariants: everything is counted in whole numbers; a signal is one count or one exact quotient of
two, rounded once to float32 (so bounds are compared in float32, and counts are exact up to 2**24).
A quotient with an empty denominator is 0; an empty or null document has 0 everywhere. Scratch is
that of the longest document; time is linear in bytes.
"""

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Codes,
    Counts,
    Hashes,
    Integer,
    Offsets,
    kernel,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import (
    CARRIAGE_RETURN,
    CONTROL,
    DIGIT,
    LETTER,
    MARK,
    NEWLINE,
    NUMBER,
    SPACE,
    class_table,
    decode,
    fold_table,
)
from bessemer.text.hashing import first_equal, num_slots
from bessemer.text.words import Words, empty_words, find_words, max_words, word_spans

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Rae et al. 2021 (arXiv 2112.11446), appendix A1.1."""

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

_COUNTS = np.dtype(
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


def quality_signals(array: pa.Array | pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in QUALITY_SIGNALS for every document."""
    offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(offsets)
    count = _count(
        offsets,
        data,
        class_table(),
        fold_table(),
        *_compared_with(),
        longest_bytes,
        np.zeros(len(offsets) - 1, _COUNTS),
    )
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


def share(part: Offsets, whole: Offsets) -> npt.NDArray[np.float64]:
    """Return part / whole, and 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole != 0)


@functools.cache
def _compared_with() -> tuple[Hashes, Codes, Codes, Codes]:
    """The stop words' hashes, the bullets, terminal and clause punctuation as arrays."""
    stop_words = word_spans(pa.array(STOP_WORDS))[3]
    bullets = np.array([ord(sign) for sign in BULLETS], np.uint32)
    terminals = np.array([ord(sign) for sign in TERMINAL_PUNCTUATION], np.uint32)
    clauses = np.array([ord(sign) for sign in CLAUSE_PUNCTUATION], np.uint32)
    return read_only(stop_words), read_only(bullets), read_only(terminals), read_only(clauses)


@njit(cache=True, nogil=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    classes: Bytes,
    fold: Codes,
    stop_words: Hashes,
    bullets: Codes,
    terminals: Codes,
    clauses: Codes,
    longest_bytes: int,
    out: npt.NDArray[np.void],
) -> npt.NDArray[np.void]:
    num_words = max_words(longest_bytes)
    words = empty_words(num_words)
    positions = np.empty(num_words, np.int32)
    first = np.empty(num_words, np.int32)
    slots = np.empty(num_slots(num_words), np.int32)
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        num_words = find_words(data, begin, end, classes, fold, words)
        positions[:num_words] = np.arange(num_words)
        first_equal(words.hashes, positions, num_words, slots, first)
        _count_words(words, num_words, first, stop_words, out[document])
        starts = words.starts[:num_words]
        _count_lines(data, begin, end, classes, starts, bullets, terminals, clauses, out[document])
    return out


@kernel
def _count_words(
    words: Words, num_words: int, first: Counts, stop_words: Hashes, out: np.void
) -> None:
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


@kernel
def _count_lines(
    data: Bytes,
    begin: int,
    end: int,
    classes: Bytes,
    word_starts: Counts,
    bullets: Codes,
    terminals: Codes,
    clauses: Codes,
    out: np.void,
) -> None:
    """Count characters and lines in one pass, a turn of the outer loop per line."""
    chars = spaces = letters = numbers = digits = controls = number_signs = ellipses = 0
    newlines = lines = all_line_chars = max_line_chars = 0
    short_lines = bullet_lines = ellipsis_lines = punct_lines = 0
    word = running_words = 0
    position = begin
    while position < end:
        code: Integer = 0
        previous: Integer = 0
        first_visible: Integer = 0
        last_visible: Integer = 0
        line_chars = visible_chars = dots = dots_at_last = 0
        while position < end:
            previous = code
            code = np.int64(data[position])
            width = 1
            if code >= 0x80:
                second = np.int64(data[position + 1]) if position + 1 < end else 0
                third = np.int64(data[position + 2]) if position + 2 < end else 0
                fourth = np.int64(data[position + 3]) if position + 3 < end else 0
                code, width = decode(code, second, third, fourth)
            position += width
            chars += 1
            kind = np.int64(classes[code])
            if code == NEWLINE:
                break
            line_chars += 1
            controls += kind & CONTROL != 0
            if kind & SPACE:
                spaces += 1
                dots = 0
                continue
            letters += kind & (LETTER | MARK) != 0
            numbers += kind & NUMBER != 0
            digits += kind & DIGIT != 0
            number_signs += code == 0x23
            dots = dots + 1 if code == 0x2E else 0
            ellipses += code == 0x2026 or (dots > 0 and dots % 3 == 0)
            if visible_chars == 0:
                first_visible = code
            visible_chars += 1
            last_visible = code
            dots_at_last = dots
        if code == NEWLINE:
            newlines += 1
            spaces += 1
            line_chars -= previous == CARRIAGE_RETURN
        elif code == CARRIAGE_RETURN:
            line_chars -= 1
        if visible_chars == 0:
            continue
        lines += 1
        all_line_chars += line_chars
        max_line_chars = max(max_line_chars, line_chars)
        short_lines += line_chars <= SHORT_LINE_CHARS
        bullet_lines += _contains(bullets, first_visible)
        ellipsis_lines += last_visible == 0x2026 or dots_at_last >= 3
        is_punctuated = _contains(terminals, last_visible)
        punct_lines += is_punctuated
        first_word = word
        while word < len(word_starts) and begin + word_starts[word] < position:
            word += 1
        num_words = word - first_word
        if num_words >= RUNNING_LINE_WORDS or (
            num_words >= CLAUSE_LINE_WORDS and (is_punctuated or _contains(clauses, last_visible))
        ):
            running_words += num_words
    out["chars"] = chars
    out["spaces"] = spaces
    out["letters"] = letters
    out["numbers"] = numbers
    out["digits"] = digits
    out["controls"] = controls
    out["number_signs"] = number_signs
    out["ellipses"] = ellipses
    out["newlines"] = newlines
    out["lines"] = lines
    out["line_chars"] = all_line_chars
    out["max_line_chars"] = max_line_chars
    out["short_lines"] = short_lines
    out["bullet_lines"] = bullet_lines
    out["ellipsis_lines"] = ellipsis_lines
    out["punct_lines"] = punct_lines
    out["running_words"] = running_words


@kernel
def _contains(codes: Codes, code: Integer) -> bool:
    is_contained = False
    for i in range(len(codes)):
        is_contained |= codes[i] == code
    return is_contained
