"""Distributions: a signal over documents with its bounds, and a gap with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from bessemer.core.units import format_count
from bessemer.report.charts.scale import LINEAR, LOG1P, Scale, nice_scale, tick_labels
from bessemer.report.charts.svg import element, line, picture, rect, text, text_width
from bessemer.report.facts import GapRow, Histogram

WIDTH = 352.0
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 150.0, 34.0, 10.0, 24.0, 24.0


def histogram_chart(histogram: Histogram) -> Markup:
    """Documents by value, those that were lost stacked on those that were kept."""
    kind = LOG1P if histogram.is_log else LINEAR
    x = Scale(low=histogram.low, high=histogram.high, start=_LEFT, end=WIDTH - _RIGHT, kind=kind)
    stacked = list(zip(histogram.kept, histogram.lost, strict=True))
    y = nice_scale(0, max(kept + lost for kept, lost in stacked), _HEIGHT - _BOTTOM, _TOP, 3)
    marks: list[Markup] = []
    for tick, label in zip(y.ticks(3), tick_labels(y.ticks(3)), strict=True):
        marks.append(line(_LEFT, y(tick), WIDTH - _RIGHT, y(tick), "grid"))
        marks.append(text(_LEFT - 6, y(tick) + 4, label, class_="tick", anchor="end"))
    step = (x.end - x.start) / len(stacked)
    for index, (kept, lost) in enumerate(stacked):
        at = x.start + index * step
        low, middle, high = y(0), y(kept), y(kept + lost)
        if kept:
            marks.append(rect(at + 0.5, middle, step - 1, low - middle, "kept", f"{kept:,} kept"))
        if lost:
            marks.append(rect(at + 0.5, high, step - 1, middle - high, "lost", f"{lost:,} lost"))
    across = x.ticks(5)
    for tick, label in zip(across, tick_labels_each(across, histogram.is_log), strict=True):
        half = text_width(label, 11) / 2
        place = min(max(x(tick), half), WIDTH - half)
        marks.append(line(x(tick), y(0), x(tick), y(0) + 4, "axis"))
        marks.append(text(place, _HEIGHT - 6, label, class_="tick", anchor="middle"))
    marks.append(line(_LEFT, y(0), WIDTH - _RIGHT, y(0), "axis"))
    for bound, is_low in histogram.bounds:
        marks += _bound(x, bound, is_low)
    total_kept, total_lost = sum(histogram.kept), sum(histogram.lost)
    label = (
        f"{histogram.signal} of {histogram.source}: {total_kept:,} documents kept, "
        f"{total_lost:,} lost, bounds "
        + ", ".join(
            f"{'at least' if low else 'at most'} {bound:g}" for bound, low in histogram.bounds
        )
    )
    return picture(WIDTH, _HEIGHT, label, *marks, class_="histogram")


def tick_labels_each(ticks: list[float], is_log: bool) -> list[str]:
    """Labels of decades one by one: 0, 10, 1k; otherwise alike."""
    return [format_count(tick) for tick in ticks] if is_log else tick_labels(ticks)


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


def _bound(x: Scale, bound: float, is_low: bool) -> list[Markup]:
    """A bound with its label on the side of what it lets through, or where there is room."""
    words = f"{'≥' if is_low else '≤'} {format_count(bound)}"
    at, wide = x(bound), text_width(words, 12) + 8
    to_right = is_low if wide < min(at - x.start, x.end - at) else at + wide < x.end
    return [
        line(at, _TOP - 8, at, _HEIGHT - _BOTTOM, "bound"),
        text(
            at + (5 if to_right else -5),
            _TOP - 8,
            words,
            class_="boundlabel",
            anchor="start" if to_right else "end",
        ),
    ]


def _signed(label: str, tick: float) -> str:
    return f"+{label}" if tick > 1e-12 else label.replace("-", "−")
