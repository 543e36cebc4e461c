"""Two nearly equal texts side by side: where they first part, and which words differ there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from bessemer.core.units import format_counted
from bessemer.report.facts import Piece
from bessemer.report.plain import condensed

COMPARED_CHARS = 200_000
"""Of either text, so many characters are read to be compared."""

_WORD = re.compile(r"\S+\s*")
_LINE_END = re.compile(r"(\s*\n\s*|\s+$)")
_WORDS_BEFORE, _LINES_BEFORE, _CHARS_BEFORE = 16, 3, 160  # shown before the first difference
_WORDS_SHOWN, _LINES_SHOWN, _CHARS_SHOWN = 80, 14, 640  # at most; the first difference is in it
_WORDS_MATCHED = 240  # more than are shown: a window cut short would end in false differences
_WORD_CHARS = 80  # a longer word is cut


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Windows of two texts from shortly before their first difference on."""

    skipped_words: int  # equal words before the windows
    is_same: bool  # no word differs: the windows are the beginnings
    is_whole: bool  # neither text goes on after COMPARED_CHARS
    left: tuple[Piece, ...]
    right: tuple[Piece, ...]

    @property
    def where(self) -> str:
        """Where the texts part, if they do not at once: "after 12 equal words"."""
        if self.is_same:
            far = "" if self.is_whole else f" in the first {COMPARED_CHARS:,} characters"
            return f"equal but for white space{far}"
        words = format_counted(self.skipped_words, "equal word")
        return f"after {words}" if self.skipped_words else ""


def compare(left: str, right: str) -> Comparison:
    """Compare two texts word by word; white space between words does not count.

    A window that does not reach the end of its text ends with an ellipsis. Linear in the common
    beginning; quadratic in the window only.
    """
    lefts, rights = _WORD.findall(condensed(left)), _WORD.findall(condensed(right))
    first = _common_words(lefts, rights)
    is_same = first == len(lefts) == len(rights)
    begin = 0 if is_same else max(_begin(lefts, first), _begin(rights, first))
    more = [len(words) > begin + _num_shown(words[begin:]) for words in (lefts, rights)]
    lefts = lefts[begin : begin + _WORDS_MATCHED]
    rights = rights[begin : begin + _WORDS_MATCHED]
    matcher = SequenceMatcher(
        None, [word.strip() for word in lefts], [word.strip() for word in rights], autojunk=False
    )
    codes = matcher.get_opcodes()
    return Comparison(
        skipped_words=begin,
        is_same=is_same,
        is_whole=max(len(left), len(right)) < COMPARED_CHARS,
        left=_pieces(lefts, [(a, b, kind != "equal") for kind, a, b, _, _ in codes], more[0]),
        right=_pieces(rights, [(a, b, kind != "equal") for kind, _, _, a, b in codes], more[1]),
    )


def _common_words(lefts: Sequence[str], rights: Sequence[str]) -> int:
    """How many words both texts begin with."""
    for index, (left, right) in enumerate(zip(lefts, rights, strict=False)):
        if left.strip() != right.strip():
            return index
    return min(len(lefts), len(rights))


def _begin(words: Sequence[str], first: int) -> int:
    """The first of the few words to be shown before word number `first`."""
    begin, lines, chars = first, 0, 0
    while begin > 0 and first - begin < _WORDS_BEFORE:
        lines, chars = lines + words[begin - 1].count("\n"), chars + len(_short(words[begin - 1]))
        if lines > _LINES_BEFORE or chars > _CHARS_BEFORE:
            break
        begin -= 1
    return begin


def _num_shown(words: Sequence[str]) -> int:
    """How many words are shown of a window."""
    lines = chars = 0
    for place, word in enumerate(words[:_WORDS_SHOWN]):
        if lines >= _LINES_SHOWN or chars >= _CHARS_SHOWN:
            return place
        lines, chars = lines + word.count("\n"), chars + len(_short(word))
    return min(len(words), _WORDS_SHOWN)


def _pieces(
    words: Sequence[str], runs: Sequence[tuple[int, int, bool]], has_more: bool
) -> tuple[Piece, ...]:
    pieces = []
    num_shown = _num_shown(words)
    for begin, end, differs in runs:
        shown = "".join(_short(word) for word in words[begin : min(end, num_shown)])
        # White space at the end of a line or of the run is no difference.
        parts = _LINE_END.split(shown) if differs else [shown]
        pieces += [
            Piece(text=part, differs=differs and not part.isspace()) for part in parts if part
        ]
    return (*pieces, Piece(text="…", differs=False)) if has_more else tuple(pieces)


def _short(word: str) -> str:
    return word if len(word) <= _WORD_CHARS else f"{word[:_WORD_CHARS]}… "
