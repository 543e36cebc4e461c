"""The area against counted pairs; its interval by its equation and by how often it is right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.curate.auc import auc

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_the_area_is_that_of_counted_pairs(good: list[int], background: list[int]) -> None:
    won = sum((g > b) + (g == b) / 2 for g in good for b in background)
    found = auc(np.array(good, np.float32), np.array(background, np.float32))
    assert found.value == won / (len(good) * len(background))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_ends_solve_their_equation() -> None:
    draws = np.random.default_rng(0)
    good, background = draws.normal(1, 1, 80), draws.normal(0, 1, 120)
    found = auc(good.astype(np.float32), background.astype(np.float32))
    for end in (found.low, found.high):
        # Newcombe 2006, method 5, written out once more
        half = (80 + 120) / 2 - 1
        more = 1 + half * (1 - end) / (2 - end) + half * end / (1 + end)
        error = math.sqrt(end * (1 - end) * more / (80 * 120))
        assert abs(end - found.value) == pytest.approx(1.959963984540054 * error)


def test_a_perfect_area_of_few_texts_is_not_certain() -> None:
    good, background = np.ones(20, np.float32), np.zeros(20, np.float32)
    few, many = auc(good, background), auc(np.tile(good, 50), np.tile(background, 50))
    assert (few.value, few.high, many.high) == (1, 1, 1)
    assert 0.8 < few.low < 0.95 < many.low < 1
    assert auc(background, good).low == 0


def test_the_interval_holds_the_true_area_as_often_as_it_says() -> None:
    true = 0.5 * (1 + math.erf(1.5 / 2))  # of two normal distributions 1.5 apart
    draws = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        found = auc(
            draws.normal(1.5, 1, 40).astype(np.float32), draws.normal(0, 1, 60).astype(np.float32)
        )
        hits += found.low <= true <= found.high
    # 95 % of 400 with three standard errors (0.011) to either side
    assert 0.917 <= hits / 400 <= 0.983
