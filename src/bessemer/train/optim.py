"""AdamW with decay on matrices only, and a rate for each parameter if its width asks for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bessemer.config.train import OptimizerConfig


def make_optimizer(
    model: nn.Module, config: OptimizerConfig, lr_multiplier: Callable[[str], float] = lambda _: 1.0
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101); norms are not decayed.

    `lr_multiplier` gives what the rate of a parameter is multiplied by, from its name; decay is
    divided by it, so that a step decays all alike.
    """
    groups: dict[tuple[bool, float], list[Tensor]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        groups[parameter.ndim >= 2, lr_multiplier(name)].append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": config.weight_decay / multiplier if is_decayed else 0.0,
                "lr_multiplier": multiplier,
            }
            for (is_decayed, multiplier), parameters in groups.items()
        ],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group of `optimizer` this rate times its multiplier, in place."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_multiplier"]
