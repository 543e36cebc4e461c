"""Counts the characters and lines of a text for `bessemer.text.quality`.

Input: the UTF-8 bytes of one document and where its words begin. Output: counts in a row.

Most of most texts are runs of ASCII letters, digits, blanks and signs that nothing hangs on: they
are counted a byte at a time by one addition of a number that holds three counts.
"""

import functools
from typing import NamedTuple

import numpy as np

from bessemer.text.buffers import Bytes, Codes, Counts, Hashes, Integer, kernel, read_only
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
    contains,
    decode,
)
from bessemer.text.quality import (
    BULLETS,
    CLAUSE_LINE_WORDS,
    CLAUSE_PUNCTUATION,
    RUNNING_LINE_WORDS,
    SHORT_LINE_CHARS,
    TERMINAL_PUNCTUATION,
)

_BLANK, _TAB, _HASH, _FULL_STOP, _ELLIPSIS = 0x20, 0x09, 0x23, 0x2E, 0x2026

# A byte of a run adds to the count of letters, digits or blanks, and to the highest bit, which
# tells it from the bytes that end a run; what that bit carries over is lost.
_IN_RUN = np.uint64(1 << 63)
_FIELD_BITS = 21
_LETTER, _DIGIT, _SPACE = (np.uint64(1 << field * _FIELD_BITS) for field in range(3))
_FIELD = np.uint64(2**_FIELD_BITS - 1)
_MOST_RUN_BYTES = 2**_FIELD_BITS - 1  # of more a count would not fit


class LineTables(NamedTuple):
    """What characters are compared with."""

    classes: Bytes  # bessemer.text.characters.class_table
    run_counts: Hashes  # uint64, per byte: what it adds to the counts of a run; 0 ends the run
    bullets: Codes
    terminals: Codes
    clauses: Codes


@functools.cache
def line_tables() -> LineTables:
    """Return the tables that `count_lines` reads, built once."""
    classes = class_table()
    run_counts = np.zeros(256, np.uint64)
    ends_run = {CARRIAGE_RETURN, NEWLINE, _FULL_STOP, _HASH}
    for code in range(128):
        if code in ends_run or classes[code] & CONTROL:
            continue
        run_counts[code] = _IN_RUN
        for bit, one in ((LETTER, _LETTER), (DIGIT, _DIGIT), (SPACE, _SPACE)):
            if classes[code] & bit:
                run_counts[code] |= one
    signs = (BULLETS, TERMINAL_PUNCTUATION, CLAUSE_PUNCTUATION)
    return LineTables(
        classes,
        read_only(run_counts),
        *(read_only(np.array(list(map(ord, each)), np.uint32)) for each in signs),
    )


@kernel
def count_lines(
    data: Bytes, begin: int, end: int, tables: LineTables, word_starts: Counts, out: np.void
) -> None:
    """Count the characters and lines of a document, a turn of the outer loop per line.

    `word_starts` are counted from `begin`. Time is linear in bytes.
    """
    classes, run_counts, bullets, terminals, clauses = tables
    letters: Integer = 0
    numbers: Integer = 0
    digits: Integer = 0
    spaces: Integer = 0
    chars = controls = number_signs = ellipses = 0
    newlines = lines = all_line_chars = max_line_chars = 0
    short_lines = bullet_lines = ellipsis_lines = punct_lines = 0
    word = running_words = 0
    position = begin
    while position < end:
        code: Integer = 0
        previous: Integer = 0
        first_visible: Integer = 0
        last_visible: Integer = 0
        line_chars = dots = dots_at_last = 0
        has_visible = False
        while position < end:
            start = position
            stop = min(end, start + _MOST_RUN_BYTES)
            run = np.uint64(0)
            while position < stop and run_counts[data[position]] != 0:
                run += run_counts[data[position]]
                position += 1
            num_bytes = position - start
            if num_bytes:
                run_spaces = np.int64(run // _SPACE & _FIELD)
                run_digits = np.int64(run // _DIGIT & _FIELD)
                letters += np.int64(run & _FIELD)
                numbers += run_digits
                digits += run_digits
                spaces += run_spaces
                chars += num_bytes
                line_chars += num_bytes
                code = dots = 0
                if run_spaces < num_bytes:
                    last = position - 1
                    while data[last] == _BLANK or data[last] == _TAB:
                        last -= 1
                    while data[start] == _BLANK or data[start] == _TAB:
                        start += 1
                    if not has_visible:
                        first_visible = np.int64(data[start])
                    last_visible = np.int64(data[last])
                    dots_at_last = 0
                    has_visible = True
                if position == stop:
                    continue
            previous = code
            code, width = decode(data, position, end)
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
            number_signs += code == _HASH
            dots = dots + 1 if code == _FULL_STOP else 0
            ellipses += code == _ELLIPSIS or (dots > 0 and dots % 3 == 0)
            if not has_visible:
                first_visible = code
            last_visible = code
            dots_at_last = dots
            has_visible = True
        if code == NEWLINE:
            newlines += 1
            spaces += 1
            line_chars -= previous == CARRIAGE_RETURN
        elif code == CARRIAGE_RETURN:
            line_chars -= 1
        if not has_visible:
            continue
        lines += 1
        all_line_chars += line_chars
        max_line_chars = max(max_line_chars, line_chars)
        short_lines += line_chars <= SHORT_LINE_CHARS
        bullet_lines += contains(bullets, first_visible)
        ellipsis_lines += last_visible == _ELLIPSIS or dots_at_last >= 3
        is_punctuated = contains(terminals, last_visible)
        punct_lines += is_punctuated
        first_word = word
        while word < len(word_starts) and begin + word_starts[word] < position:
            word += 1
        num_words = word - first_word
        if num_words >= RUNNING_LINE_WORDS or (
            num_words >= CLAUSE_LINE_WORDS and (is_punctuated or contains(clauses, last_visible))
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
