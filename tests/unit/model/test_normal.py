"""Keyed normal numbers are the ones they should be, and distributed as they should be."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from bessemer.core.keyed import hash_indices
from bessemer.model.normal import fill_normal

N = 1 << 18


def draw(key: int, count: int = N, begin: int = 0) -> np.ndarray:
    out = np.empty((1, count), np.float32)
    fill_normal(out, key, np.array([begin]))
    return out[0].astype(np.float64)


@pytest.mark.parametrize("begin", [0, (1 << 33) + 5])
def test_numbers_are_the_inverse_distribution_at_the_hash(begin: int) -> None:
    """Beside Python's own inverse, in float64; what remains is rounding to float32."""
    upper = hash_indices(77, np.arange(begin, begin + 20_000)) >> np.uint64(12)
    wanted = [NormalDist().inv_cdf((int(bits) + 0.5) / 2**52) for bits in upper]
    np.testing.assert_allclose(draw(77, 20_000, begin), wanted, rtol=1.2e-7)


def test_rows_begin_where_they_are_told_to() -> None:
    out = np.empty((3, 5), np.float32)
    fill_normal(out, 9, np.array([40, 0, 7]))
    whole = draw(9, 64).astype(np.float32)
    assert np.array_equal(out, [whole[40:45], whole[0:5], whole[7:12]])


def test_moments_are_those_of_a_normal_distribution() -> None:
    """Mean, variance, skewness and kurtosis within five of their standard errors."""
    z = draw(1)
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((z**power).mean() - moment) < 5 * math.sqrt(variance / N), power


def test_the_distribution_is_normal_throughout() -> None:
    """Kolmogorov-Smirnov: the largest gap stays below the bound that chance breaks once in a
    million; and the tails beyond 4 hold as many as they should."""
    z = np.sort(draw(2))
    cumulative = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in z])
    gap = max((np.arange(1, N + 1) / N - cumulative).max(), (cumulative - np.arange(N) / N).max())
    assert gap < math.sqrt(-math.log(0.5e-6) / 2 / N)
    expected = N * math.erfc(4 / math.sqrt(2))
    assert abs((abs(z) > 4).sum() - expected) < 5 * math.sqrt(expected)


def test_neighbours_and_keys_are_independent() -> None:
    """Correlations within five of their standard error, 1 / sqrt(N)."""
    z, other = draw(3), draw(4)
    for left, right in [(z[1:], z[:-1]), (z[512:], z[:-512]), (z, other), (z**2 - 1, other**2 - 1)]:
        assert abs((left * right).mean()) < 5 * left.std() * right.std() / math.sqrt(len(left))
