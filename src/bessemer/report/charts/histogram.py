"""A signal over documents with the bounds of its rule: small, for a row of a table."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from bessemer.core.units import format_count
from bessemer.report.charts.scale import LINEAR, LOG1P, Scale, tick_labels
from bessemer.report.charts.svg import bars, line, picture, rect, text, text_width
from bessemer.report.facts import Histogram

WIDTH, HEIGHT = 420.0, 74.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 6.0, 6.0, 16.0, 17.0
_LEAST = 1.5  # what is there at all is to be seen: pixels
_NUM_TICKS = 4


def histogram_chart(histogram: Histogram) -> Markup:
    """Documents by value, stacked: kept, lost elsewhere, lost to this rule; bounds with the side
    that they drop shaded. A bar that would be too low to be seen is drawn higher than it is."""
    kind = LOG1P if histogram.is_log else LINEAR
    x = Scale(low=histogram.low, high=histogram.high, start=_LEFT, end=WIDTH - _RIGHT, kind=kind)
    foot = HEIGHT - _BOTTOM
    marks = [_dropped_side(x, bound, is_low) for bound, is_low in histogram.bounds]
    marks += _stack(histogram, x, foot)
    marks.append(line(_LEFT, foot, WIDTH - _RIGHT, foot, "axis"))
    ticks = x.ticks(_NUM_TICKS)
    labels = [format_count(tick) for tick in ticks] if histogram.is_log else tick_labels(ticks)
    for tick, label in zip(ticks, labels, strict=True):
        half = text_width(label, 11) / 2
        place = min(max(x(tick), half), WIDTH - half)
        marks.append(line(x(tick), foot, x(tick), foot + 3, "axis"))
        marks.append(text(place, HEIGHT - 4, label, class_="tick", anchor="middle"))
    for bound, is_low in histogram.bounds:
        marks += _bound(x, bound, is_low)
    totals = [sum(part) for part in (histogram.kept, histogram.lost, histogram.elsewhere)]
    label = (
        f"{histogram.signal} of {histogram.source}: {totals[0]:,} documents kept, "
        f"{totals[1]:,} lost to this rule, {totals[2]:,} lost elsewhere, bounds "
        + ", ".join(
            f"{'at least' if low else 'at most'} {bound:g}" for bound, low in histogram.bounds
        )
    )
    return picture(WIDTH, HEIGHT, label, *marks, class_="histogram")


def _stack(histogram: Histogram, x: Scale, foot: float) -> list[Markup]:
    """The bars, a path for each of the three fates."""
    fates = (
        ("kept", histogram.kept),
        ("elsewhere", histogram.elsewhere),
        ("lost", histogram.lost),
    )
    most = max(map(sum, zip(*(counts for _, counts in fates), strict=True))) or 1
    step = (x.end - x.start) / len(histogram.kept)
    floors = [foot] * len(histogram.kept)
    marks = []
    for name, counts in fates:
        boxes = []
        for index, count in enumerate(counts):
            if count:
                height = max(_LEAST, count / most * (foot - _TOP))
                floors[index] -= height
                boxes.append((x.start + index * step + 0.5, floors[index], step - 1, height))
        if boxes:
            marks.append(bars(boxes, name))
    return marks


def _dropped_side(x: Scale, bound: float, is_low: bool) -> Markup:
    begin, end = (x.start, x(bound)) if is_low else (x(bound), x.end)
    return rect(begin, _TOP, end - begin, HEIGHT - _BOTTOM - _TOP, "beyond")


def _bound(x: Scale, bound: float, is_low: bool) -> Sequence[Markup]:
    """A bound with its label on the side of what it lets through, or where there is room."""
    words = f"{'≥' if is_low else '≤'} {format_count(bound)}"
    at, wide = x(bound), text_width(words, 11) + 8
    to_right = is_low if wide < min(at - x.start, x.end - at) else at + wide < x.end
    return (
        line(at, _TOP - 12, at, HEIGHT - _BOTTOM, "bound"),
        text(
            at + (4 if to_right else -4),
            _TOP - 5,
            words,
            class_="boundlabel",
            anchor="start" if to_right else "end",
        ),
    )
