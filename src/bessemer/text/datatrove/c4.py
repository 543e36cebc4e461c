"""C4's line rules as datatrove applies them: what is left of a text, and its sentences.

Definitions are those of `C4QualityFilter` in datatrove 0.10.1. Lines are those of str.splitlines,
stripped. A line is taken out if a word of it is longer than MAX_WORD_CHARS, if it has fewer than
MIN_LINE_WORDS words, names JavaScript or a policy, or (where that is asked for) does not end in
terminal punctuation. Marks of citations are taken out of lines. The default of datatrove asks for
terminal punctuation; FineWeb, which uses the same filter, does not.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import Bools, Codes, kernel
from bessemer.text.datatrove.decoded import Text, put
from bessemer.text.datatrove.tables import DECIMAL, LINE_END, SPACE, Tables
from bessemer.text.datatrove.tokens import ENDS_SENTENCE, IS_PUNCT, IS_SPACE, Tokens

MAX_WORD_CHARS = 1000
MIN_LINE_WORDS = 3
_POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies",
    "use cookies",
)  # fmt: skip
_NEWLINE, _CARRIAGE_RETURN, _OPEN, _CLOSE, _CURLY, _DOT = 0x0A, 0x0D, 0x5B, 0x5D, 0x7B, 0x2E


def _codes(text: str) -> Codes:
    return np.array([ord(char) for char in text], np.uint32)


_EDIT, _NEEDED = _codes("[edit]"), _codes("[citation needed]")
_LOREM, _JAVASCRIPT = _codes("lorem ipsum"), _codes("javascript")
_TERMS, _PRIVACY, _COOKIE_POLICY, _USES, _USE_OF, _USE = map(_codes, _POLICIES)
_HAS_LOREM, _HAS_JAVASCRIPT, _HAS_CURLY, _HAS_POLICY = 1, 2, 4, 8

C4_COUNTS = np.dtype(
    [
        (f"{name}_{variant}", np.int64)
        for variant in ("punctuated", "all")
        for name in ("sentences", "lorem_lines", "curly_lines", "lines")
    ]
)
"""Of lines in terminal punctuation alone (C4, datatrove's default), and of all (FineWeb's use)."""


@kernel
def clean_lines(
    text: Text, num_chars: int, tables: Tables, is_punctuated: Bools, out_text: Text, out: np.void
) -> int:
    """Fill `out_text` with the lines that stay if terminal punctuation is not asked for.

    They are joined by line feeds. Returns the number of characters; `is_punctuated` tells of each
    line whether it ends in terminal punctuation, and `out` gets the counts but for sentences.
    """
    num_out = num_lines = num_punctuated = 0
    lorem = lorem_punctuated = curly = curly_punctuated = 0
    place = 0
    while place < num_chars:
        begin = place
        while place < num_chars and not np.int64(text.kinds[place]) & LINE_END:
            place += 1
        end = place
        place += 1
        if (
            place < num_chars
            and text.codes[place - 1] == _CARRIAGE_RETURN
            and text.codes[place] == _NEWLINE
        ):
            place += 1
        while begin < end and np.int64(text.kinds[begin]) & SPACE:
            begin += 1
        while end > begin and np.int64(text.kinds[end - 1]) & SPACE:
            end -= 1
        num_words, longest = _measure_words(text, begin, end)
        if longest > MAX_WORD_CHARS:
            continue
        line = num_out + 1 if num_lines else 0  # behind the line feed that parts it from the last
        if num_lines:
            put(out_text, num_out, _NEWLINE, tables)
        stop = _copy_without_citations(text, begin, end, tables, out_text, line)
        punctuated = _ends_sentence(out_text, line, stop)
        if num_words < MIN_LINE_WORDS:
            continue
        found = _phrases(out_text, line, stop)
        if found & _HAS_LOREM:
            lorem += 1
            lorem_punctuated += punctuated
        elif found & _HAS_CURLY and not found & _HAS_JAVASCRIPT:
            curly += 1
            curly_punctuated += punctuated
        if found:
            continue
        is_punctuated[num_lines] = punctuated
        num_punctuated += punctuated
        num_lines += 1
        num_out = stop
    out["lines_all"], out["lines_punctuated"] = num_lines, num_punctuated
    out["lorem_lines_all"], out["lorem_lines_punctuated"] = lorem, lorem_punctuated
    out["curly_lines_all"], out["curly_lines_punctuated"] = curly, curly_punctuated
    return num_out


@kernel
def count_sentences(
    text: Text, tokens: Tokens, num_tokens: int, is_punctuated: Bools, out: np.void
) -> None:
    """Count the sentences of each line as spaCy's sentencizer does, over the cleaned text.

    A sentence ends with a sign that ends sentences and what punctuation follows it.
    """
    line = sentences = punctuated = 0
    is_ended = is_begun = False
    for token in range(num_tokens + 1):
        num_newlines = 0
        is_space = False
        if token < num_tokens:
            is_space = np.int64(tokens.marks[token]) & IS_SPACE != 0
            if is_space:
                for place in range(tokens.begins[token], tokens.ends[token]):
                    num_newlines += text.codes[place] == _NEWLINE
        if token == num_tokens or num_newlines:
            if is_begun:
                sentences += 1
                punctuated += is_punctuated[line]
            is_begun = is_ended = False
            line += num_newlines
            continue
        marks = np.int64(tokens.marks[token])
        ends = marks & ENDS_SENTENCE != 0
        if is_ended and not marks & IS_PUNCT and not ends:
            sentences += is_begun
            punctuated += is_begun and is_punctuated[line]
            is_begun = is_ended = False
        if ends:
            is_ended = True
        is_begun |= not is_space
    out["sentences_all"], out["sentences_punctuated"] = sentences, punctuated


@kernel
def _measure_words(text: Text, begin: int, end: int) -> tuple[int, int]:
    """Words between white space, and the characters of the longest."""
    num_words = longest = size = 0
    for place in range(begin, end):
        if np.int64(text.kinds[place]) & SPACE:
            size = 0
        else:
            num_words += size == 0
            size += 1
            longest = max(longest, size)
    return num_words, longest


@kernel
def _copy_without_citations(
    text: Text, begin: int, end: int, tables: Tables, out: Text, num_out: int
) -> int:
    """Append a line without [1], [], [edit] and [citation needed]; return the new length."""
    place = begin
    while place < end:
        if text.codes[place] == _OPEN:
            stop = place + 1
            while stop < end and np.int64(text.kinds[stop]) & DECIMAL:
                stop += 1
            if stop < end and text.codes[stop] == _CLOSE:
                place = stop + 1
                continue
            if _stands_at(text, place, end, _EDIT):
                place += len(_EDIT)
                continue
            if _stands_at(text, place, end, _NEEDED):
                place += len(_NEEDED)
                continue
        num_out = put(out, num_out, text.codes[place], tables)
        place += 1
    return num_out


@kernel
def _stands_at(text: Text, place: int, end: int, phrase: Codes) -> bool:
    """Whether a phrase of small letters and signs stands there as it is."""
    i = 0
    while i < len(phrase) and place + i < end and text.codes[place + i] == phrase[i]:
        i += 1
    return i == len(phrase)


@kernel
def _ends_sentence(text: Text, begin: int, end: int) -> bool:
    """Whether a line ends in one of . ? ! and quotation marks, but not in three full stops."""
    if begin == end or text.codes[end - 1] not in (_DOT, 0x3F, 0x21, 0x22, 0x27):
        return False
    return not (
        end - begin >= 3
        and text.codes[end - 1] == _DOT
        and text.codes[end - 2] == _DOT
        and text.codes[end - 3] == _DOT
    )


@kernel
def _phrases(text: Text, begin: int, end: int) -> int:
    """What the line contains, in letters of either case: a sum of the constants above."""
    found = 0
    for place in range(begin, end):
        code = _lower(text.codes[place])
        if code == _CURLY:
            found |= _HAS_CURLY
        elif code == 0x6C:  # l
            if _reads(text, place, end, _LOREM):
                found |= _HAS_LOREM
        elif code == 0x6A:  # j
            if _reads(text, place, end, _JAVASCRIPT):
                found |= _HAS_JAVASCRIPT
        elif code == 0x75:  # u
            if (
                _reads(text, place, end, _USES)
                or _reads(text, place, end, _USE_OF)
                or _reads(text, place, end, _USE)
            ):
                found |= _HAS_POLICY
        elif (
            (code == 0x74 and _reads(text, place, end, _TERMS))
            or (code == 0x70 and _reads(text, place, end, _PRIVACY))
            or (code == 0x63 and _reads(text, place, end, _COOKIE_POLICY))
        ):
            found |= _HAS_POLICY
    return found


@kernel
def _reads(text: Text, place: int, end: int, phrase: Codes) -> bool:
    """Whether a phrase of small letters stands there, in letters of either case."""
    i = 0
    while i < len(phrase) and place + i < end and _lower(text.codes[place + i]) == phrase[i]:
        i += 1
    return i == len(phrase)


@kernel
def _lower(code: np.uint32) -> int:
    """ASCII's capitals, and the sign of the kelvin, as small letters."""
    lowered = np.int64(code)
    if 0x41 <= lowered <= 0x5A:
        lowered += 0x20
    elif lowered == 0x212A:
        lowered = 0x6B
    return lowered
