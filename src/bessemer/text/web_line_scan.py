"""Reads a page once and counts its lines, as `bessemer.text.web_lines` defines them.

Input: the UTF-8 bytes of one document, tables over code points and pairs of letters. Output: counts
in a row, and where the lines are that DCLM's first rules keep.
"""

import functools

import numpy as np

from bessemer.text.buffers import Bytes, Integer, Offsets, kernel, read_only
from bessemer.text.characters import NEWLINE, decode
from bessemer.text.phrases import Phrases, pair_of, phrases_at
from bessemer.text.string_classes import ALNUM, BLANK, DIGIT, UPPER, string_classes
from bessemer.text.web_buttons import (
    BUTTON_LINE_WORDS,
    PARTS_WORDS,
    Kinds,
    begins_with_hidden_word,
)
from bessemer.text.web_counters import is_counter

MAX_NUMERIC_FRAC = 0.999999
"""DCLM's way of saying "all": a longer line than a million characters may have another in it."""

_CURLY_BRACKET = 512  # one more bit of a code point's kind

_JAVASCRIPT, _POLICY, _LOREM, _BUTTON = 1, 2, 4, 8
PHRASES = {
    "javascript": ("ja", _JAVASCRIPT),
    "terms of use": ("ms", _POLICY),
    "privacy policy": ("cy", _POLICY),
    "cookie policy": ("ki", _POLICY),
    "uses cookies": ("ki", _POLICY),
    "use of cookies": ("ki", _POLICY),
    "use cookies": ("ki", _POLICY),
    "lorem ipsum": ("ps", _LOREM),
    "items in cart": ("ms", _BUTTON),
    "read more": ("mo", _BUTTON),
    "sign-in": ("n-", _BUTTON),
}


@functools.cache
def line_kinds() -> Kinds:
    """Return the kind of every code point as a sum of bits (uint16)."""
    kinds = string_classes().astype(np.uint16)
    kinds[[0, *range(0x09, 0x0E), 0x20]] |= PARTS_WORDS
    kinds[[0x7B, 0x7D]] |= _CURLY_BRACKET
    return read_only(kinds)


@kernel
def scan_lines(
    data: Bytes,
    begin: int,
    end: int,
    classes: Kinds,
    phrases: Phrases,
    counted: Offsets,
    out: np.void,
    out_bounds: Offsets,
) -> tuple[int, bool]:
    """Count lines in one pass, a turn of the outer loop per line.

    Writes the bytes at which stretches of lines begin and end that the first rules keep, and
    returns how many numbers these are, and whether a button may be among the lines.
    """
    lines = uppercase_lines = numeric_lines = counter_lines = one_word_lines = 0
    javascript_lines = policy_lines = lorem_ipsums = 0
    curly_brackets: Integer = 0
    removed_lines = 0
    all_words: Integer = 0
    removed_words: Integer = 0
    is_pair = phrases.is_pair
    num_bounds = 0
    kept_begin = begin
    has_button = has_kept = hidden_words = False
    position = begin
    while position < end:
        line_begin = position
        extra_bytes = 0
        uppers: Integer = 0
        digits: Integer = 0
        runs: Integer = 0
        words: Integer = 0
        found: Integer = 0
        before: Integer = 0
        kind: Integer = BLANK | PARTS_WORDS
        code: Integer = 0
        while position < end:
            code = np.int64(data[np.uint64(position)])
            if code == NEWLINE:
                break
            kind_before = kind
            if code < 0x80:
                position += 1
                kind = np.int64(classes[np.uint64(code)])
                low = code | (kind & UPPER) << 5  # of ASCII, which is all that is compared
                pair = pair_of(before, low)
                if is_pair[np.uint64(pair)]:
                    at_pair = phrases_at(data, begin, end, position, pair, phrases)
                    lorem_ipsums += at_pair & _LOREM != 0
                    found |= at_pair
                before = low
                curly_brackets += kind & _CURLY_BRACKET
            else:
                code, width = decode(data, position, end)
                position += width
                extra_bytes += width - 1
                kind = np.int64(classes[np.uint64(code)])
                before = 0
            uppers += kind & UPPER
            digits += kind & DIGIT
            runs += kind_before & ~kind & BLANK
            words += kind_before & PARTS_WORDS != 0 and kind & ALNUM != 0
        line_end = position
        position += 1
        if runs == 0:
            continue
        runs //= BLANK
        num_chars = line_end - line_begin - extra_bytes
        is_uppercase = 2 * uppers > num_chars
        is_numeric = digits // DIGIT / num_chars > MAX_NUMERIC_FRAC
        has_digit = bool(digits > 0)
        is_a_counter = has_digit and is_counter(data, line_begin, line_end, classes, counted)
        lines += 1
        uppercase_lines += bool(is_uppercase)
        numeric_lines += is_numeric
        counter_lines += is_a_counter
        one_word_lines += runs == 1
        javascript_lines += found & _JAVASCRIPT != 0
        policy_lines += found & _POLICY != 0
        all_words += words
        if is_uppercase or is_numeric or is_a_counter or runs == 1:
            removed_lines += 1
            removed_words += words
            if kept_begin < line_begin:
                out_bounds[num_bounds] = kept_begin
                out_bounds[num_bounds + 1] = line_begin
                num_bounds += 2
            kept_begin = position
        else:
            has_button |= bool(found & _BUTTON != 0 and runs <= BUTTON_LINE_WORDS)
            if not has_kept:
                hidden_words = begins_with_hidden_word(data, line_begin, line_end, classes)
            has_kept = True
    if kept_begin < end:
        out_bounds[num_bounds] = kept_begin
        out_bounds[num_bounds + 1] = end
        num_bounds += 2
    if has_kept and not has_button:
        removed_words -= hidden_words
    out["lines"] = lines
    out["uppercase_lines"] = uppercase_lines
    out["numeric_lines"] = numeric_lines
    out["counter_lines"] = counter_lines
    out["one_word_lines"] = one_word_lines
    out["javascript_lines"] = javascript_lines
    out["policy_lines"] = policy_lines
    out["lorem_ipsums"] = lorem_ipsums
    out["curly_brackets"] = curly_brackets // _CURLY_BRACKET
    out["words"] = all_words
    out["removed_words"] = removed_words
    out["removed_lines"] = removed_lines
    return num_bounds, has_button
