"""Two nearly equal texts side by side: where they first part, and which words differ there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from bessemer.report.facts import Piece
from bessemer.report.plain import condensed

_WORD = re.compile(r"\S+\s*")
_LINE_END = re.compile(r"(\s*\n\s*|\s+$)")
_WORDS_BEFORE = 16  # equal words shown before the first difference
_WORDS_SHOWN = 80
_WORDS_MATCHED = 240  # more than are shown: a window cut short would end in false differences
_WORD_CHARS = 80  # a longer word is cut


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Windows of two texts from shortly before their first difference on."""

    skipped_words: int  # equal words before the windows
    left: tuple[Piece, ...]
    right: tuple[Piece, ...]


def compare(left: str, right: str) -> Comparison:
    """Compare two texts word by word; white space between words does not count.

    Linear in the common beginning; quadratic in the window only.
    """
    lefts, rights = _WORD.findall(condensed(left)), _WORD.findall(condensed(right))
    first = _common_words(lefts, rights)
    begin = max(0, first - _WORDS_BEFORE)
    lefts = lefts[begin : begin + _WORDS_MATCHED]
    rights = rights[begin : begin + _WORDS_MATCHED]
    matcher = SequenceMatcher(
        None, [word.strip() for word in lefts], [word.strip() for word in rights], autojunk=False
    )
    codes = matcher.get_opcodes()
    return Comparison(
        skipped_words=begin,
        left=_pieces(lefts, [(a, b, kind != "equal") for kind, a, b, _, _ in codes]),
        right=_pieces(rights, [(a, b, kind != "equal") for kind, _, _, a, b in codes]),
    )


def _common_words(lefts: Sequence[str], rights: Sequence[str]) -> int:
    """How many words both texts begin with."""
    for index, (left, right) in enumerate(zip(lefts, rights, strict=False)):
        if left.strip() != right.strip():
            return index
    return min(len(lefts), len(rights))


def _pieces(words: Sequence[str], runs: Sequence[tuple[int, int, bool]]) -> tuple[Piece, ...]:
    pieces = []
    for begin, end, differs in runs:
        shown = "".join(_short(word) for word in words[begin : min(end, _WORDS_SHOWN)])
        # White space at the end of a line or of the run is no difference.
        parts = _LINE_END.split(shown) if differs else [shown]
        pieces += [
            Piece(text=part, differs=differs and not part.isspace()) for part in parts if part
        ]
    return tuple(pieces)


def _short(word: str) -> str:
    return word if len(word) <= _WORD_CHARS else f"{word[:_WORD_CHARS]}… "
