"""The lines of a page, told apart by their text and links, and joined to plain text.

They come from Resiliparse's "minimal HTML", which has a line for each block, in these tags only:
h1 to h6, p, ul, ol, li, pre, br, a. All other `<` and `&` are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["text", "heading", "item", "code"]

# The name of a tag; none for what is no link here, without a target or to a place in the page.
_TAG = re.compile(r'<(?:a href="(?:#[^"]*)?">|(/?[a-z]+)[1-6]?(?: href="[^"]*")?>)')
_MAX_LINK_FRAC = 0.6
# Han, kana and hangul: a character says about as much as three letters.
_DENSE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_DENSE_LETTERS = 3
# From this many characters outside links on, a line is prose; from fewer, if it ends like a
# sentence.
_PROSE_CHARS = 60
_SENTENCE_CHARS = 25
_SENTENCE_END = re.compile(r'[.!?…:;。！？"”»)]\W*\Z')
# How far from prose, in lines, other lines still belong to it.
_NEAR_LINES = 6
_NEAR_ITEMS = 40
_HEADING_LINES = 3
# Deeper items are indented no further: else text would grow with the square of the nesting.
_MAX_INDENT_LEVELS = 8


class Line(NamedTuple):
    """A line that is not blank."""

    kind: Kind
    text: str
    link_chars: int  # of `text`
    own_chars: int  # of `text` outside links, in Latin letters' worth
    prefix: str  # a bullet or number, with its indentation
    is_apart: bool  # a blank line stands before it


def read_lines(minimal_html: str) -> list[Line]:
    """The lines, in order."""
    lines: list[Line] = []
    numbers: list[int | None] = []  # of the open lists; None: bullets
    prefix, is_apart, in_code = "", False, False
    has_code = "<pre>" in minimal_html  # few have
    for raw in minimal_html.split("\n"):
        if has_code and (in_code or "<pre>" in raw):
            in_code = "</pre>" not in raw
            text = _unescape(_TAG.sub("", raw))
            if text or in_code:
                lines.append(Line("code", text, 0, _own_chars(text, 0), prefix, is_apart))
                prefix, is_apart = "", False
            continue
        if not raw:
            is_apart = True
            continue
        kind: Kind = "item" if prefix else "text"
        link_chars = 0
        if "<" not in raw:
            text = raw.strip()
        elif raw.startswith("<p>") and raw.endswith("</p>") and raw.count("<") == 2:
            text = raw[3:-4].strip()
        else:
            text, *parts = _TAG.split(raw)
            # Resiliparse leaves some links open, so one is none unless it ends in its line.
            link_start: int | None = None
            for tag, part in zip(parts[::2], parts[1::2], strict=True):
                if tag == "a":
                    link_start = len(text)
                elif tag == "/a":
                    if link_start is not None:
                        link_chars += len(text[link_start:].strip())
                    link_start = None
                elif tag == "h":
                    kind = "heading"
                elif tag == "li":
                    kind, prefix = "item", _bullet(numbers)
                elif tag in ("ul", "ol"):
                    numbers.append(0 if tag == "ol" else None)
                elif tag in ("/ul", "/ol") and numbers:
                    numbers.pop()
                text += part
            text = text.strip()
        if not text:
            continue
        if kind == "text" and "\t" in text:  # between the cells of a table's row
            kind = "item"
        link_chars = min(link_chars, len(text))
        text = _unescape(text)
        lines.append(Line(kind, text, link_chars, _own_chars(text, link_chars), prefix, is_apart))
        prefix, is_apart = "", False
    return lines


def count_prose(lines: Sequence[Line]) -> int:
    """Characters of prose outside links."""
    return sum(own for line in lines if (own := line.own_chars) > _PROSE_CHARS)


def pick_lines(lines: Sequence[Line]) -> list[Line]:
    """Prose and code, with the headings, items and short lines that stand among them.

    Lines of links, and what is far from any prose, are left out. Without prose all lines stay that
    are not links.
    """
    is_link = [line.link_chars > _MAX_LINK_FRAC * len(line.text) for line in lines]
    is_prose = [_is_prose(line) and not link for line, link in zip(lines, is_link, strict=True)]
    if not any(is_prose):
        return [line for line, link in zip(lines, is_link, strict=True) if not link]
    far = len(lines) + _NEAR_ITEMS
    to_next = [far] * (len(lines) + 1)  # lines to go to the next one of prose
    for place in range(len(lines) - 1, -1, -1):
        to_next[place] = 0 if is_prose[place] else to_next[place + 1] + 1
    picked = []
    since = far  # lines since the last one of prose
    for place, line in enumerate(lines):
        # A list is near as a whole if its first items are.
        is_step = line.kind != "item" or since > _NEAR_LINES
        since = 0 if is_prose[place] else since + is_step
        if is_link[place]:
            continue
        if line.kind == "heading":
            leads_to_links = place + 1 < len(lines) and is_link[place + 1]
            keep = to_next[place] <= _HEADING_LINES and not leads_to_links
        elif line.kind == "item":
            keep = since <= _NEAR_ITEMS
        else:
            keep = since <= _NEAR_LINES and (
                to_next[place] <= _NEAR_LINES or _SENTENCE_END.search(line.text) is not None
            )
        if keep or is_prose[place]:
            picked.append(line)
    return picked


def join_lines(lines: Sequence[Line]) -> str:
    """Plain text: blank lines where there were some, bullets before items."""
    return "".join(
        ("\n\n" if line.is_apart else "\n") + line.prefix + line.text for line in lines
    ).strip("\n")


def _is_prose(line: Line) -> bool:
    if line.kind == "code":
        return True
    own = line.own_chars
    return line.kind != "heading" and (
        own >= _PROSE_CHARS
        or (own >= _SENTENCE_CHARS and _SENTENCE_END.search(line.text) is not None)
    )


def _own_chars(text: str, link_chars: int) -> int:
    own = len(text) - link_chars
    if own and not text.isascii():
        num_dense = len(_DENSE.findall(text))
        own += min(own, num_dense) * (_DENSE_LETTERS - 1)
    return own


def _bullet(numbers: list[int | None]) -> str:
    indent = "  " * min(max(len(numbers), 1), _MAX_INDENT_LEVELS)
    if not numbers or (number := numbers[-1]) is None:
        return f"{indent}• "
    numbers[-1] = number + 1
    return f"{indent}{number + 1}. "


def _unescape(text: str) -> str:
    if "&" not in text:
        return text
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    return text.replace("&amp;", "&")
