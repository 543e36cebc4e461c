"""Menus in the text of a page that came without mark-up: told only by standing there twice.

A menu is a run of lines of few words that end no sentence. One such run says nothing, as lists,
poems and tables have them too; the same lines both at the very top and at the very bottom do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bessemer.curate.edits import Edit, Place, change

_MAX_WORDS = 3
_MAX_LINE_CHARS = 24
_MIN_LINES = 4
# How many other lines may stand before the one at the top, or behind the one at the bottom.
_MAX_OUTSIDE_LINES = 3
_MAX_RUN_LINES = 200
_SENTENCE_END = re.compile(r"[.!?…:;,。！？]\W*\Z")


class _Line(NamedTuple):
    start: int
    end: int
    text: str


def cut_navigation(text: str) -> tuple[str, tuple[Edit, ...]]:
    """`text` without the lines of a menu that stand both at its top and at its bottom."""
    reach = (_MAX_RUN_LINES + _MAX_OUTSIDE_LINES) * 2 * _MAX_LINE_CHARS
    middle = len(text) // 2
    top = _run(_lines(text, 0, min(reach, middle)))
    if not top:
        return text, ()  # as it is with most, told by the first lines
    first = max(text.find("\n", max(len(text) - reach, middle)) + 1, middle)
    bottom = _run(reversed([*_lines(text, first, len(text))]))[::-1]
    begin, other, length = _longest_common(
        [line.text for line in top], [line.text for line in bottom]
    )
    names = {line.text for line in top[begin : begin + length]}
    if len(names) < _MIN_LINES:
        return text, ()
    places = [
        Place(run[at].start, run[at + length - 1].end)
        for run, at in ((top, begin), (bottom, other))
    ]
    return change(text, "navigation", places)


def _lines(text: str, start: int, end: int) -> Iterator[_Line]:
    """The whole lines between two places that are not blank."""
    while start < end:
        line_end = text.find("\n", start, end) + 1 or end
        line = text[start:line_end]
        if not line.isspace():
            yield _Line(start, line_end, line.strip())
        start = line_end


def _run(lines: Iterable[_Line]) -> list[_Line]:
    """The first run of a menu's lines that begins near the beginning; no more lines are read."""
    run: list[_Line] = []
    for number, line in enumerate(lines, start=1):
        if _is_short(line.text):
            run.append(line)
            if len(run) == _MAX_RUN_LINES:
                break
        elif len(run) >= _MIN_LINES or number > _MAX_OUTSIDE_LINES:
            break
        else:
            run = []
    return run if len(run) >= _MIN_LINES else []


def _is_short(line: str) -> bool:
    return (
        len(line) <= _MAX_LINE_CHARS
        and len(line.split()) <= _MAX_WORDS
        and _SENTENCE_END.search(line) is None
    )


def _longest_common(left: list[str], right: list[str]) -> tuple[int, int, int]:
    """The longest run that both hold: its places in both, and its length."""
    best = (0, 0, 0)
    lengths = [0] * (len(right) + 1)
    for i, line in enumerate(left):
        earlier = lengths
        lengths = [0] * (len(right) + 1)
        for j, other in enumerate(right):
            if line == other:
                lengths[j + 1] = earlier[j] + 1
                if lengths[j + 1] > best[2]:
                    best = (i - lengths[j + 1] + 1, j - lengths[j + 1] + 1, lengths[j + 1])
    return best
