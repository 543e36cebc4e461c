"""Axes have round ticks with as many digits as tell them apart."""

import pytest

from bessemer.report.charts.scale import (
    LOG,
    LOG1P,
    Scale,
    nice_scale,
    round_ticks,
    tick_labels,
)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 999_424, [0, 200_000, 400_000, 600_000, 800_000]),
        (5, 9, [5, 6, 7, 8, 9]),
        (-0.4, 0.4, [-0.4, -0.2, 0.0, 0.2, 0.4]),
        (0, 0.004, [0.0, 0.001, 0.002, 0.003, 0.004]),
        (7, 7, [7]),
    ],
)
def test_round_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high, 5) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("ticks", "style", "labels"),
    [
        ([0.0, 500.0, 1000.0], "", ["0", "500", "1k"]),
        ([2.0, 2.5, 3.0], "", ["2.0", "2.5", "3.0"]),
        ([0.0, 2e-5, 4e-5], "", ["0", "2e-5", "4e-5"]),
        ([0.0, 0.5, 1.0], "percent", ["0%", "50%", "100%"]),
        ([0.0, 5e8, 1e9], "bytes", ["0.0 GB", "0.5 GB", "1.0 GB"]),
        ([3.0], "", ["3"]),
    ],
)
def test_tick_labels(ticks: list[float], style: str, labels: list[str]) -> None:
    assert tick_labels(ticks, style) == labels


def test_nice_scale_widens_to_ticks_and_survives_a_flat_line() -> None:
    scale = nice_scale(1.1, 4.95, 100, 0)
    assert (scale.low, scale.high) == (1, 5)
    assert scale(1) == 100 and scale(5) == 0 and scale(3) == 50
    flat = nice_scale(2.0, 2.0, 100, 0)
    assert flat.low < 2.0 < flat.high
    zero = nice_scale(0.0, 0.0, 100, 0)
    assert zero.low < 0.0 < zero.high


def test_logarithmic_scales() -> None:
    scale = Scale(low=1, high=1000, start=0, end=300, kind=LOG)
    assert scale(10) == pytest.approx(100)
    assert scale.ticks(4) == pytest.approx([1, 10, 100, 1000])
    counts = Scale(low=0, high=9999, start=0, end=1, kind=LOG1P)
    assert counts(0) == 0 and counts(9999) == 1
    assert counts.ticks(5) == pytest.approx([0, 1, 10, 100, 1000])
    assert Scale(low=3, high=7, start=0, end=1, kind=LOG).ticks(4) == pytest.approx([3, 4, 5, 6, 7])


def test_values_outside_of_the_domain_stay_on_the_picture() -> None:
    scale = Scale(low=0, high=1, start=10, end=20)
    assert (scale(-5), scale(5)) == (10, 20)
