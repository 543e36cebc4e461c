"""AdamW with decay on matrices only, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math

import torch
from torch import nn

from bessemer.config.train import OptimizerConfig, ScheduleConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101); norms are not decayed."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )


def learning_rate(step: int, num_steps: int, peak: float, schedule: ScheduleConfig) -> float:
    """The rate of optimizer step `step` (from 0) of `num_steps`.

    Linear from above 0 to `peak` over the warm-up, then to `final_lr_frac * peak` at the last step,
    along half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983) or a line.
    """
    warmup = round(schedule.warmup_frac * num_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, num_steps - 1 - warmup)
    floor = schedule.final_lr_frac
    if schedule.kind == "constant":
        return peak
    if schedule.kind == "linear":
        return peak * (1 - (1 - floor) * done)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group of `optimizer` this rate, in place."""
    for group in optimizer.param_groups:
        group["lr"] = rate
