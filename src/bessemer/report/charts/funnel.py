"""The funnel of one source: a column that narrows from stage to stage as text is poured off.

At each stage a bar as wide as what came in: what goes on in steel, what is lost in the colour of
its reason. Widths are exact; labels stand to the right of the bar, one below the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bessemer.core.units import format_bytes, format_count
from bessemer.report.charts.svg import element, fit, picture, rect, text, text_width
from bessemer.report.facts import Gate, Reason, Source
from bessemer.report.losses import lost_docs

WIDTH = 352.0
_BAND = 142.0  # width of what the first stage got
_LABELS = 158.0  # where labels begin
_OVERHANG = 12.0  # of labels, into the gap between pictures
_TITLE, _BAR, _LINE, _GAP = 17.0, 16.0, 16.0, 8.0
_LEAST = 1.5  # a loss is never thinner than this, however small
_MOST_LABELS = 5
REST_COLOR = "l-rest"
_POUR_DX, _POUR_DY = 14.0, 24.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """One lost part of a gate: how much, what to call it, which colour class."""

    amount: int
    name: str
    color: str


def docs_funnel(
    source: Source,
    colors: Mapping[Reason, str],
    names: Mapping[Reason, str],
    rows: Mapping[str, int],
) -> Markup:
    """The funnel of a source in documents; `rows` are the lines of labels to leave by stage."""

    def measure(gate: Gate) -> tuple[int, int, list[Stream]]:
        streams = [
            Stream(amount=lost_docs(loss), name=names[loss.reason], color=colors[loss.reason])
            for loss in gate.losses
            if lost_docs(loss)
        ]
        return gate.docs_in, gate.docs_out, streams

    sides = (source.train.docs, source.heldout.docs)
    return _funnel(source, measure, sides, rows, _format_docs, "documents")


def bytes_funnel(
    source: Source,
    colors: Mapping[Reason, str],
    names: Mapping[Reason, str],
    rows: Mapping[str, int],
) -> Markup:
    """The funnel of a source in bytes: as stored at the top, text below."""

    def measure(gate: Gate) -> tuple[int, int, list[Stream]]:
        streams = [
            Stream(amount=loss.num_bytes, name=names[loss.reason], color=colors[loss.reason])
            for loss in gate.losses
            if loss.num_bytes
        ]
        return gate.bytes_in, gate.bytes_out, streams

    sides = (source.train.num_bytes, source.heldout.num_bytes)
    return _funnel(source, measure, sides, rows, format_bytes, "bytes")


def _funnel(
    source: Source,
    measure: Callable[[Gate], tuple[int, int, list[Stream]]],
    sides: tuple[int, int],
    rows: Mapping[str, int],
    show: Callable[[float], str],
    unit: str,
) -> Markup:
    measured = [(gate.stage, *measure(gate)) for gate in source.gates]
    whole = max((came for _, came, _, _ in measured), default=0) or 1
    scale = _BAND / whole
    marks: list[Markup] = []
    y = 0.0
    for stage, came, stayed, streams in measured:
        height = _gate_height(rows.get(stage, 0))
        drawn = _gate(y, height, stage, came, stayed, streams, scale, show)
        marks += drawn
        y += height
    drawn, height = _sides(y, sides, scale, show)
    marks += drawn
    kept, came = sum(sides), measured[0][1] if measured else 0
    share = f"{kept / came:.0%}" if came else "none"
    label = f"{source.name} in {unit}: {show(came)} came in, {show(kept)} were kept ({share})"
    return picture(WIDTH, y + height, label, *marks, class_="funnel")


def label_rows(num_losses: int) -> int:
    """Lines of labels that a gate with so many losses takes."""
    return min(num_losses, _MOST_LABELS)


def _gate_height(rows: int) -> float:
    return _TITLE + max(_BAR + _POUR_DY, rows * _LINE + 4) + _GAP


def _gate(
    y: float,
    height: float,
    stage: str,
    came: int,
    stayed: int,
    streams: Sequence[Stream],
    scale: float,
    show: Callable[[float], str],
) -> list[Markup]:
    """One stage from `y` down; what goes on flows to the bar of the next stage."""
    bar = y + _TITLE
    marks = [
        rect(0, bar + _BAR, stayed * scale, height - _BAR, "flow"),
        text(5, y + _TITLE - 5, stage, class_="stage"),
        text(_BAND, y + _TITLE - 5, show(came), class_="tick", anchor="end"),
    ]
    x = stayed * scale
    lost: list[Markup] = []
    for stream in streams:
        width = max(_LEAST, stream.amount * scale)
        title = f"{stage}: {show(stream.amount)} {stream.name} ({stream.amount:,})"
        lost.append(rect(x, bar, width, _BAR, stream.color, title))
        marks.append(_pour(x, bar + _BAR, width, stream.color))
        x += width
    marks += lost
    marks.append(rect(0, bar, stayed * scale, _BAR, "kept", f"{stage}: {show(stayed)} kept"))
    return marks + _labels(bar, streams, show)


def _labels(bar: float, streams: Sequence[Stream], show: Callable[[float], str]) -> list[Markup]:
    shown = list(streams)
    if len(shown) > _MOST_LABELS:
        rest = shown[_MOST_LABELS - 1 :]
        total = sum(stream.amount for stream in rest)
        shown = [
            *shown[: _MOST_LABELS - 1],
            Stream(amount=total, name=f"{len(rest)} more", color=REST_COLOR),
        ]
    if not shown:
        return [text(_LABELS, bar + 12, "nothing lost", class_="nothing")]
    marks = []
    for index, stream in enumerate(shown):
        at = bar + 12 + index * _LINE
        number = f"−{show(stream.amount)}"
        begin = _LABELS + 13
        words = fit(stream.name, WIDTH + _OVERHANG - begin - text_width(number) - 4)
        marks += [
            rect(_LABELS, at - 9, 8, 9, stream.color, rx=2),
            element(
                "text",
                element("title", f"{stream.name}: {stream.amount:,}"),
                element("tspan", number, class_="number"),
                f" {words}",
                x=begin,
                y=at,
                class_="loss",
            ),
        ]
    return marks


def _pour(x: float, y: float, width: float, color: str) -> Markup:
    """What is lost runs off down and to the right, and fades."""
    dx, dy = _POUR_DX, _POUR_DY
    shape = (
        f"M{x:.1f} {y:.1f}C{x:.1f} {y + dy / 2:.1f} {x + dx:.1f} {y + dy / 2:.1f} "
        f"{x + dx:.1f} {y + dy:.1f}L{x + width + dx:.1f} {y + dy:.1f}"
        f"C{x + width + dx:.1f} {y + dy / 2:.1f} {x + width:.1f} {y + dy / 2:.1f} "
        f"{x + width:.1f} {y:.1f}Z"
    )
    return element("path", d=shape, style=f"fill:url(#pour-{color})")


def _sides(
    y: float, sides: tuple[int, int], scale: float, show: Callable[[float], str]
) -> tuple[list[Markup], float]:
    """What was kept, on the two sides of the split, below the last stage."""
    train, heldout = sides
    bar = y + _TITLE
    marks = [
        text(5, y + _TITLE - 5, "kept", class_="stage"),
        text(_BAND, y + _TITLE - 5, show(train + heldout), class_="tick", anchor="end"),
        rect(0, bar, train * scale, _BAR, "kept", f"train: {show(train)}"),
        rect(train * scale, bar, heldout * scale, _BAR, "heldout", f"held-out: {show(heldout)}"),
    ]
    for index, (amount, name, color) in enumerate(
        ((train, "train", "kept"), (heldout, "held-out", "heldout"))
    ):
        at = bar + 12 + index * _LINE
        marks += [
            rect(_LABELS, at - 9, 8, 9, color, rx=2),
            element(
                "text",
                element("tspan", show(amount), class_="number"),
                f" {name}",
                x=_LABELS + 13,
                y=at,
                class_="loss",
            ),
        ]
    return marks, _TITLE + 2 * _LINE + 8


def pour_gradients(colors: Iterable[str]) -> Markup:
    """What the pours are filled with: one fade per colour, once per page."""
    fades = [
        element(
            "linearGradient",
            element("stop", offset=0, class_=f"pourtop {color}"),
            element("stop", offset=1, class_=f"pourend {color}"),
            id=f"pour-{color}",
            x1=0,
            y1=0,
            x2=0,
            y2=1,
        )
        for color in colors
    ]
    return element(
        "svg", element("defs", *fades), width=0, height=0, class_="defs", aria_hidden="true"
    )


def _format_docs(count: float) -> str:
    return f"{count:,.0f}" if count < 100_000 else format_count(count)
