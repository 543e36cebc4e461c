"""A gap between two sides with its interval, for each source."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from bessemer.report.charts.scale import nice_scale, tick_labels
from bessemer.report.charts.svg import element, line, picture, text
from bessemer.report.facts import GapRow


def gap_chart(gaps: Sequence[GapRow], width: float = 420) -> Markup:
    """Held-out minus train per source: a dot, and a whisker over the 95% interval."""
    row, foot = 52.0, 34.0
    ends = [end for gap in gaps for end in (gap.low, gap.high, gap.gap)]
    x = nice_scale(min(0.0, *ends), max(0.0, *ends), 14, width - 14, 5)
    height = len(gaps) * row + foot
    marks: list[Markup] = []
    ticks = x.ticks(5)
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        class_ = "zero" if abs(tick) < 1e-12 else "grid"
        marks.append(line(x(tick), 22, x(tick), height - foot, class_))
        marks.append(
            text(x(tick), height - foot + 16, _signed(label, tick), class_="tick", anchor="middle")
        )
    for index, gap in enumerate(gaps):
        top = index * row
        at = top + 35
        marks += [
            element("rect", x=0, y=top + 2, width=width, height=20, class_="veil"),
            text(0, top + 16, gap.source, class_="stage"),
            element(
                "text",
                element("tspan", f"{gap.gap:+.3f}".replace("-", "−"), class_="number"),
                element("tspan", f"{gap.low:+.3f} to {gap.high:+.3f}".replace("-", "−"), dx=8),
                x=width,
                y=top + 16,
                class_="loss",
                text_anchor="end",
            ),
            line(x(gap.low), at, x(gap.high), at, "whisker"),
            line(x(gap.low), at - 5, x(gap.low), at + 5, "whisker"),
            line(x(gap.high), at - 5, x(gap.high), at + 5, "whisker"),
            element("circle", cx=x(gap.gap), cy=at, r=5.5, class_="gapdot"),
        ]
    label = "Gap between held-out and trained text in bits per byte: " + ", ".join(
        f"{gap.source} {gap.gap:+.3f} (95% interval {gap.low:+.3f} to {gap.high:+.3f})"
        for gap in gaps
    )
    return picture(width, height, label, *marks, class_="gaps")


def _signed(label: str, tick: float) -> str:
    return f"+{label}" if tick > 1e-12 else label.replace("-", "−")
