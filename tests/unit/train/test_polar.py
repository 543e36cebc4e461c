"""Polar factors against those of the singular value decomposition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bessemer.train.polar import (
    LEAST_SINGULAR_FRAC,
    POLYNOMIALS,
    by_polynomials,
    orthogonalize,
)


def make_matrix(rows: int, columns: int, smallest: float) -> Tensor:
    """Singular values fall evenly in their logarithm from 1 to `smallest`; float64."""
    generator = torch.Generator().manual_seed(rows)
    noise = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    u, s, v = torch.linalg.svd(noise, full_matrices=False)
    return u * torch.logspace(0, math.log10(smallest), len(s), dtype=torch.float64) @ v


def polar(matrix: Tensor) -> Tensor:
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    return u @ v


@pytest.mark.parametrize("shape", [(24, 24), (40, 16), (16, 40), (1, 7), (5, 1)])
def test_the_factor_is_that_of_the_singular_value_decomposition(shape: tuple[int, int]) -> None:
    matrix = make_matrix(*shape, smallest=0.05)
    # The Gram matrix squares the condition to 400, float32 has 6e-8.
    torch.testing.assert_close(
        orthogonalize(matrix.float()).double(), polar(matrix), rtol=0, atol=1e-4
    )


def test_small_singular_values_stay_small() -> None:
    """Where float32 sees noise only: what is under the bound is divided by the bound."""
    matrix = make_matrix(32, 48, smallest=1e-7)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    found = (u.mT @ orthogonalize(matrix.float()).double() @ v.mT).diagonal()
    is_large = s > 5 * LEAST_SINGULAR_FRAC
    torch.testing.assert_close(found[is_large], torch.ones_like(s)[is_large], rtol=0.01, atol=0)
    is_small = s < LEAST_SINGULAR_FRAC / 5
    assert found[is_small].abs().max() < 0.25
    # At the bound squares are 1e-6 of the largest, known to some 1e-7: roots to some 5 %.
    assert torch.linalg.matrix_norm(orthogonalize(matrix.float()), 2) < 1.1


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_length_does_not_matter(scale: float) -> None:
    matrix = make_matrix(12, 20, smallest=0.05)
    found = orthogonalize((matrix * scale).float())
    torch.testing.assert_close(found.double(), polar(matrix), rtol=0, atol=1e-4)


def test_matrices_side_by_side_are_taken_one_by_one() -> None:
    several = torch.stack([make_matrix(6, 9, smallest) for smallest in (0.9, 0.5, 0.1, 0.05)])
    found = orthogonalize(several.float().reshape(2, 2, 6, 9)).reshape(4, 6, 9)
    expected = torch.stack([polar(matrix) for matrix in several])
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-4)


def test_zeros_stay_zeros() -> None:
    assert torch.equal(orthogonalize(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))
    assert not by_polynomials(torch.zeros(3, 4).bfloat16()).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("smallest", [1.0, 0.1, 0.01])
def test_polynomials_bring_singular_values_near_one(smallest: float, dtype: torch.dtype) -> None:
    matrix = make_matrix(48, 64, smallest)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = by_polynomials((matrix / matrix.norm()).to(dtype)).double()
    values = torch.linalg.svdvals(found)
    # A fifth by design, and a tenth below it: values are shrunk for safety before each polynomial.
    assert values.min() > (0.6 if dtype == torch.bfloat16 else 0.7)
    assert values.max() < 1.21
    if dtype == torch.float32:  # singular vectors stay
        rotated = u.mT @ found @ v.mT
        torch.testing.assert_close(rotated, rotated.diagonal().diag(), rtol=0, atol=1e-4)


def test_a_matrix_of_rank_one_does_not_leap() -> None:
    """Its norm is its one singular value: the bound is tight, and rounding may pass it."""
    x = torch.outer(torch.ones(40), torch.ones(30)) / math.sqrt(1200)
    assert 0.75 < torch.linalg.matrix_norm(by_polynomials(x.bfloat16()).float(), 2) < 1.25


def test_polynomials_are_minimax_one_after_the_other() -> None:
    """Equioscillation proves it (Chebyshev): errors of equal size and alternating sign at four
    points, one more than there are coefficients."""
    low, high = 0.003, 1.0
    for a, b, c in POLYNOMIALS:
        root = math.sqrt(9 * b * b - 20 * a * c)
        turns = [math.sqrt((-3 * b + sign * root) / (10 * c)) for sign in (-1, 1)]
        assert low < turns[0] < turns[1] < high
        errors = [a * x + b * x**3 + c * x**5 - 1 for x in (low, *turns, high)]
        size = abs(errors[0])
        # Coefficients are given to six digits.
        assert errors == pytest.approx([-size, size, -size, size], abs=2e-5)
        low, high = 1 - size, 1 + size
    assert (low, high) == (pytest.approx(0.8, abs=0.01), pytest.approx(1.2, abs=0.01))
