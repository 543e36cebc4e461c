"""The guard's arithmetic against a plain reading of the formula, and its memory of the past."""

from __future__ import annotations

import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.train import GuardConfig
from bessemer.train.guard import Guard

CALM = [2.0 + 0.01 * (n % 7) for n in range(40)]


def watched(values: list[float], **config: object) -> tuple[Guard, list[int]]:
    """A guard that has seen `values`, and the places of those it was alarmed at."""
    guard = Guard(config=GuardConfig.model_validate({"min_steps": 8, **config}))
    return guard, [n for n, value in enumerate(values) if guard.examine({"loss": value})]


def test_a_spike_is_noticed_and_calm_is_not() -> None:
    assert watched([*CALM, 9.0, *CALM])[1] == [40]


@given(st.lists(st.floats(0.5, 50), min_size=9, max_size=60), st.floats(1, 30))
def test_deviations_are_those_of_median_and_mad(values: list[float], bound: float) -> None:
    found = watched(values, max_deviations=bound, window_steps=16)[1]
    expected = []
    for place in range(8, len(values)):
        window = values[max(0, place - 16) : place]  # what is recorded joins the window
        median = statistics.median(window)
        mad = statistics.median([abs(each - median) for each in window])
        if (values[place] - median) / max(1.4826 * mad, 0.01 * median) > bound:
            expected.append(place)
    assert found == expected


def test_a_fall_is_no_spike() -> None:
    assert watched([*CALM, 0.01])[1] == []


def test_the_guard_waits_until_it_knows_what_is_usual() -> None:
    assert watched([1.0] * 7 + [1000.0])[1] == []
    assert watched([1.0] * 8 + [1000.0])[1] == [8]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_alarms_at_once_and_blinds_nobody(value: float) -> None:
    guard, found = watched([value, *CALM, value, *CALM, 9.0])
    assert found == [0, 41, 82]
    assert all(map(math.isfinite, guard.windows["loss"]))


def test_spikes_that_are_acted_on_stay_out_of_the_window() -> None:
    skipping, found = watched([*CALM, *[9.0] * 40], spike="skip")
    assert found == list(range(40, 80))
    assert max(skipping.windows["loss"]) < 3
    # What is trained on is part of the past: once half of the window is like it, it is usual.
    assert watched([*CALM, *[9.0] * 40], window_steps=20)[1] == list(range(40, 50))


def test_the_sterner_policy_holds() -> None:
    guard, _ = watched(CALM, spike="record", nonfinite="rewind")
    assert guard.action(guard.examine({"loss": 9.0, "gradient norm": 1.0})) == "record"
    assert guard.action(guard.examine({"loss": 9.0, "gradient norm": math.nan})) == "rewind"


def test_state_survives_json_and_goes_on_alike() -> None:
    guard, _ = watched(CALM, spike="skip")
    guard.interventions = 3
    again = Guard(config=guard.config)
    again.load_state(json.loads(json.dumps(guard.state())))
    for value in (2.0, 9.0, 2.05):
        assert guard.examine({"loss": value}) == again.examine({"loss": value})
    assert guard.state() == again.state()


def test_alarms_say_what_is_wrong() -> None:
    guard, _ = watched([2.0] * 10)
    (alarm,) = guard.examine({"loss": 4.0})
    assert str(alarm) == (
        "loss 4 is 100.0 deviations above the median 2 of the last steps"  # (4 - 2) / (1 % of 2)
    )
    (alarm,) = guard.examine({"gradient norm": math.inf})
    assert str(alarm) == "gradient norm is inf"
