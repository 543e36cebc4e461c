"""Polar factors: singular vectors against those of the decomposition, values against the bounds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bessemer.train.polar import POLYNOMIALS, by_polynomials, orthogonalize


def make_matrix(rows: int, columns: int, smallest: float) -> Tensor:
    """Singular values fall evenly in their logarithm from 1 to `smallest`; float64."""
    generator = torch.Generator().manual_seed(rows)
    noise = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    u, s, v = torch.linalg.svd(noise, full_matrices=False)
    return u * torch.logspace(0, math.log10(smallest), len(s), dtype=torch.float64) @ v


@pytest.fixture(params=[True, False], ids=["bfloat16", "float32"])
def slack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """How far beyond the minimax error a singular value may be, on a machine with and without units
    for bfloat16: values are shrunk before each polynomial, for safety, and bfloat16 rounds."""
    monkeypatch.setattr("bessemer.train.polar.multiplies_bfloat16", lambda _: request.param)
    return 0.06 if request.param else 0.03


def assert_near_polar(found: Tensor, matrix: Tensor, slack: float) -> None:
    """Singular vectors are those of `matrix`, singular values near one."""
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.mT @ found.double() @ v.mT
    values = inside.diagonal()
    assert 0.353 - slack < values.min() <= values.max() < 1.647 + slack
    torch.testing.assert_close(inside, values.diag(), rtol=0, atol=2 * slack)


@pytest.mark.parametrize("smallest", [0.5, 0.05])
@pytest.mark.parametrize("shape", [(24, 24), (40, 16), (16, 40), (1, 7), (5, 1)])
def test_the_factor_has_the_vectors_of_the_singular_value_decomposition(
    shape: tuple[int, int], smallest: float, slack: float
) -> None:
    matrix = make_matrix(*shape, smallest)
    assert_near_polar(orthogonalize(matrix.float()), matrix, slack)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_length_does_not_matter(scale: float, slack: float) -> None:
    matrix = make_matrix(12, 20, smallest=0.05)
    assert_near_polar(orthogonalize((matrix * scale).float()), matrix, slack)


def test_matrices_side_by_side_are_taken_one_by_one(slack: float) -> None:
    several = torch.stack([make_matrix(16, 20, smallest) for smallest in (0.9, 0.5, 0.1, 0.05)])
    found = orthogonalize(several.float().reshape(2, 2, 16, 20)).reshape(4, 16, 20)
    for factor, matrix in zip(found, several, strict=True):
        assert_near_polar(factor, matrix, slack)


@pytest.mark.usefixtures("slack")
def test_zeros_stay_zeros() -> None:
    assert torch.equal(orthogonalize(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_small_singular_values_grow_by_the_first_coefficients() -> None:
    matrix = make_matrix(32, 48, smallest=1e-5)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    found = (
        u.mT
        @ by_polynomials((matrix / matrix.norm()).float()[None], torch.float32)[0].double()
        @ v.mT
    ).diagonal()
    growth = math.prod(a for a, _, _ in POLYNOMIALS)
    is_small = s < 1e-4
    ratio = found[is_small] / s[is_small]
    # Of a largest value between 1 / 32^(1/8) and 1; and safety takes 2 % off, three times.
    assert ratio.min() > growth * 32 ** (-1 / 8) * 1.02**-3 * 0.99
    assert ratio.max() < growth


@pytest.mark.usefixtures("slack")
def test_no_vector_is_turned_round() -> None:
    """Where the first polynomial has its trough, rounding must not take it through zero."""
    for shape in ((6, 9), (24, 32)):
        for seed in range(20):
            generator = torch.Generator().manual_seed(seed)
            noise = torch.randn(shape, generator=generator, dtype=torch.float64)
            u, _, v = torch.linalg.svd(noise, full_matrices=False)
            values = 0.5 + 0.5 * torch.rand(len(u), generator=generator, dtype=torch.float64)
            matrix = (u * values) @ v
            found = orthogonalize(matrix.float()).double()
            assert (u.mT @ found @ v.mT).diagonal().min() > 0.29


def test_a_matrix_of_rank_one_does_not_leap() -> None:
    """Its norm is its one singular value: the bound is tight, and rounding may pass it."""
    x = torch.outer(torch.ones(40), torch.ones(30)) / math.sqrt(1200)
    found = by_polynomials(x[None], torch.bfloat16)[0]
    assert 0.3 < torch.linalg.matrix_norm(found.float(), 2) < 1.7


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
    assert (low, high) == (pytest.approx(0.353, abs=1e-3), pytest.approx(1.647, abs=1e-3))
