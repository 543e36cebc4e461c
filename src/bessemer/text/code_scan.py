"""Reads a file of code once and counts lines, characters, tokens, and what looks like data.

Input: the UTF-8 bytes of one document, and a table over code points. Output: counts in a row. What
they are for is said in `bessemer.text.code`.
"""

import functools

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Bytes, Integer, kernel, read_only
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
_PLAIN = 512  # ASCII letters and digits
_HEX = 1024  # of these the hexadecimal digits
_BASE64 = 2048  # + / = and line feed, beside those

_BETWEEN, _WORD, _SIGNS = range(3)  # white space, or the kind of token


@functools.cache
def code_kinds() -> npt.NDArray[np.uint16]:
    """Return the kind of every code point as a sum of bits (uint16)."""
    kinds = string_classes().astype(np.uint16)
    kinds[string_classes() & ALNUM != 0] |= _IN_WORD
    kinds[ord("_")] |= _IN_WORD
    for code in range(128):
        char = chr(code)
        kinds[code] |= _PLAIN * char.isalnum() | _HEX * (char in "0123456789abcdefABCDEF")
        kinds[code] |= _BASE64 * (char in "+/=\n")
    return read_only(kinds)


@kernel
def scan_code(
    data: Bytes, begin: int, end: int, kinds: npt.NDArray[np.uint16], out: np.void
) -> None:
    """Count lines, characters, tokens and runs of the document at bytes `begin` to `end`."""
    chars = newlines = lines = all_line_chars = max_line_chars = long_line_chars = 0
    alnums = tokens = max_run_chars = base64_chars = max_base64_chars = hex_chars = 0
    alphas: Integer = 0
    line_chars = run_chars = base64_run = 0
    token_kind = _BETWEEN
    code: Integer = 0
    position = begin
    while position < end:
        before = code
        code, width = decode(data, position, end)
        kind = np.int64(kinds[code])

        if kind & _PLAIN:
            # Most of most files: an ASCII letter or digit, and those that follow it.
            start = position
            seen = kind
            common = kind
            alphas += kind & ALPHA
            position += 1
            while position < end and data[position] < 0x80:
                kind = np.int64(kinds[data[position]])
                if not kind & _PLAIN:
                    break
                seen |= kind
                common &= kind
                alphas += kind & ALPHA
                position += 1
            code = np.int64(data[position - 1])
            num_chars = position - start
            chars += num_chars
            alnums += num_chars
            line_chars += num_chars
            run_chars += num_chars
            base64_run += num_chars
            tokens += token_kind != _WORD
            token_kind = _WORD
            if common & _HEX and num_chars >= HEX_CHARS:
                hex_chars += num_chars
            else:
                hex_chars += _literal_chars(data, start, position, before == 0x5C)
            continue

        position += width
        chars += 1
        if kind & BREAK:
            newlines += code == NEWLINE
            if not (code == NEWLINE and before == CARRIAGE_RETURN):
                lines += 1
                all_line_chars += line_chars
                max_line_chars = max(max_line_chars, line_chars)
                long_line_chars += line_chars if line_chars > LONG_LINE_CHARS else 0
            line_chars = 0
        else:
            line_chars += 1
        if kind & _BASE64:
            base64_run += 1
        elif base64_run:
            base64_chars += base64_run if base64_run >= BASE64_CHARS else 0
            max_base64_chars = max(max_base64_chars, base64_run)
            base64_run = 0
        if kind & BLANK:
            max_run_chars = max(max_run_chars, run_chars)
            run_chars = 0
            token_kind = _BETWEEN
            continue
        run_chars += 1
        kind_of_token = _WORD if kind & _IN_WORD else _SIGNS
        tokens += kind_of_token != token_kind
        token_kind = kind_of_token
        alnums += kind & ALNUM != 0
        alphas += kind & ALPHA
    if line_chars:
        lines += 1
        all_line_chars += line_chars
        max_line_chars = max(max_line_chars, line_chars)
        long_line_chars += line_chars if line_chars > LONG_LINE_CHARS else 0
    base64_chars += base64_run if base64_run >= BASE64_CHARS else 0
    max_base64_chars = max(max_base64_chars, base64_run)
    out["chars"] = chars
    out["newlines"] = newlines
    out["lines"] = lines
    out["line_chars"] = all_line_chars
    out["max_line_chars"] = max_line_chars
    out["long_line_chars"] = long_line_chars
    out["alnums"] = alnums
    out["alphas"] = alphas // ALPHA
    out["tokens"] = tokens
    out["max_run_chars"] = max(max_run_chars, run_chars)
    out["base64_chars"] = base64_chars
    out["max_base64_chars"] = max_base64_chars if max_base64_chars >= BASE64_CHARS else 0
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
    if stop - start > 2 and data[start] == 0x30 and data[start + 1] | 0x20 == 0x78:
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
