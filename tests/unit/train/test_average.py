"""The moving average against its definition, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bessemer.train.average import Average

HALF_LIFE = 300
STEPS = [100, 50, 200, 200, 7, 400]  # tokens


def make_model() -> nn.Module:
    return nn.Linear(3, 2).double()


def walk(model: nn.Module, average: Average) -> list[Tensor]:
    """Weights after each of STEPS, all of them taken in."""
    generator = torch.Generator().manual_seed(2)
    path = []
    for num_tokens in STEPS:
        with torch.no_grad():
            model.weight += torch.randn(2, 3, generator=generator, dtype=torch.float64)
        average.update(num_tokens)
        path.append(model.weight.detach().clone())
    return path


def test_the_average_is_the_weighted_mean_of_the_weights() -> None:
    model = make_model()
    average = Average(model, HALF_LIFE)
    path = walk(model, average)
    counts = []
    for index, num_tokens in enumerate(STEPS):
        since = sum(STEPS[index + 1 :])
        counts.append((1 - 2 ** (-num_tokens / HALF_LIFE)) * 2 ** (-since / HALF_LIFE))
    expected = sum(count * weights for count, weights in zip(counts, path, strict=True))
    expected /= math.fsum(counts)
    torch.testing.assert_close(average.tensors()["weight"], expected, rtol=1e-12, atol=1e-13)
    assert float(average.tensors()["counted"]) == pytest.approx(math.fsum(counts), rel=1e-12)


def test_cutting_a_step_in_two_changes_nothing_if_weights_stand_still() -> None:
    found = []
    for parts in ([90], [30, 60]):
        model = make_model()
        with torch.no_grad():
            model.weight.zero_()
        average = Average(model, HALF_LIFE)
        average.update(50)
        with torch.no_grad():
            model.weight.fill_(1.0)
        for num_tokens in parts:
            average.update(num_tokens)
        found.append(average.tensors()["weight"])
    torch.testing.assert_close(*found, rtol=1e-12, atol=0)


def test_initial_weights_do_not_count() -> None:
    model = make_model()
    average = Average(model, half_life_tokens=10**9)
    assert torch.equal(average.tensors()["weight"], model.weight)
    with torch.no_grad():
        model.weight.fill_(5.0)
    average.update(1)
    assert torch.equal(average.tensors()["weight"], model.weight)


def test_loading_its_tensors_goes_on_bit_for_bit() -> None:
    model = make_model()
    average = Average(model, HALF_LIFE)
    walk(model, average)
    other = make_model()
    other.load_state_dict(model.state_dict())
    resumed = Average(other, HALF_LIFE)
    for name, tensor in resumed.tensors().items():
        tensor.copy_(average.tensors()[name])
    walk(model, average)
    walk(other, resumed)
    for name, tensor in resumed.tensors().items():
        assert torch.equal(tensor, average.tensors()[name]), name


def test_weights_come_back_bit_for_bit_after_a_swap() -> None:
    model = make_model()
    average = Average(model, HALF_LIFE)
    walk(model, average)
    weights, averages = model.weight.detach().clone(), average.tensors()["weight"].clone()
    place = model.weight.data_ptr()
    with pytest.raises(ZeroDivisionError), average.swapped():
        assert torch.equal(model.weight, averages)
        _ = 1 / 0
    assert torch.equal(model.weight, weights)
    assert torch.equal(average.tensors()["weight"], averages)
    assert model.weight.data_ptr() == place
