"""The frame that Project Gutenberg puts around a book: its header and footer, cut and recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Project Gutenberg's frame: today's markers, and the "small print" of the nineteen-nineties.
_GUTENBERG_SIGN = re.compile(r"project gutenberg", re.I)
_GUTENBERG_START = re.compile(
    r"^[ ]?\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)[^*]{0,300}\*{3}[ ]*\n"
    r"|^\*END\*? ?THE SMALL PRINT!.*\*END\*[ ]*\n",
    re.I | re.M,
)
_GUTENBERG_END = re.compile(
    r"^(?:End of (?:The |This )?Project Gutenberg.*\n\s*)?[ ]?"
    r"\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)"
    r"|^End of (?:The |This )?Project Gutenberg(?:['’]s)?(?: E(?:book|text))?.{0,200}\s*\Z",
    re.I | re.M,
)
_HEADER_CHARS = 40_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A range of bytes that was cut from the text as it was before any cut."""

    rule: str
    start_byte: int
    end_byte: int
    evidence: str


def cut_gutenberg_frame(text: str) -> tuple[str, tuple[Cut, ...]]:
    """`text` without the header and footer of Project Gutenberg, and what was cut."""
    if not _GUTENBERG_SIGN.search(text[:2000]):
        return text, ()
    start = _GUTENBERG_START.search(text, 0, _HEADER_CHARS)
    first = start.end() if start else 0
    end = _GUTENBERG_END.search(text, first)
    last = end.start() if end else len(text)
    cuts = []
    for rule, begin, finish in (
        ("gutenberg_header", 0, first),
        ("gutenberg_footer", last, len(text)),
    ):
        if begin < finish:
            start_byte = len(text[:begin].encode())
            cuts.append(
                Cut(
                    rule=rule,
                    start_byte=start_byte,
                    end_byte=start_byte + len(text[begin:finish].encode()),
                    evidence=" ".join(text[begin : min(finish, begin + 200)].split()),
                )
            )
    return text[first:last], tuple(cuts)
