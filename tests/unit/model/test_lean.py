"""Lean functions give what their parts give one after the other, and keep less."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bessemer.model.lean import project_normed, project_swiglu
from bessemer.model.products import multiply

B, T, D, F, P = 2, 3, 6, 8, 5
Pass = Callable[[], tuple[Tensor, ...]]


class MyLinear(nn.Linear):
    """A projection that is more than a matrix."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def make(dtype: torch.dtype, kind: type[nn.Linear] = nn.Linear) -> tuple[Pass, Pass, list[Tensor]]:
    """The lean pass over a norm, two projections and SwiGLU, the same by its parts, and the leaves
    of both."""
    torch.manual_seed(0)
    norm = nn.RMSNorm(D, eps=1e-3, dtype=dtype)
    nn.init.normal_(norm.weight, 1.0, 0.5)
    gate, up = (kind(D, F, bias=False, dtype=dtype) for _ in range(2))
    down = kind(F, P, bias=False, dtype=dtype)
    x_BTD = torch.randn(B, T, D, dtype=dtype, requires_grad=True)

    def lean() -> tuple[Tensor, ...]:
        gated, raised = project_normed(x_BTD, norm, gate, up)
        return gated, raised, project_swiglu(gated, raised, down)

    def by_parts() -> tuple[Tensor, ...]:
        normed = norm(x_BTD)
        gated, raised = gate(normed), up(normed)
        return gated, raised, down(functional.silu(gated) * raised)

    return lean, by_parts, [x_BTD, norm.weight, gate.weight, up.weight, down.weight]


@pytest.mark.parametrize("kind", [nn.Linear, MyLinear])
def test_results_and_gradients_are_those_of_the_parts(kind: type[nn.Linear]) -> None:
    lean, by_parts, leaves = make(torch.float64, kind)
    found, expected = lean(), by_parts()
    shares = [torch.randn_like(each) for each in expected]  # all three outputs are used
    gradients = torch.autograd.grad(found, leaves, shares)
    by_torch = torch.autograd.grad(expected, leaves, shares)
    # float64 throughout: only the order of sums differs.
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gradients, by_torch, rtol=1e-11, atol=1e-13)


def test_gradients_are_those_of_finite_differences() -> None:
    lean, _, leaves = make(torch.float64)
    assert torch.autograd.gradcheck(lambda *_: lean(), leaves)


def test_half_precision_rounds_as_the_parts_do() -> None:
    lean, by_parts, leaves = make(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = lean(), by_parts()
    assert found[2].dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    one, other = (torch.autograd.grad(each[2].sum(), leaves) for each in (found, expected))
    for ours, theirs in zip(one, other, strict=True):  # gradients of both matrices' inputs are
        most = float(theirs.abs().max())  # summed in bfloat16, with its 8 bits
        torch.testing.assert_close(ours, theirs, rtol=2**-8, atol=2**-8 * most)


def test_a_projection_without_norm_is_that_of_the_input() -> None:
    linear, x_BTD = nn.Linear(D, P, bias=False), torch.randn(B, T, D)
    (found,) = project_normed(x_BTD, None, linear)
    assert torch.equal(found, multiply(x_BTD.flatten(0, 1), linear.weight.T).view(B, T, P))
    torch.testing.assert_close(found, linear(x_BTD))


def test_kept_are_the_input_a_scale_and_what_goes_into_swiglu() -> None:
    lean, by_parts, leaves = make(torch.float32)
    weights = {leaf.data_ptr() for leaf in leaves[1:]}

    def kept_by(run: Pass) -> int:
        kept: dict[int, int] = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda each: kept.update({each.data_ptr(): each.numel()}), lambda _: None
        ):
            outputs = run()
        assert len(outputs) == 3  # alive until here: no address is used twice
        return sum(numel for where, numel in kept.items() if where not in weights)

    assert kept_by(lean) == B * T * (D + 1 + 2 * F)
    assert kept_by(by_parts) == B * T * (3 * D + 1 + 4 * F)
