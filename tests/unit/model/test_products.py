"""Products of both libraries are those of float64, however their operands lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from platform import machine

import pytest
import torch
from torch import Tensor

from bessemer.core.hardware import processor
from bessemer.model.products import multiply, multiply_by_onednn, project

# Not by whether torch has it: one that has lost the operator is to be noticed.
needs_onednn = pytest.mark.skipif(machine() not in {"x86_64", "AMD64"}, reason="oneDNN is for x86")
WAYS = [multiply, pytest.param(multiply_by_onednn, marks=needs_onednn)]


def lying(matrix: Tensor, how: str) -> Tensor:
    """The same matrix, by rows, by columns, or as a part of a wider one."""
    if how == "rows":
        return matrix.clone()
    if how == "columns":
        return matrix.T.contiguous().T
    wider = torch.full((matrix.shape[0], 2 * matrix.shape[1] + 3), torch.nan)
    wider[:, 1 : 1 + matrix.shape[1]] = matrix
    return wider[:, 1 : 1 + matrix.shape[1]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("left_lies", ["rows", "columns", "part"])
@pytest.mark.parametrize("right_lies", ["rows", "columns", "part"])
@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (3, 70, 5), (65, 33, 257), (0, 4, 3)])
def test_products_are_those_of_float64(
    way: Callable[[Tensor, Tensor], Tensor],
    left_lies: str,
    right_lies: str,
    n: int,
    k: int,
    m: int,
) -> None:
    torch.manual_seed(n + k + m)
    left, right = torch.randn(n, k), torch.randn(k, m)
    found = way(lying(left, left_lies), lying(right, right_lies))
    expected = left.double() @ right.double()
    assert found.shape == (n, m)
    assert found.dtype == torch.float32
    # Rounding of a sum of k products, each bounded by |left| |right| (Higham 2002, section 3.5).
    bound = k * 2**-24 * (left.double().abs() @ right.double().abs())
    assert torch.all((found.double() - expected).abs() <= bound)


def test_a_projection_has_the_gradients_of_finite_differences() -> None:
    torch.manual_seed(0)
    x_ND = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weight_PD = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.equal(project(x_ND, weight_PD), x_ND @ weight_PD.T)
    assert torch.autograd.gradcheck(project, (x_ND, weight_PD))


@pytest.mark.parametrize("frozen", [0, 1])
def test_no_gradient_is_made_that_nobody_asks_for(frozen: int) -> None:
    leaves = [torch.randn(4, 3), torch.randn(5, 3)]
    leaves[1 - frozen].requires_grad_()
    project(*leaves).sum().backward()
    assert leaves[frozen].grad is None
    expected = leaves[frozen].sum(dim=0).expand_as(leaves[1 - frozen])
    torch.testing.assert_close(leaves[1 - frozen].grad, expected)


def test_the_processor_is_known_or_not() -> None:
    maker, family = processor()
    assert (maker == "") <= (family == 0)
    assert family >= 0
