"""Learning-rate schedules against closed forms, and what weight decay touches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bessemer.config.train import OptimizerConfig, ScheduleConfig
from bessemer.train.optim import learning_rate, make_optimizer, set_learning_rate

STEPS, PEAK = 101, 2.0


def rates(kind: str, warmup_frac: float = 0.0, final: float = 0.1) -> list[float]:
    schedule = ScheduleConfig.model_validate(
        {"kind": kind, "warmup_frac": warmup_frac, "final_lr_frac": final}
    )
    return [learning_rate(step, STEPS, PEAK, schedule) for step in range(STEPS)]


def test_cosine_is_half_a_cosine_from_peak_to_floor() -> None:
    expected = [0.2 + 1.8 * (1 + math.cos(math.pi * step / 100)) / 2 for step in range(STEPS)]
    assert rates("cosine") == pytest.approx(expected, rel=1e-12)


def test_linear_is_a_line_from_peak_to_floor() -> None:
    expected = [2.0 - 1.8 * step / 100 for step in range(STEPS)]
    assert rates("linear") == pytest.approx(expected, rel=1e-12)


def test_constant_stays() -> None:
    assert rates("constant") == [PEAK] * STEPS


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant"])
def test_warm_up_is_a_line_that_never_is_zero(kind: str) -> None:
    found = rates(kind, warmup_frac=0.1)  # 10 steps
    assert found[:10] == pytest.approx([PEAK * (step + 1) / 10 for step in range(10)])
    assert found[10] == PEAK


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_the_last_step_has_the_floor(kind: str) -> None:
    assert rates(kind, warmup_frac=0.2)[-1] == pytest.approx(0.1 * PEAK)
    assert rates(kind, final=0.0)[-1] == pytest.approx(0.0, abs=1e-15)


def test_one_step_and_all_warm_up_do_not_divide_by_zero() -> None:
    schedule = ScheduleConfig(warmup_frac=0.0)
    assert learning_rate(0, 1, PEAK, schedule) == PEAK
    whole = ScheduleConfig(warmup_frac=1.0)
    assert [learning_rate(step, 4, PEAK, whole) for step in range(4)] == [0.5, 1.0, 1.5, 2.0]


def test_decay_touches_matrices_only() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.RMSNorm(3))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    config = OptimizerConfig(lr=0.5, weight_decay=0.2)
    optimizer = make_optimizer(model, config)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()  # no gradient: AdamW only decays, by lr * weight_decay
    torch.testing.assert_close(model[0].weight, before["0.weight"] * (1 - 0.5 * 0.2))
    assert torch.equal(model[1].weight, before["1.weight"])


def test_the_rate_reaches_every_group() -> None:
    optimizer = make_optimizer(
        nn.Sequential(nn.Linear(3, 3, bias=False), nn.RMSNorm(3)), OptimizerConfig()
    )
    set_learning_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
