"""Reads a file of code once and counts lines, characters, tokens, and what looks like data.

Input: the UTF-8 bytes of one document, and a table over code points. Output: counts in a row. What
they are for is said in `bessemer.text.code`.
"""

import functools
import string

import numpy as np
import numpy.typing as npt

from bessemer.text.ascii_runs import find_runs
from bessemer.text.buffers import Bytes, Counts, Integer, kernel, read_only
from bessemer.text.characters import CARRIAGE_RETURN, NEWLINE, decode
from bessemer.text.phrases import lower
from bessemer.text.string_classes import ALNUM, ALPHA, BLANK, BREAK, string_classes

LONG_LINE_CHARS = 1000
"""Of a longer line RedPajama v1 and StarCoder say that no person wrote it."""

BASE64_CHARS = 64
"""Shortest run that StarCoder 2 takes for encoded data (section 3.1)."""

HEX_CHARS = 32
"""Shortest run of hexadecimal digits that is data, the length of an MD5 sum; ours."""

# More bits of a code point's kind, beside those of `string_classes`.
_IN_WORD = 256  # `\w` of re
_BASE64 = 512  # ASCII letters and digits, + / = and line feed

_BETWEEN, _WORD, _SIGNS = range(3)  # white space, or the kind of token


@functools.cache
def code_kinds() -> npt.NDArray[np.uint16]:
    """Return the kind of every code point as a sum of bits (uint16)."""
    kinds = string_classes().astype(np.uint16)
    kinds[string_classes() & ALNUM != 0] |= _IN_WORD
    kinds[ord("_")] |= _IN_WORD
    kinds[list(map(ord, string.ascii_letters + string.digits + "+/=\n"))] |= _BASE64
    return read_only(kinds)


@kernel
def scan_code(
    data: Bytes,
    begin: int,
    end: int,
    kinds: npt.NDArray[np.uint16],
    scratch_bounds: Counts,
    out: np.void,
) -> None:
    """Count lines, characters, tokens and runs of the document at bytes `begin` to `end`.

    A turn of the outer loop per run of ASCII letters and digits, with the characters before it, and
    one for those behind the last. Lengths are differences between places: a run of letters changes
    nothing but counts.
    """
    newlines = lines = all_line_chars = max_line_chars = long_line_chars = 0
    alnums = tokens = max_run_chars = base64_chars = max_base64_chars = hex_chars = 0
    other_alphas: Integer = 0
    line_begin = run_begin = extra_bytes = 0  # in characters
    base64_begin = begin
    token_kind = _BETWEEN
    position = begin
    num_plain, num_letters = find_runs(data, begin, end, scratch_bounds)
    for plain in range(num_plain + 1):
        plain_begin = min(end, begin + scratch_bounds[2 * plain])
        while position < plain_begin:
            char = position - begin - extra_bytes
            code, width = decode(data, position, end)
            kind = np.int64(kinds[np.uint64(code)])
            if not kind & _BASE64:
                base64_run = position - base64_begin
                if base64_run >= BASE64_CHARS:
                    base64_chars += base64_run
                    max_base64_chars = max(max_base64_chars, base64_run)
                base64_begin = position + width
            if kind & BLANK:
                max_run_chars = max(max_run_chars, char - run_begin)
                run_begin = char + 1
                token_kind = _BETWEEN
                if kind & BREAK:
                    newlines += code == NEWLINE
                    is_second = position > begin and data[position - 1] == CARRIAGE_RETURN
                    if not (code == NEWLINE and is_second):
                        lines += 1
                        line_chars = char - line_begin
                        all_line_chars += line_chars
                        max_line_chars = max(max_line_chars, line_chars)
                        long_line_chars += line_chars if line_chars > LONG_LINE_CHARS else 0
                    line_begin = char + 1
            else:
                kind_of_token = _WORD if kind & _IN_WORD else _SIGNS
                tokens += kind_of_token != token_kind
                token_kind = kind_of_token
                alnums += kind & ALNUM != 0
                other_alphas += kind & ALPHA
            position += width
            extra_bytes += width - 1
        if plain == num_plain:
            break

        position = begin + scratch_bounds[2 * plain + 1]
        num_bytes = position - plain_begin
        alnums += num_bytes
        tokens += token_kind != _WORD
        token_kind = _WORD
        if num_bytes >= HEX_CHARS and _num_hex(data, plain_begin, position) == num_bytes:
            hex_chars += num_bytes
        else:
            is_escaped = plain_begin > begin and data[plain_begin - 1] == 0x5C
            if is_escaped or data[plain_begin] == 0x30:
                hex_chars += _literal_chars(data, plain_begin, position, is_escaped)
    chars = end - begin - extra_bytes
    line_chars = chars - line_begin
    if line_chars:
        lines += 1
        all_line_chars += line_chars
        max_line_chars = max(max_line_chars, line_chars)
        long_line_chars += line_chars if line_chars > LONG_LINE_CHARS else 0
    base64_run = end - base64_begin
    if base64_run >= BASE64_CHARS:
        base64_chars += base64_run
        max_base64_chars = max(max_base64_chars, base64_run)
    out["chars"] = chars
    out["newlines"] = newlines
    out["lines"] = lines
    out["line_chars"] = all_line_chars
    out["max_line_chars"] = max_line_chars
    out["long_line_chars"] = long_line_chars
    out["alnums"] = alnums
    out["alphas"] = num_letters + other_alphas // ALPHA
    out["tokens"] = tokens
    out["max_run_chars"] = max(max_run_chars, chars - run_begin)
    out["base64_chars"] = base64_chars
    out["max_base64_chars"] = max_base64_chars
    out["hex_chars"] = hex_chars


@kernel
def _literal_chars(data: Bytes, start: int, stop: int, is_escaped: bool) -> int:
    """Return the characters of a byte literal among the letters and digits from start to stop.

    0x and nothing but hexadecimal digits; behind a backslash x and two, or u and four of them.
    """
    if is_escaped:
        num_digits = 2 if data[start] == 0x78 else 4 if data[start] == 0x75 else 0
        if num_digits and _num_hex(data, start + 1, stop) >= num_digits:
            return 2 + num_digits
        return 0
    if stop - start > 2 and data[start + 1] | 0x20 == 0x78:
        return stop - start if _num_hex(data, start + 2, stop) == stop - start - 2 else 0
    return 0


@kernel
def _num_hex(data: Bytes, start: int, stop: int) -> int:
    """Return how many hexadecimal digits stand here in a row."""
    position = start
    while position < stop:
        low = lower(np.int64(data[position]))
        if not (0x30 <= low <= 0x39 or 0x61 <= low <= 0x66):
            break
        position += 1
    return position - start
