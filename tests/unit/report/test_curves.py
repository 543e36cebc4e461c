"""Curves keep what matters when a million steps become few points."""

import math
from typing import Any

import numpy as np

from bessemer.report.curves import MAX_POINTS, make_curve, make_curves, make_heldout, smooth

from .runs import step_row


def test_few_steps_stay_as_they_are() -> None:
    curves = make_curves([step_row(1, loss=2.0), step_row(2, loss=1.0)], ["loss"])
    curve = curves["loss"]
    assert curve.steps == (1, 2)
    assert curve.tokens == (64, 128)
    assert curve.mean == curve.low == curve.high == (2.0, 1.0)


def test_a_spike_of_one_step_survives_the_buckets() -> None:
    values = np.ones(1_000_000)
    values[123_456] = 99.0
    steps = np.arange(1, 1_000_001)
    curve = make_curve("loss", steps, steps * 8, values)
    assert len(curve.mean) == MAX_POINTS // 2
    assert max(curve.high) == 99.0
    assert min(curve.low) == 1.0
    assert curve.steps[-1] == 1_000_000
    assert math.isclose(np.mean(curve.mean), values.mean(), rel_tol=1e-4)  # buckets differ by 1


def test_a_measure_that_nobody_knows_has_no_curve() -> None:
    rows = [step_row(1, mfu=None, loss=math.nan), step_row(2, mfu=None, loss=1.5)]
    curves = make_curves(rows, ["loss", "mfu", "absent"])
    assert list(curves) == ["loss"]
    assert curves["loss"].steps == (2,)
    assert make_curves([], ["loss"]) == {}


def test_smoothing_keeps_constants_and_ends() -> None:
    assert np.allclose(smooth(np.full(50, 3.0)), 3.0)
    line = np.arange(200.0)
    assert np.allclose(smooth(line)[20:-20], line[20:-20])
    assert smooth(np.array([1.0])).tolist() == [1.0]


def evaluation(step: int, source: str, value: float) -> dict[str, Any]:
    return {"step": step, "tokens_seen": 8 * step, "source": source, "bits_per_byte": value}


def test_heldout_curves_follow_the_sources_and_skip_what_was_not_measured() -> None:
    rows = [evaluation(0, "b", 4.0), evaluation(0, "a", 5.0), evaluation(9, "b", 3.0)]
    rows += [evaluation(0, "c", math.nan)]
    found = make_heldout(rows, ["a", "b", "c"], {"b": {"lzma": 2.0}})
    assert [(row.source, row.bits_per_byte) for row in found] == [("a", (5.0,)), ("b", (4.0, 3.0))]
    assert found[1].steps == (0, 9)
    assert [dict(row.baselines) for row in found] == [{}, {"lzma": 2.0}]


def test_heldout_curves_are_thinned_with_both_ends_kept() -> None:
    rows = [evaluation(step, "a", 1.0) for step in range(5000)]
    (curve,) = make_heldout(rows, ["a"], {})
    assert len(curve.steps) == MAX_POINTS
    assert (curve.steps[0], curve.steps[-1]) == (0, 4999)
