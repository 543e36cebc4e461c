"""Bars: yardsticks, shares of a mixture, repetitions, languages, and bars inside tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from bessemer.core.units import format_count
from bessemer.report.charts.lines import BASELINE_NAMES
from bessemer.report.charts.svg import element, fit, picture, rect, text, text_width
from bessemer.report.facts import Language, MixRow

WIDTH = 352.0
_ROW = 25.0
_CELL_WIDTH = 100.0


def cell_bar(share: float, class_: str = "bar", title: str = "") -> Markup:
    """A bar for a table cell: `share` of the cell's width."""
    return element(
        "svg",
        rect(0, 0, _CELL_WIDTH, 10, "track"),
        rect(0, 0, max(0.0, min(share, 1.0)) * _CELL_WIDTH, 10, class_, title),
        viewBox=f"0 0 {_CELL_WIDTH:.0f} 10",
        preserveAspectRatio="none",
        class_="cellbar",
        aria_hidden="true",
    )


def part_bar(parts: Sequence[tuple[float, str]]) -> Markup:
    """A bar for a table cell in parts, each a share of the cell's width with its colour class."""
    marks = [rect(0, 0, _CELL_WIDTH, 10, "track")]
    begin = 0.0
    for share, class_ in parts:
        marks.append(rect(begin, 0, share * _CELL_WIDTH, 10, f"segment {class_}"))
        begin += share * _CELL_WIDTH
    return element(
        "svg",
        *marks,
        viewBox=f"0 0 {_CELL_WIDTH:.0f} 10",
        preserveAspectRatio="none",
        class_="cellbar",
        aria_hidden="true",
    )


def yardstick(
    source: str, model: float | None, baselines: Mapping[str, float], most: float
) -> Markup:
    """The model's bits per byte between the baselines of one source; shorter is better."""
    rows = [
        (BASELINE_NAMES.get(name, name), value, f"measure {name}")
        for name, value in baselines.items()
    ]
    if model is not None:
        rows.insert(1 if rows else 0, ("this model", model, "measure model"))
    left, right = 92.0, 40.0
    scale = (WIDTH - left - right) / (most or 1)
    marks: list[Markup] = []
    for index, (name, value, class_) in enumerate(rows):
        y = index * _ROW
        is_model = class_.endswith("model")
        marks += [
            text(
                left - 10, y + 16, name, class_="name model" if is_model else "name", anchor="end"
            ),
            rect(left, y + 4, value * scale, 16, class_, rx=2),
            text(
                left + value * scale + 7,
                y + 16,
                f"{value:.2f}",
                class_="value model" if is_model else "value",
            ),
        ]
    label = f"{source}, bits per byte: " + ", ".join(f"{n} {v:.2f}" for n, v, _ in rows)
    return picture(WIDTH, max(1, len(rows)) * _ROW, label, *marks, class_="yardstick")


def share_flow(rows: Sequence[MixRow], colors: Mapping[str, str], width: float = WIDTH) -> Markup:
    """What there is above, what training sees below, and how each source widens or narrows."""
    available = sum(row.available_tokens for row in rows) or 1
    planned = sum(row.planned_tokens for row in rows) or 1
    top, bar, middle = 22.0, 30.0, 64.0
    low = top + bar + middle
    marks: list[Markup] = [
        text(0, 14, f"available: {format_count(available)} tokens", class_="name"),
        text(0, low + bar + 18, f"training sees: {format_count(planned)} tokens", class_="name"),
    ]
    above = below = 0.0
    for row in rows:
        color = colors[row.source]
        wide, narrow = row.available_tokens / available, row.planned_tokens / planned
        x1, w1, x2, w2 = above * width, wide * width, below * width, narrow * width
        bend = middle / 2
        ribbon = (
            f"M{x1:.1f} {top + bar:.1f}C{x1:.1f} {top + bar + bend:.1f} {x2:.1f} {low - bend:.1f} "
            f"{x2:.1f} {low:.1f}L{x2 + w2:.1f} {low:.1f}C{x2 + w2:.1f} {low - bend:.1f} "
            f"{x1 + w1:.1f} {top + bar + bend:.1f} {x1 + w1:.1f} {top + bar:.1f}Z"
        )
        marks += [
            element("path", d=ribbon, class_=f"ribbon {color}"),
            _segment(x1, top, w1, bar, row.source, wide, color),
            _segment(x2, low, w2, bar, row.source, narrow, color),
        ]
        above, below = above + wide, below + narrow
    parts = ", ".join(
        f"{row.source} {row.available_tokens / available:.0%} to {row.planned_tokens / planned:.0%}"
        for row in rows
    )
    label = f"Share of each source in the tokens that there are and that training sees: {parts}"
    return picture(width, low + bar + 24, label, *marks, class_="shares")


def _segment(
    x: float, y: float, width: float, height: float, name: str, share: float, color: str
) -> Markup:
    """One source in a stacked bar, named where there is room."""
    title = f"{name}: {share:.1%}"
    marks = [rect(x, y, width, height, f"segment {color}", title)]
    for words in (f"{name} {share:.0%}", name, f"{share:.0%}"):
        if text_width(words, 12.5) + 12 <= width:
            marks.append(text(x + 8, y + height / 2 + 4.5, words, class_=f"inside {color}"))
            break
    return element("g", *marks)


def epoch_bar(row: MixRow, most: float, color: str) -> Markup:
    """Planned tokens, cut wherever the source's text is used up and begins again."""
    scale = _CELL_WIDTH / (most or 1)
    marks = [rect(0, 0, _CELL_WIDTH, 10, "track")]
    left, x = row.planned_tokens, 0.0
    turn = 0
    while left > 0 and row.available_tokens and turn < 64:
        part = min(left, row.available_tokens)
        width = part * scale
        gap = min(0.7, width / 2) if left > part else 0.0
        title = f"reading {turn + 1}: {format_count(part)} tokens"
        fade = "" if turn == 0 else " repeated"
        marks.append(rect(x, 0, width - gap, 10, f"segment {color}{fade}", title))
        left, x, turn = left - part, x + width, turn + 1
    return element(
        "svg",
        *marks,
        viewBox=f"0 0 {_CELL_WIDTH:.0f} 10",
        preserveAspectRatio="none",
        class_="cellbar tall",
        aria_hidden="true",
    )


def language_bars(source: str, languages: Sequence[Language], most_rows: int = 8) -> Markup:
    """Documents per language: pale before curation, full after."""
    shown = list(languages[:most_rows])
    rest = languages[most_rows:]
    if rest:
        shown.append(
            Language(
                code=f"{len(rest)} more",
                docs_before=sum(language.docs_before for language in rest),
                docs_after=sum(language.docs_after for language in rest),
            )
        )
    most = max((language.docs_before for language in shown), default=1) or 1
    left, right = 58.0, 104.0
    scale = (WIDTH - left - right) / most
    marks: list[Markup] = []
    for index, language in enumerate(shown):
        y = index * 21.0
        name = language.code or "none"
        before, after = language.docs_before, language.docs_after
        marks += [
            text(left - 9, y + 13, fit(name, left - 9), class_="name", anchor="end"),
            rect(left, y + 3, max(1.0, before * scale), 12, "before", f"{name}: {before:,} before"),
            rect(left, y + 3, after * scale, 12, "kept", f"{name}: {after:,} after"),
            text(
                left + max(1.0, before * scale) + 7,
                y + 13,
                f"{format_count(before)} → {format_count(after)}",
                class_="value",
            ),
        ]
    label = f"Languages of {source}, documents before and after curation: " + ", ".join(
        f"{language.code or 'none'} {language.docs_before} to {language.docs_after}"
        for language in shown
    )
    return picture(WIDTH, max(1, len(shown)) * 21.0, label, *marks, class_="languages")
