"""What weight decay touches, and where the rate goes."""

from __future__ import annotations

import torch
from torch import nn

from bessemer.config.train import OptimizerConfig
from bessemer.train.optim import make_optimizer, set_learning_rate


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
