"""Line charts: a measure over training, and held-out text beside what it is measured against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import median

from markupsafe import Markup

from bessemer.core.units import format_bytes, format_count
from bessemer.report.charts.scale import LOG, Scale, nice_scale, tick_labels
from bessemer.report.charts.svg import element, line, path, picture, text, text_width
from bessemer.report.facts import Curve, Heldout

_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 12.0, 10.0, 26.0
_MOST_OTHERS, _BACKGROUND_POINTS = 12, 100
_LOG_SPREAD = 12.0  # greatest over median value beyond which a linear axis shows one spike only


def format_value(value: float, style: str) -> str:
    """A value as a label beside a chart."""
    if style == "bytes":
        return format_bytes(value)
    if style == "percent":
        return f"{value:.0%}"
    if style == "exponent":
        return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e+")
    if abs(value) >= 1000:
        return format_count(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"


def curve_chart(
    curve: Curve,
    label: str,
    *,
    width: float = 352,
    height: float = 190,
    style: str = "",
    from_zero: bool = False,
    may_log: bool = False,
    is_smooth: bool = True,
) -> Markup:
    """One measure over tokens: what was measured in light, its smoothing in full colour."""
    x = Scale(low=0, high=curve.tokens[-1], start=_LEFT, end=width - _RIGHT)
    y = _value_scale(curve, height, from_zero=from_zero, may_log=may_log)
    main = curve.smooth if is_smooth else curve.mean
    across = [x(tokens) for tokens in curve.tokens]
    marks = []
    if any(low < high for low, high in zip(curve.low, curve.high, strict=True)):
        upper = [(at, y(value)) for at, value in zip(across, curve.high, strict=True)]
        lower = [(at, y(value)) for at, value in zip(across, curve.low, strict=True)]
        marks.append(path(upper + lower[::-1], "range", closed=True))
    elif is_smooth:
        marks.append(path(_points(across, curve.mean, y), "raw"))
    marks.append(path(_points(across, main, y), "smooth"))
    tips = {
        "x": [round(at) for at in across],
        "y": [round(y(value)) for value in curve.mean],
        "v": [format_value(value, style) for value in curve.mean],
    }
    return picture(
        width,
        height,
        label,
        *_axes(x, y, width, height, style),
        *marks,
        *_crosshair(height),
        class_="lines",
        data_tips=json.dumps(tips, separators=(",", ":")),
        tabindex=0,
    )


def heldout_chart(
    shown: Heldout, everything: Sequence[Heldout], width: float = 352, height: float = 230
) -> Markup:
    """Held-out bits per byte of one source, the others faint behind it, baselines across."""
    values = [
        value for curve in everything for value in (*curve.bits_per_byte, *curve.baselines.values())
    ]
    last_tokens = max(curve.tokens[-1] for curve in everything)
    right = 44.0  # room for the last value
    x = Scale(low=0, high=last_tokens or 1, start=_LEFT - 8, end=width - right)
    y = nice_scale(min(values), max(values), height - _BOTTOM - 20, _TOP + 14)
    others = everything if len(everything) <= _MOST_OTHERS else []
    marks = [
        path(_thinned(_curve_points(other, x, y)), "other")
        for other in others
        if other is not shown
    ]
    last = shown.bits_per_byte[-1]
    for name, value in shown.baselines.items():
        below = last > value
        marks.append(line(x.start, y(value), x.end, y(value), f"baseline {name}"))
        words = f"{BASELINE_NAMES.get(name, name)} {value:.2f}"
        marks.append(
            text(x.end, y(value) + (14 if below else -5), words, class_="note", anchor="end")
        )
    points = _curve_points(shown, x, y)
    marks.append(path(points, "smooth"))
    if len(points) <= 24:
        marks += [element("circle", cx=at, cy=up, r=3, class_="dot") for at, up in points]
    marks.append(text(points[-1][0] + 7, points[-1][1] + 4, f"{last:.2f}", class_="value"))
    tips = {
        "x": [round(at) for at, _ in points],
        "y": [round(up) for _, up in points],
        "v": [f"{value:.3f}" for value in shown.bits_per_byte],
    }
    words = f"Held-out bits per byte of {shown.source} over training, {last:.3f} at the end"
    return picture(
        width,
        height,
        words,
        *_axes(x, y, width, height, ""),
        *marks,
        *_crosshair(height),
        class_="lines heldout",
        data_tips=json.dumps(tips, separators=(",", ":")),
        tabindex=0,
    )


BASELINE_NAMES = {"unigram": "byte unigram", "lzma": "LZMA"}


def step_label(step: int, tokens: int) -> str:
    """Where on the x axis a value stands."""
    return f"step {step:,} · {format_count(tokens)} tokens"


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Some of the points, the last among them: enough for a line in the background."""
    every = max(1, len(points) // _BACKGROUND_POINTS)
    return [*points[:-1:every], points[-1]]


def _value_scale(curve: Curve, height: float, *, from_zero: bool, may_log: bool) -> Scale:
    low, high = min(curve.low), max(curve.high)
    bottom = height - _BOTTOM
    if may_log and low > 0 and high > _LOG_SPREAD * median(curve.mean):
        return Scale(low=low * 0.9, high=high * 1.1, start=bottom, end=_TOP, kind=LOG)
    return nice_scale(min(low, 0.0) if from_zero else low, high, bottom, _TOP)


def _axes(x: Scale, y: Scale, width: float, height: float, style: str) -> list[Markup]:
    marks = []
    ticks = y.ticks(4)
    for tick, label in zip(
        ticks, tick_labels(ticks, "" if style == "exponent" else style), strict=True
    ):
        marks.append(line(x.start, y(tick), x.end, y(tick), "grid"))
        marks.append(text(x.start - 7, y(tick) + 4, label, class_="tick", anchor="end"))
    across = x.ticks(max(2, min(6, round((x.end - x.start) / 85))))
    for tick, label in zip(across, tick_labels(across), strict=True):
        half = text_width(label, 11) / 2
        at = min(max(x(tick), half), width - half)
        marks.append(line(x(tick), height - _BOTTOM, x(tick), height - _BOTTOM + 4, "axis"))
        marks.append(text(at, height - 8, label, class_="tick", anchor="middle"))
    marks.append(line(x.start, height - _BOTTOM, x.end, height - _BOTTOM, "axis"))
    return marks


def _crosshair(height: float) -> list[Markup]:
    """What the script moves to the value under the pointer."""
    return [
        line(0, _TOP, 0, height - _BOTTOM, "hair"),
        element("circle", r=4, class_="spot"),
    ]


def _points(
    across: Sequence[float], values: Sequence[float], y: Scale
) -> list[tuple[float, float]]:
    return [(at, y(value)) for at, value in zip(across, values, strict=True)]


def _curve_points(curve: Heldout, x: Scale, y: Scale) -> list[tuple[float, float]]:
    return _points([x(tokens) for tokens in curve.tokens], curve.bits_per_byte, y)
