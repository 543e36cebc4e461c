"""Clipping by the global norm against PyTorch's, and gradients that are not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bessemer.train.clip import clip_gradients


def make_parameters(scale: float = 1.0) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    named = {}
    for name, shape in {"first": (30, 20), "second": (7,), "third": (4, 5, 6)}.items():
        named[name] = nn.Parameter(torch.zeros(shape))
        named[name].grad = scale * torch.randn(shape, generator=generator)
    named["unused"] = nn.Parameter(torch.zeros(3))
    return named


def gradients(named: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: each.grad.clone() for name, each in named.items() if each.grad is not None}


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_norm_and_gradients_are_those_of_pytorch(max_norm: float) -> None:
    ours, theirs = make_parameters(), make_parameters()
    found = clip_gradients(ours.items(), max_norm)
    expected = nn.utils.clip_grad_norm_(theirs.values(), max_norm)
    assert found.norm == pytest.approx(float(expected), rel=1e-6)
    assert found.nonfinite == ()
    for name, gradient in gradients(theirs).items():
        # PyTorch adds 1e-6 to the norm it divides by.
        torch.testing.assert_close(ours[name].grad, gradient, rtol=1e-5, atol=0)
    assert ours["unused"].grad is None


def test_the_norm_is_exact() -> None:
    named = make_parameters()
    values = [float(x) for gradient in gradients(named).values() for x in gradient.flatten()]
    exact = math.sqrt(math.fsum(x * x for x in values))
    assert clip_gradients(named.items(), 1e9).norm == pytest.approx(exact, rel=1e-14)


def test_squares_that_overflow_float32_do_not_make_the_norm_infinite() -> None:
    named = make_parameters(scale=1e30)
    expected = 1e30 * clip_gradients(make_parameters().items(), 1e9).norm
    assert clip_gradients(named.items(), 1.0).norm == pytest.approx(expected, rel=1e-6)
    assert clip_gradients(named.items(), 1e9).norm == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_named_and_nothing_is_touched(bad: float) -> None:
    named = make_parameters(scale=100.0)
    named["first"].grad[3, 3] = bad
    named["third"].grad[1, 1, 1] = bad
    before = gradients(named)
    found = clip_gradients(named.items(), 1.0)
    assert found.nonfinite == ("first", "third")
    assert not math.isfinite(found.norm)
    for name, gradient in before.items():
        torch.testing.assert_close(named[name].grad, gradient, rtol=0, atol=0, equal_nan=True)


def test_no_gradients_have_no_norm() -> None:
    assert clip_gradients([("unused", nn.Parameter(torch.zeros(3)))], 1.0).norm == 0.0
