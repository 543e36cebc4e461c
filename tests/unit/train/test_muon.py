"""Muon against PyTorch's own, made to converge, and against its definition for stacks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bessemer.train.muon import Muon


def make_gradients(shape: tuple[int, ...], num_steps: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(shape, generator=generator) for _ in range(num_steps)]


# Newton and Schulz's own iteration: slower than Muon's usual ones, but it converges.
NEWTON_SCHULZ, NUM_STEPS = (1.5, -0.5, 0.0), 30


@pytest.fixture
def converging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that are orthogonal to many digits."""
    monkeypatch.setattr("bessemer.train.polar.POLYNOMIALS", (NEWTON_SCHULZ,) * NUM_STEPS)
    monkeypatch.setattr("bessemer.train.polar._SAFETY", 1.0)
    monkeypatch.setattr("bessemer.train.polar.multiplies_bfloat16", lambda _: False)


@pytest.mark.usefixtures("converging")
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("scale", ["adamw", "spectral"])
@pytest.mark.parametrize("shape", [(20, 8), (8, 20)])
def test_steps_are_those_of_pytorch(shape: tuple[int, int], scale: str, nesterov: bool) -> None:
    ours, theirs = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.ones(shape))
    settings = {"lr": 0.02, "weight_decay": 0.3, "momentum": 0.9, "nesterov": nesterov}
    group = {"params": [ours], "lr": 0.02, "weight_decay": 0.3}
    one = Muon([group], momentum=0.9, nesterov=nesterov, scale=scale)
    other = torch.optim.Muon(
        [theirs],
        **settings,
        adjust_lr_fn="match_rms_adamw" if scale == "adamw" else "original",
        ns_coefficients=NEWTON_SCHULZ,
        ns_steps=NUM_STEPS,
    )
    for gradient in make_gradients(shape, num_steps=4):
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        one.step()
        other.step()
        assert torch.equal(ours.grad, gradient)
    moved = (theirs.detach() - 1).abs().max()
    # Theirs orthogonalises in bfloat16, of three digits.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.01 * float(moved))


@pytest.mark.usefixtures("converging")
def test_a_stack_is_so_many_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One stacked parameter, several of one shape at once, and each alone: all the same."""
    (gradients,) = make_gradients((3, 6, 4), num_steps=1)
    stacked = nn.Parameter(torch.zeros(3, 6, 4))
    stacked.grad = gradients.clone()
    Muon([{"params": [stacked], "lr": 0.1, "weight_decay": 0.0}]).step()
    for most in (1, 6 * 4 * 2, 1 << 20):
        monkeypatch.setattr("bessemer.train.muon._MOST_ELEMENTS", most)
        single = [nn.Parameter(torch.zeros(6, 4)) for _ in range(3)]
        for parameter, gradient in zip(single, gradients, strict=True):
            parameter.grad = gradient.clone()
        Muon([{"params": single, "lr": 0.1, "weight_decay": 0.0}]).step()
        torch.testing.assert_close(torch.stack(single), stacked)
    # The root mean square of a step is 0.2 times the rate, whatever the shape.
    assert stacked.square().mean().sqrt().item() == pytest.approx(
        0.1 * 0.2 * math.sqrt(6 / 6), rel=1e-4
    )


def test_parameters_without_a_gradient_stay() -> None:
    moved, still = nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.ones(3, 3))
    moved.grad = torch.eye(3)
    optimizer = Muon([{"params": [still, moved], "lr": 0.1, "weight_decay": 0.5}])
    optimizer.step()
    assert torch.equal(still, torch.ones(3, 3))
    assert not torch.equal(moved, torch.ones(3, 3))
    assert list(optimizer.state) == [moved]


def test_state_is_float32_of_one_tensor() -> None:
    parameter = nn.Parameter(torch.zeros(2, 3))
    optimizer = Muon([{"params": [parameter], "lr": 0.1, "weight_decay": 0.0}])
    parameter.grad = torch.ones(2, 3)
    optimizer.step()
    (state,) = optimizer.state.values()
    assert {name: value.dtype for name, value in state.items()} == {"momentum": torch.float32}
