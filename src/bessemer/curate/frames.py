"""The frame that Project Gutenberg puts around a book: its header and footer, cut and recorded."""

from __future__ import annotations

import re

from bessemer.curate.edits import Edit, Place, change

# Project Gutenberg's frame: today's markers, and the "small print" of the nineteen-nineties.
_GUTENBERG_SIGN = "project gutenberg"
_GUTENBERG_START = re.compile(
    r"^[ ]?\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)[^*]{0,300}\*{3}[ ]*\n"
    r"|^\*END\*? ?THE SMALL PRINT!.*\*END\*[ ]*\n",
    re.I | re.M,
)
_GUTENBERG_END = re.compile(
    r"^(?:End of (?:The |This )?Project Gutenberg.*\n\s*)?[ ]?"
    r"\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)"
    r"|^End of (?:The |This )?Project Gutenberg(?:['’]s)?(?: E(?:book|text))?.{0,200}\Z",
    re.I | re.M,
)
_HEADER_CHARS = 40_000


def cut_gutenberg_frame(text: str) -> tuple[str, tuple[Edit, ...]]:
    """`text` without the header and footer of Project Gutenberg, and what was cut, the footer
    first."""
    if _GUTENBERG_SIGN not in text[:2000].lower():
        return text, ()
    start = _GUTENBERG_START.search(text, 0, _HEADER_CHARS)
    first = start.end() if start else 0
    end = _GUTENBERG_END.search(text, first, len(text.rstrip()))
    last = end.start() if end else len(text)
    edits: tuple[Edit, ...] = ()
    for rule, begin, finish in (
        ("gutenberg_footer", last, len(text)),
        ("gutenberg_header", 0, first),
    ):
        if begin < finish:
            text, edit = change(text, rule, [Place(begin, finish)])
            edits += edit
    return text, edits
