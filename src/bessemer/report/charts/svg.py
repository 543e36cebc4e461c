"""SVG elements from Python: the one place of the report where markup is made.

Text and attribute values are made visible and escaped here, so no name from the data can become
markup. Widths are in CSS pixels of the viewBox.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from markupsafe import Markup, escape

from bessemer.report.plain import visible

# Advances of characters in sans-serif fonts, in em, and how much wider some of them are.
_ADVANCES = dict.fromkeys("ijl'|", 0.23) | dict.fromkeys(" ftr.,:;!()[]-/", 0.31)
_ADVANCES |= dict.fromkeys("mwMW", 0.86)
_ADVANCE, _CAPITAL_ADVANCE, _WIDE_ADVANCE, _FONT_SLACK = 0.55, 0.69, 1.0, 1.06
_WIDE = "\u2e80"  # from here on, characters of East Asian scripts and pictures


def element(name: str, *children: str, **attributes: Any) -> Markup:
    """One element; `stroke_width=2` becomes `stroke-width="2"`, None leaves an attribute out.

    Children that are Markup go in as they are, all else is escaped.
    """
    written = "".join(
        f' {key.strip("_").replace("_", "-")}="{escape(visible(_plain(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(
        child if isinstance(child, Markup) else escape(visible(child)) for child in children
    )
    return Markup(f"<{name}{written}>{inside}</{name}>")


def picture(
    width: float, height: float, label: str, *children: Markup, class_: str = "", **rest: Any
) -> Markup:
    """A whole picture that scales with its column; `label` is what a screen reader says."""
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        role="img",
        aria_label=label,
        class_=f"picture {class_}".strip(),
        **rest,
    )


def text(x: float, y: float, words: str, *, class_: str = "", anchor: str = "start") -> Markup:
    """One line of text whose baseline is at `y`."""
    return element(
        "text",
        words,
        x=x,
        y=y,
        class_=class_ or None,
        text_anchor=None if anchor == "start" else anchor,
    )


def rect(
    x: float, y: float, width: float, height: float, class_: str, title: str = "", rx: float = 0
) -> Markup:
    """A filled rectangle, with a tooltip if it has a title."""
    inside = (element("title", title),) if title else ()
    return element(
        "rect",
        *inside,
        x=x,
        y=y,
        width=max(0.0, width),
        height=height,
        rx=rx or None,
        class_=class_,
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: list[tuple[float, float]], class_: str, *, closed: bool = False) -> Markup:
    """A line through points, or the area within them."""
    steps = "L".join(f"{_plain(x)} {_plain(y)}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", class_=class_)


def bars(boxes: Sequence[tuple[float, float, float, float]], class_: str) -> Markup:
    """Rectangles (x, y, width, height) of one colour as one path: a page has thousands of them."""
    steps = "".join(
        f"M{_plain(x)} {_plain(y)}h{_plain(width)}v{_plain(height)}h-{_plain(width)}z"
        for x, y, width, height in boxes
    )
    return element("path", d=steps, class_=class_)


def text_width(words: str, size: float = 12.0) -> float:
    """About how wide `words` will be; fonts differ, so leave room."""
    return sum(map(_advance, words)) * size * _FONT_SLACK


def _advance(char: str) -> float:
    if char >= _WIDE:
        return _WIDE_ADVANCE
    return _ADVANCES.get(char, _CAPITAL_ADVANCE if char.isupper() else _ADVANCE)


def fit(words: str, width: float, size: float = 12.0) -> str:
    """`words`, cut with an ellipsis to about `width`."""
    if text_width(words, size) <= width:
        return words
    room = width - text_width("…", size)
    ends = accumulate(text_width(char, size) for char in words)
    return f"{words[: sum(end <= room for end in ends)]}…"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
    return str(value)
