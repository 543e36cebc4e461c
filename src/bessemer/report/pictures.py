"""Which picture is drawn of which fact, and in which colour; the templates only place them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bessemer.core.schema import DROP, EDIT, QUARANTINE
from bessemer.report.charts.bars import epoch_bar, language_bars, share_flow, yardstick
from bessemer.report.charts.collision import collision_chart
from bessemer.report.charts.funnel import (
    REST_COLOR,
    bytes_funnel,
    docs_funnel,
    label_rows,
    pour_gradients,
)
from bessemer.report.charts.histogram import histogram_chart
from bessemer.report.charts.lines import curve_chart, format_value, heldout_chart, step_label
from bessemer.report.charts.spread import gap_chart
from bessemer.report.facts import MARKUP, UNACCOUNTED, Curve, Heldout, Loss, Reason, Report, Source
from bessemer.report.losses import lost_docs
from bessemer.report.sentences import name_reason

NUM_SOURCE_COLORS, NUM_RULE_COLORS = 6, 6
_OWN_COLORS = {"exact_duplicate": "l-exact", "near_duplicate": "l-near", "contained": "l-near"}
_ACTION_COLORS = {
    MARKUP: "l-markup",
    EDIT: "l-edit",
    QUARANTINE: "l-quarantine",
    UNACCOUNTED: "l-alarm",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture with its heading, and its values as a table for those who cannot see it."""

    name: str
    unit: str
    value: str  # the last one
    picture: Markup
    steps: tuple[str, ...]  # where each drawn value stands on the x axis
    table: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """All pictures of a report."""

    gradients: Markup
    source_colors: Mapping[str, str]
    reason_colors: Mapping[Reason, str]
    yardsticks: Mapping[str, Markup]
    docs_funnels: Mapping[str, Markup]
    bytes_funnels: Mapping[str, Markup]
    shares: Markup
    shares_wide: Markup
    epochs: Mapping[str, Markup]
    loss: Panel | None
    loss_wide: Markup
    curves: tuple[Panel, ...]
    is_bucketed: bool  # the curves show buckets of steps, not steps
    heldout: Mapping[str, Panel]
    gaps: Markup
    languages: Mapping[str, Markup]
    histograms: Mapping[tuple[str, str], Markup]  # by source and rule
    collision: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class _Measure:
    """How one measure of training is drawn."""

    title: str
    unit: str
    style: str = ""
    from_zero: bool = False
    may_log: bool = False
    is_smooth: bool = True


_MEASURES = {
    "loss": _Measure(title="Loss", unit="nats per token"),
    "bits_per_byte": _Measure(title="Bits per byte", unit="of trained text"),
    "grad_norm": _Measure(title="Gradient norm", unit="before clipping", may_log=True),
    "update_norm": _Measure(title="Update norm", unit="how far weights move", may_log=True),
    "lr": _Measure(
        title="Learning rate", unit="", style="exponent", from_zero=True, is_smooth=False
    ),
    "tokens_per_s": _Measure(title="Speed", unit="tokens per second", from_zero=True),
    "mfu": _Measure(
        title="MFU", unit="of the measured matmul rate", style="percent", from_zero=True
    ),
    "peak_bytes": _Measure(
        title="Memory", unit="peak so far", style="bytes", from_zero=True, is_smooth=False
    ),
}
_TABLE_ROWS = 12


def draw(report: Report) -> Pictures:
    """Draw everything."""
    source_colors = {
        source.name: f"s-{index % NUM_SOURCE_COLORS + 1}"
        for index, source in enumerate(report.sources)
    }
    reason_colors = color_reasons(
        [loss for source in report.sources for gate in source.gates for loss in gate.losses]
    )
    names = {reason: name_reason(reason) for reason in reason_colors}
    rows = _label_rows(report.sources)
    last = {row.source: row.bits_per_byte[-1] for row in report.heldout}
    baselines = {row.source: row.baselines for row in report.heldout}
    most = max(
        (
            value
            for row in report.heldout
            for value in (row.bits_per_byte[-1], *row.baselines.values())
        ),
        default=1.0,
    )
    most_planned = max((row.planned_tokens for row in report.mix), default=1)
    loss = report.curves.get("loss")
    return Pictures(
        gradients=pour_gradients(sorted({REST_COLOR, *reason_colors.values()})),
        source_colors=source_colors,
        reason_colors=reason_colors,
        yardsticks={name: yardstick(name, last[name], baselines[name], most) for name in last},
        docs_funnels={
            s.name: docs_funnel(s, reason_colors, names, rows[0]) for s in report.sources
        },
        bytes_funnels={
            s.name: bytes_funnel(s, reason_colors, names, rows[1]) for s in report.sources
        },
        shares=share_flow(report.mix, source_colors),
        shares_wide=share_flow(report.mix, source_colors, width=1080),
        epochs={
            row.source: epoch_bar(row, most_planned, source_colors[row.source])
            for row in report.mix
        },
        loss=_panel(loss, height=230) if loss else None,
        loss_wide=_draw_curve(loss, width=1080, height=330) if loss else Markup(),
        curves=tuple(_panel(curve) for name, curve in report.curves.items() if name != "loss"),
        is_bucketed=loss is not None and loss.low != loss.high,
        heldout={row.source: _heldout_panel(row, report.heldout) for row in report.heldout},
        gaps=gap_chart(report.gaps) if report.gaps else Markup(),
        languages={
            source.name: language_bars(source.name, source.languages)
            for source in report.sources
            if source.languages
        },
        histograms={
            (histogram.source, histogram.rule): histogram_chart(histogram)
            for histogram in report.histograms
        },
        collision=collision_chart(report.collisions) if report.collisions else Markup(),
    )


def color_reasons(losses: Sequence[Loss]) -> dict[Reason, str]:
    """A colour class per reason; a rule has one colour in all sources, whatever its bound.

    The rules that cost most documents are told apart by colour, the rest share one.
    """
    cost: dict[str, int] = {}
    for loss in losses:
        if loss.reason.action == DROP and loss.reason.rule not in _OWN_COLORS:
            cost[loss.reason.rule] = cost.get(loss.reason.rule, 0) + loss.docs
    ranked = sorted(cost, key=lambda rule: (-cost[rule], rule))
    colors = {
        rule: f"l-{rank}" if rank <= NUM_RULE_COLORS else REST_COLOR
        for rank, rule in enumerate(ranked, start=1)
    }
    colors |= _OWN_COLORS
    return {
        loss.reason: _ACTION_COLORS.get(loss.reason.action) or colors[loss.reason.rule]
        for loss in losses
    }


def _label_rows(sources: Sequence[Source]) -> tuple[dict[str, int], dict[str, int]]:
    """stage -> lines of labels in the funnels of documents and of bytes, alike in all sources."""
    docs: dict[str, int] = {}
    num_bytes: dict[str, int] = {}
    for source in sources:
        for gate in source.gates:
            lost = [lost_docs(loss) for loss in gate.losses]
            for rows, amounts in ((docs, lost), (num_bytes, [x.num_bytes for x in gate.losses])):
                count = label_rows(sum(amount > 0 for amount in amounts))
                rows[gate.stage] = max(rows.get(gate.stage, 0), count)
    return docs, num_bytes


def _draw_curve(curve: Curve, width: float = 352, height: float = 180) -> Markup:
    measure = _MEASURES[curve.name]
    label = (
        f"{measure.title} over training: {curve.mean[0]:.4g} at first, {curve.mean[-1]:.4g} at last"
    )
    return curve_chart(
        curve,
        label,
        width=width,
        height=height,
        style=measure.style,
        from_zero=measure.from_zero,
        may_log=measure.may_log,
        is_smooth=measure.is_smooth,
    )


def _panel(curve: Curve, height: float = 180) -> Panel:
    measure = _MEASURES[curve.name]
    steps = tuple(step_label(*at) for at in zip(curve.steps, curve.tokens, strict=True))
    last = curve.smooth[-1] if measure.is_smooth else curve.mean[-1]
    picked = _pick(len(steps))
    return Panel(
        name=measure.title,
        unit=measure.unit,
        value=format_value(last, measure.style),
        picture=_draw_curve(curve, height=height),
        steps=steps,
        table=tuple((steps[i], format_value(curve.mean[i], measure.style)) for i in picked),
    )


def _heldout_panel(row: Heldout, everything: Sequence[Heldout]) -> Panel:
    steps = tuple(step_label(*at) for at in zip(row.steps, row.tokens, strict=True))
    return Panel(
        name=row.source,
        unit="bits per byte",
        value=f"{row.bits_per_byte[-1]:.3f}",
        picture=heldout_chart(row, everything),
        steps=steps,
        table=tuple((steps[i], f"{row.bits_per_byte[i]:.4f}") for i in _pick(len(steps))),
    )


def _pick(count: int) -> list[int]:
    """Positions of at most _TABLE_ROWS of `count` values, the first and the last among them."""
    if count <= _TABLE_ROWS:
        return list(range(count))
    return sorted({round(i * (count - 1) / (_TABLE_ROWS - 1)) for i in range(_TABLE_ROWS)})
