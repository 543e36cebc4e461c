"""Text of unknown origin made harmless and visible before it meets a page.

Escaping for HTML is jinja2's and markupsafe's business. What they let through is dealt with here:
control characters, lone surrogates, and the invisible characters that reorder or hide the text
around them. They are shown, not dropped: in a report on data they are evidence.
"""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL, C1; soft hyphen; zero width (joiners aside: scripts and emoji need
# them); marks and overrides of direction; separators; fillers; tags; surrogates; non-characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e0fff]"
)
_PICTURES = 0x2400  # U+2400 to U+241F picture U+0000 to U+001F
_DELETE, _PICTURE_OF_DELETE = "\x7f", "\u2421"
_FIRST_LINES = re.compile(r"\A(?:[^\S\n]*\n)+")
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*\n")
_UP_TO_BLANK = re.compile(r"(?s).*\s")
_MARKS = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff\ufe20-\ufe2f]{3})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff\ufe20-\ufe2f]+"
)


def visible(text: str) -> str:
    """`text` with every unseen character pictured, line ends as line feeds, and marks unpiled.

    More than three combining marks on one letter are cut: piles of them paint over other lines.
    """
    text = text.replace("\r\n", "\n")
    return _MARKS.sub(r"\1…", _UNSEEN.sub(_picture, text))


def condensed(text: str) -> str:
    """`text` with one blank line where there were several, and none at its beginning."""
    return _BLANK_LINES.sub("\n\n", _FIRST_LINES.sub("", text))


def beginning(text: str, max_chars: int, max_lines: int = 12) -> tuple[str, bool]:
    """The first words, of so many characters and lines at most, and whether something was cut off.

    A word is cut only if it is longer than half of what may be shown, as in scripts without blanks.
    """
    shown = "\n".join(text.split("\n", max_lines)[:max_lines])
    if len(shown) > max_chars:
        words = _UP_TO_BLANK.match(shown, 0, max_chars + 1)
        whole = words[0].rstrip() if words else ""
        shown = whole if 2 * len(whole) >= max_chars else shown[:max_chars]
    is_cut = len(shown) < len(text.rstrip())
    return shown.rstrip() if is_cut else shown, is_cut


def ending(text: str, max_chars: int) -> str:
    """The last `max_chars` characters: of an address the end tells most."""
    return text if len(text) <= max_chars else f"…{text[1 - max_chars :]}"


def _picture(match: re.Match[str]) -> str:
    char = match[0]
    if char == _DELETE:
        return _PICTURE_OF_DELETE
    if ord(char) < 0x20:
        return chr(_PICTURES + ord(char))
    return f"⟨U+{ord(char):04X}⟩"
