"""Near misses: bounds that a document keeps to, but hardly."""

from __future__ import annotations

from typing import Any

import pytest

from bessemer.curate.bounds import Rule
from bessemer.line.explain import Explanation


def explanation(signals: dict[str, Any], *broken: str) -> Explanation:
    return Explanation(
        doc_id=0,
        source="web",
        path="x",
        document=None,
        signals=signals,
        rules=(
            Rule(name="word_count", min=100, max=120),
            Rule(name="digit_frac", max=0.5),
            Rule(name="control_frac", max=0.0),
            Rule(name="alnum_frac"),
        ),
        decisions=tuple({"rule": name} for name in broken),
        cluster=None,
        split=None,
    )


@pytest.mark.parametrize(
    ("signals", "near"),
    [
        ({"word_count": 100.0}, {"word_count": 100}),
        ({"word_count": 109.0}, {"word_count": 100}),  # near both, nearer to this one
        ({"word_count": 112.0}, {"word_count": 120}),
        ({"digit_frac": 0.46}, {"digit_frac": 0.5}),
        ({"digit_frac": 0.44}, {}),
        ({"digit_frac": None}, {}),
        ({"digit_frac": float("nan")}, {}),
        ({"control_frac": 0.0}, {}),
        ({"alnum_frac": 0.5, "language": "en"}, {}),
        ({}, {}),
    ],
)
def test_near_misses_lie_within_a_tenth_of_a_bound(
    signals: dict[str, Any], near: dict[str, float]
) -> None:
    assert explanation(signals).near_misses == near


def test_what_is_broken_is_no_near_miss() -> None:
    assert explanation({"word_count": 99.0, "digit_frac": 0.46}, "word_count").near_misses == {
        "digit_frac": 0.5
    }
