"""Curves of training: steps gathered into few buckets, and a gentle smoothing of them.

A bucket keeps its least and greatest value beside the mean, so a spike of a single step is still
seen in a picture of a million steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.report.facts import Curve, Heldout

MAX_POINTS = 600  # of one drawn line
_SMOOTH_FRAC = 0.012  # standard deviation of the smoothing kernel as a share of the run


def make_curves(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Curve]:
    """The curves of `names` over the steps in `rows`; a name without any finite value has none."""
    steps = np.array([row["step"] for row in rows], np.int64)
    tokens = np.array([row["tokens_seen"] for row in rows], np.int64)
    curves = {}
    for name in names:
        values = np.array([_number(row.get(name)) for row in rows], np.float64)
        known = np.isfinite(values)
        if known.any():
            curves[name] = make_curve(name, steps[known], tokens[known], values[known])
    return curves


def make_curve(name: str, steps: np.ndarray, tokens: np.ndarray, values: np.ndarray) -> Curve:
    """One curve from values by step, as it is up to MAX_POINTS steps, in buckets beyond."""
    num_buckets = min(len(values), MAX_POINTS if len(values) <= MAX_POINTS else MAX_POINTS // 2)
    edges = np.linspace(0, len(values), num_buckets + 1).round().astype(np.int64)
    starts, ends = edges[:-1], edges[1:]
    mean = np.add.reduceat(values, starts) / (ends - starts)
    return Curve(
        name=name,
        steps=tuple(steps[ends - 1].tolist()),
        tokens=tuple(tokens[ends - 1].tolist()),
        mean=tuple(mean.tolist()),
        low=tuple(np.minimum.reduceat(values, starts).tolist()),
        high=tuple(np.maximum.reduceat(values, starts).tolist()),
        smooth=tuple(smooth(mean).tolist()),
    )


def smooth(values: np.ndarray) -> np.ndarray:
    """`values` under a Gaussian kernel that is renormalised at both ends (no lag, no padding)."""
    deviation = max(1.0, _SMOOTH_FRAC * len(values))
    reach = math.ceil(3 * deviation)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weight = np.convolve(np.ones(len(values)), kernel)[reach : reach + len(values)]
    return np.asarray(np.convolve(values, kernel)[reach : reach + len(values)] / weight)


def make_heldout(
    rows: Sequence[Mapping[str, Any]],
    sources: Iterable[str],
    baselines: Mapping[str, Mapping[str, float]],
) -> tuple[Heldout, ...]:
    """Held-out curves in the order of `sources`; a source that was never measured has none."""
    curves = []
    for source in sources:
        mine = [
            row
            for row in rows
            if row["source"] == source and math.isfinite(_number(row["bits_per_byte"]))
        ]
        if mine:
            picked = np.unique(np.linspace(0, len(mine) - 1, min(len(mine), MAX_POINTS)).round())
            shown = [mine[int(index)] for index in picked]
            curves.append(
                Heldout(
                    source=source,
                    steps=tuple(row["step"] for row in shown),
                    tokens=tuple(row["tokens_seen"] for row in shown),
                    bits_per_byte=tuple(row["bits_per_byte"] for row in shown),
                    baselines=dict(baselines.get(source, {})),
                )
            )
    return tuple(curves)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
