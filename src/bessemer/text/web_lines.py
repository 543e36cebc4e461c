"""Measures the lines of a page that are no text: shouted, numeric, counters, buttons, notices.

Input: an Arrow string array. Output: one float32 array per signal of `WEB_LINE_SIGNALS`, one value
per document in the order of the array.

The line rules are those of RefinedWeb (Penedo et al. 2023, arXiv 2306.01116, table G.2), in the
shape the DCLM pipeline gives them (baselines/mappers/modifiers.py, refinedweb.yaml): a line is what
stands between line feeds, a carriage return belongs to it, and it is blank if str.isspace. In its
order, DCLM removes a line more than half of whose characters are upper case; one of digits only;
one that is a counter ("3 likes"); one of a single word; and then, out of lines of up to
BUTTON_LINE_WORDS words, the phrases "items in cart", "Read more..." at the end and "Sign-in" at the
beginning, and lines that are blank thereafter. A page of whose words it removed more than 5 % is
dropped: `removed_word_frac@dclm` is that share, page by page the same; it may be less than 0, as
DCLM also strips the page, and may lay bare a word that began with a no-break space.

Deviations: case is that of ASCII letters (re.IGNORECASE also takes the long s for an s, and the
like). A page of which nothing at all is left has a share of 1 only if it had words.

Invariants: everything is counted in whole numbers; a signal is one count or one exact quotient of
two, rounded once to float32. Scratch is that of the longest document; time is linear in bytes.
"""

import functools
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Codes,
    Integer,
    Offsets,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.characters import NEWLINE, decode
from bessemer.text.phrases import Phrases, lower, make_phrases, pair_of, phrases_at
from bessemer.text.quality import share
from bessemer.text.string_classes import ALNUM, BLANK, DECIMAL, DIGIT, UPPER, string_classes

BUTTON_LINE_WORDS = 10
"""Lines of more words keep their button phrases (DCLM, refinedweb.yaml: max_length)."""

MAX_NUMERIC_FRAC = 0.999999
"""DCLM's way of saying "all": a longer line than a million characters may have another in it."""

COUNTED = (
    *("likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes"),
    *("downvotes", "downloads", "views", "followers"),
)
"""What a counter counts (DCLM, counter_line_modifier)."""

Kinds: TypeAlias = npt.NDArray[np.uint16]

# More bits of a code point's kind, beside those of `string_classes`.
_PARTS_WORDS = 256  # where fastText ends a token: tab to carriage return, the space, and NUL
_CURLY_BRACKET = 512

_JAVASCRIPT, _POLICY, _LOREM, _BUTTON = 1, 2, 4, 8
_PHRASES = {
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

WEB_LINE_SIGNALS: dict[str, str] = {
    "uppercase_line_frac": (
        "non-blank lines more than half of whose characters are upper case / non-blank lines; "
        "Penedo et al. 2023 (RefinedWeb), as DCLM counts"
    ),
    "numeric_line_frac": (
        "non-blank lines of digits only (more than MAX_NUMERIC_FRAC of the characters) / non-blank "
        "lines; Penedo et al. 2023, as DCLM counts"
    ),
    "counter_line_frac": (
        "lines that are a number, perhaps with k, m or b, and one of COUNTED, with nothing but "
        "signs around / non-blank lines; Penedo et al. 2023, as DCLM counts"
    ),
    "one_word_line_frac": (
        "lines of one word between white space / non-blank lines; Penedo et al. 2023"
    ),
    "button_count": (
        '"items in cart", "read more..." at the end or "sign-in" at the beginning of a line of up '
        "to BUTTON_LINE_WORDS words, if no rule above removes the line; Penedo et al. 2023, as "
        "DCLM counts"
    ),
    "removed_line_frac@dclm": "non-blank lines that DCLM's line rules remove / non-blank lines",
    "removed_word_frac@dclm": (
        "words that DCLM's line rules remove / words, which are what stands between ASCII white "
        "space or NUL and begins with a letter or number (fastText's tokens without punctuation)"
    ),
    "javascript_line_frac": (
        'non-blank lines with "javascript", whatever its case / non-blank lines; Raffel et al. '
        "2020 (C4)"
    ),
    "policy_line_frac": (
        'non-blank lines with "terms of use", "privacy policy", "cookie policy", "uses cookies", '
        '"use of cookies" or "use cookies", whatever the case / non-blank lines; Raffel et al. 2020'
    ),
    "lorem_ipsum_count": '"lorem ipsum", whatever its case; Raffel et al. 2020',
    "curly_bracket_count": "the signs { and }; Raffel et al. 2020 drop pages with {",
}
"""Name, ending in its unit or in the peer whose measure it is, to definition and source: the order
of the output."""

_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "lines", "uppercase_lines", "numeric_lines", "counter_lines", "one_word_lines",
            "javascript_lines", "policy_lines", "lorem_ipsums", "curly_brackets", "words",
            "removed_words", "removed_lines", "buttons",
        )
    ]
)  # fmt: skip


def web_line_signals(array: pa.Array | pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    """Return the signals defined in WEB_LINE_SIGNALS for every document."""
    offsets, data = utf8_buffers(array)
    longest_bytes = longest_document_bytes(offsets)
    count = np.zeros(len(offsets) - 1, _COUNTS)
    _count(offsets, data, _kinds(), *_compared_with(), longest_bytes, count)
    lines = count["lines"]
    signals = {
        "uppercase_line_frac": share(count["uppercase_lines"], lines),
        "numeric_line_frac": share(count["numeric_lines"], lines),
        "counter_line_frac": share(count["counter_lines"], lines),
        "one_word_line_frac": share(count["one_word_lines"], lines),
        "button_count": count["buttons"],
        "removed_line_frac@dclm": share(count["removed_lines"], lines),
        "removed_word_frac@dclm": share(count["removed_words"], count["words"]),
        "javascript_line_frac": share(count["javascript_lines"], lines),
        "policy_line_frac": share(count["policy_lines"], lines),
        "lorem_ipsum_count": count["lorem_ipsums"],
        "curly_bracket_count": count["curly_brackets"],
    }
    return {name: values.astype(np.float32) for name, values in signals.items()}


@functools.cache
def _compared_with() -> tuple[Phrases, Offsets, Codes, Codes, Codes]:
    """The phrases; what counters count, as numbers of base 32; the three button phrases."""
    counted = [sum(_letter(c) << 5 * i for i, c in enumerate(reversed(w))) for w in COUNTED]
    cart, more, sign_in = (
        read_only(np.array(list(map(ord, button)), np.uint32))
        for button in ("items in cart", "read more", "sign-in")
    )
    return make_phrases(_PHRASES), read_only(np.array(counted, np.int64)), cart, more, sign_in


def _letter(char: str) -> int:
    return ord(char) - 0x60


@functools.cache
def _kinds() -> Kinds:
    kinds = string_classes().astype(np.uint16)
    kinds[[0, *range(0x09, 0x0E), 0x20]] |= _PARTS_WORDS
    kinds[[0x7B, 0x7D]] |= _CURLY_BRACKET
    return read_only(kinds)


_MAX_COUNTED_CHARS = max(map(len, COUNTED))

# Where a line stands that may be a counter: before the number, in it, behind its k, m or b, behind
# the white space, in the word, behind it; or it is none.
_BEFORE, _NUMBER, _SUFFIX, _GAP, _NOUN, _BEHIND, _NO_COUNTER = range(7)


@njit(cache=True, nogil=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    classes: Kinds,
    phrases: Phrases,
    counted: Offsets,
    cart: Codes,
    more: Codes,
    sign_in: Codes,
    longest_bytes: int,
    out: npt.NDArray[np.void],
) -> None:
    kept = np.empty(longest_bytes + 1, np.uint32)
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        row = out[document]
        num_kept, has_button = _scan(data, begin, end, classes, phrases, counted, row, kept)
        if not has_button:
            row["removed_words"] -= _begins_with_hidden_word(kept, num_kept, classes)
        else:
            words_before = _count_words(kept, num_kept, classes)
            num_kept, buttons, gone = _cut_cart(kept, num_kept, classes, cart)
            row["buttons"] += buttons
            row["removed_lines"] += gone
            for phrase, at_end in ((more, True), (sign_in, False)):
                num_kept = _strip(kept, num_kept, classes)
                num_kept, buttons, gone = _cut_edge(kept, num_kept, classes, phrase, at_end)
                row["buttons"] += buttons
                row["removed_lines"] += gone
            num_kept = _strip(kept, num_kept, classes)
            row["removed_words"] += words_before - _count_words(kept, num_kept, classes)


@njit(cache=True, nogil=True)
def _scan(
    data: Bytes,
    begin: int,
    end: int,
    classes: Kinds,
    phrases: Phrases,
    counted: Offsets,
    out: np.void,
    out_kept: Codes,
) -> tuple[int, bool]:
    """Count lines in one pass, a turn of the outer loop per line; keep what the first rules keep.

    Returns how many code points are kept, and whether a button may be among them.
    """
    lines = uppercase_lines = numeric_lines = counter_lines = one_word_lines = 0
    javascript_lines = policy_lines = lorem_ipsums = 0
    curly_brackets: Integer = 0
    all_words = removed_words = removed_lines = 0
    is_pair = phrases.is_pair
    num_kept = 0
    has_button = False
    position = begin
    while position < end:
        line_start = num_kept
        uppers: Integer = 0
        digits: Integer = 0
        runs = words = 0
        noun_chars = 0
        noun: Integer = 0
        kinds: Integer = 0
        state = _BEFORE
        code: Integer = 0
        before: Integer = 0
        in_run = in_word = False
        while position < end:
            code = np.int64(data[position])
            width = 1
            if code >= 0x80:
                second = np.int64(data[position + 1]) if position + 1 < end else 0
                third = np.int64(data[position + 2]) if position + 2 < end else 0
                fourth = np.int64(data[position + 3]) if position + 3 < end else 0
                code, width = decode(code, second, third, fourth)
            position += width
            if code == NEWLINE:
                break
            kind = np.int64(classes[code])
            uppers += kind & UPPER
            digits += kind & DIGIT
            out_kept[num_kept] = code
            num_kept += 1
            is_blank = kind & BLANK != 0
            runs += in_run < (not is_blank)
            in_run = not is_blank
            words += not in_word and kind & ALNUM != 0
            in_word = kind & _PARTS_WORDS == 0
            low = code | (kind & UPPER) << 5  # of ASCII, which is all that is compared
            if code < 0x80:
                pair = pair_of(before, low)
                if is_pair[pair]:
                    found = phrases_at(data, begin, end, position, pair, phrases)
                    lorem_ipsums += found & _LOREM != 0
                    kinds |= found
                before = low
                curly_brackets += kind & _CURLY_BRACKET
            else:
                before = 0
            if state != _NO_COUNTER:
                state, noun, noun_chars = _go_on(state, low, kind, noun, noun_chars, counted)
        if runs == 0:
            num_kept = _end_line(out_kept, num_kept)
            continue
        num_chars = num_kept - line_start
        is_uppercase = 2 * uppers > num_chars
        is_numeric = digits // DIGIT / num_chars > MAX_NUMERIC_FRAC
        is_counter = state == _BEHIND or (state == _NOUN and _is_among(noun, counted))
        lines += 1
        uppercase_lines += bool(is_uppercase)
        numeric_lines += is_numeric
        counter_lines += is_counter
        one_word_lines += runs == 1
        javascript_lines += kinds & _JAVASCRIPT != 0
        policy_lines += kinds & _POLICY != 0
        all_words += words
        if is_uppercase or is_numeric or is_counter or runs == 1:
            removed_lines += 1
            removed_words += words
            num_kept = line_start
        else:
            has_button |= kinds & _BUTTON != 0 and runs <= BUTTON_LINE_WORDS
            num_kept = _end_line(out_kept, num_kept)
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
    return num_kept, has_button


@njit(cache=True, nogil=True)
def _end_line(out_kept: Codes, num_kept: int) -> int:
    out_kept[num_kept] = NEWLINE
    return num_kept + 1


@njit(cache=True, nogil=True)
def _go_on(
    state: int, low: Integer, kind: Integer, noun: Integer, noun_chars: int, counted: Offsets
) -> tuple[int, Integer, int]:
    """Return where a line that may be a counter stands after one more character, and its noun."""
    is_word = kind & ALNUM != 0 or low == 0x5F
    after = _NO_COUNTER
    if state == _BEFORE:
        if kind & DECIMAL:
            after = _NUMBER
        elif not is_word:
            after = _BEFORE
    elif state == _NUMBER and (kind & DECIMAL or low == 0x2C or low == 0x2E):
        after = _NUMBER
    elif state == _NUMBER and (low == 0x6B or low == 0x6D or low == 0x62):
        after = _SUFFIX
    elif kind & BLANK and state <= _GAP:
        after = _GAP
    elif state in (_GAP, _NOUN):
        if 0x61 <= low <= 0x7A:
            if noun_chars < _MAX_COUNTED_CHARS:
                after, noun, noun_chars = _NOUN, noun << 5 | (low - 0x60), noun_chars + 1
        elif state == _NOUN and not is_word and _is_among(noun, counted):
            after = _BEHIND
    elif state == _BEHIND and not is_word:
        after = _BEHIND
    return after, noun, noun_chars


@njit(cache=True, nogil=True)
def _is_among(noun: Integer, counted: Offsets) -> bool:
    is_counted = False
    for i in range(len(counted)):
        is_counted |= counted[i] == noun
    return is_counted


@njit(cache=True, nogil=True)
def _count_words(codes: Codes, num_codes: int, classes: Kinds) -> int:
    words = 0
    in_word = False
    for i in range(num_codes):
        kind = np.int64(classes[codes[i]])
        words += not in_word and kind & ALNUM != 0
        in_word = kind & _PARTS_WORDS == 0
    return words


@njit(cache=True, nogil=True)
def _begins_with_hidden_word(codes: Codes, num_codes: int, classes: Kinds) -> bool:
    """Whether a page has one word more once it is stripped.

    White space that is not ASCII does not part fastText's tokens, and hides the letter behind it.
    """
    first = 0
    while first < num_codes and classes[codes[first]] & BLANK:
        first += 1
    return bool(
        0 < first < num_codes
        and classes[codes[first]] & ALNUM
        and not classes[codes[first - 1]] & _PARTS_WORDS
    )


@njit(cache=True, nogil=True)
def _strip(codes: Codes, num_codes: int, classes: Kinds) -> int:
    """Cut white space off both ends of a page, in place; return what is left of it."""
    first, last = 0, num_codes
    while first < last and classes[codes[first]] & BLANK:
        first += 1
    while first < last and classes[codes[last - 1]] & BLANK:
        last -= 1
    for i in range(first, last):
        codes[i - first] = codes[i]
    return last - first


@njit(cache=True, nogil=True)
def _line_end(codes: Codes, first: int, num_codes: int) -> int:
    last = first
    while last < num_codes and codes[last] != NEWLINE:
        last += 1
    return last


@njit(cache=True, nogil=True)
def _num_runs(codes: Codes, first: int, last: int, classes: Kinds) -> int:
    """Return the words between white space."""
    runs = 0
    in_run = False
    for i in range(first, last):
        is_blank = classes[codes[i]] & BLANK != 0
        runs += in_run < (not is_blank)
        in_run = not is_blank
    return runs


@njit(cache=True, nogil=True)
def _stands_at(codes: Codes, first: int, last: int, phrase: Codes) -> bool:
    """Whether the codes from `first` to `last` begin with the phrase, whatever the case."""
    if last - first < len(phrase):
        return False
    is_equal = True
    for i in range(len(phrase)):
        is_equal &= lower(np.int64(codes[first + i])) == phrase[i]
    return is_equal


@njit(cache=True, nogil=True)
def _cut_cart(codes: Codes, num_codes: int, classes: Kinds, phrase: Codes) -> tuple[int, int, int]:
    """Cut a phrase out of short lines, and one white space before it, in place.

    Returns what is left of the page, how often it was cut, and how many lines are gone.
    """
    first = num_left = cuts = gone = 0
    while first < num_codes:
        last = _line_end(codes, first, num_codes)
        is_short = _num_runs(codes, first, last, classes) <= BUTTON_LINE_WORDS
        line_start = num_left
        cuts_before = cuts
        i = first
        while i < last:
            gap = 1 if classes[codes[i]] & BLANK else 0
            if is_short and _stands_at(codes, i + gap, last, phrase):
                i += gap + len(phrase)
                cuts += 1
            else:
                codes[num_left] = codes[i]
                num_left += 1
                i += 1
        if cuts > cuts_before and _num_runs(codes, line_start, num_left, classes) == 0:
            gone += 1
            num_left = line_start
        elif last < num_codes:
            codes[num_left] = NEWLINE
            num_left += 1
        first = last + 1
    return num_left, cuts, gone


@njit(cache=True, nogil=True)
def _cut_edge(
    codes: Codes, num_codes: int, classes: Kinds, phrase: Codes, at_end: bool
) -> tuple[int, int, int]:
    """Cut a phrase off the beginning of short lines and one white space behind it; or off the end,
    with three characters whatever they are, and one white space before it; in place.

    Returns the same as `_cut_cart`. The three characters stand for the ellipsis: DCLM's pattern
    does not escape the dots.
    """
    first = num_left = cuts = gone = 0
    while first < num_codes:
        last = _line_end(codes, first, num_codes)
        begin, stop = first, last
        if _num_runs(codes, first, last, classes) <= BUTTON_LINE_WORDS:
            if at_end:
                place = last - len(phrase) - 3
                if place >= first and _stands_at(codes, place, last, phrase):
                    stop = place
                    if stop > first and classes[codes[stop - 1]] & BLANK:
                        stop -= 1
            elif _stands_at(codes, first, last, phrase):
                begin = first + len(phrase)
                if begin < last and classes[codes[begin]] & BLANK:
                    begin += 1
        is_cut = begin > first or stop < last
        cuts += is_cut
        if is_cut and _num_runs(codes, begin, stop, classes) == 0:
            gone += 1
        else:
            for i in range(begin, stop):
                codes[num_left] = codes[i]
                num_left += 1
            if last < num_codes:
                codes[num_left] = NEWLINE
                num_left += 1
        first = last + 1
    return num_left, cuts, gone
