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

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from bessemer.text.buffers import (
    Bytes,
    Codes,
    Offsets,
    longest_document_bytes,
    read_only,
    utf8_buffers,
)
from bessemer.text.phrases import Phrases, make_phrases
from bessemer.text.shares import share
from bessemer.text.web_buttons import (
    Kinds,
    count_words,
    cut_cart,
    cut_edge,
    decode_lines,
    strip_page,
)
from bessemer.text.web_counters import counted_nouns
from bessemer.text.web_line_scan import PHRASES, line_kinds, scan_lines

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
        "lines that are a number, perhaps with k, m or b, and one of web_counters.COUNTED, with "
        "nothing but signs around / non-blank lines; Penedo et al. 2023, as DCLM counts"
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
    _count(offsets, data, line_kinds(), *_compared_with(), longest_bytes, count)
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
    cart, more, sign_in = (
        read_only(np.array(list(map(ord, button)), np.uint32))
        for button in ("items in cart", "read more", "sign-in")
    )
    return make_phrases(PHRASES), counted_nouns(), cart, more, sign_in


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
    bounds = np.empty(longest_bytes + 2, np.int64)
    kept = np.empty(longest_bytes + 1, np.uint32)
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        row = out[document]
        num_bounds, has_button = scan_lines(
            data, begin, end, classes, phrases, counted, row, bounds
        )
        if has_button:
            num_kept = decode_lines(data, bounds, num_bounds, kept)
            words_before = count_words(kept, num_kept, classes)
            num_kept, buttons, gone = cut_cart(kept, num_kept, classes, cart)
            row["buttons"] += buttons
            row["removed_lines"] += gone
            for phrase, at_end in ((more, True), (sign_in, False)):
                num_kept = strip_page(kept, num_kept, classes)
                num_kept, buttons, gone = cut_edge(kept, num_kept, classes, phrase, at_end)
                row["buttons"] += buttons
                row["removed_lines"] += gone
            num_kept = strip_page(kept, num_kept, classes)
            row["removed_words"] += words_before - count_words(kept, num_kept, classes)
