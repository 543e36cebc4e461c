"""Which optimizer moves which parameter, how fast, and with what decay: by name.

AdamW for everything, or Muon for the hidden matrices and AdamW for the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from bessemer.config.train import OptimizerConfig
from bessemer.core.errors import ConfigError, Fault
from bessemer.train.muon import Muon

# Matrices that look tokens up or score them (or experts): their rows are things of their own, not
# directions of one map.
_NOT_HIDDEN = ("embed_tokens.*", "lm_head.*", "*.mlp.gate.weight")
# What torch.compile, activation checkpointing and DDP put into the names of parameters.
_WRAPPINGS = {"_orig_mod", "_checkpoint_wrapped_module", "module"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What an optimizer needs to know of a parameter."""

    kind: str  # "adamw" or "muon"
    lr: float  # at the peak of the schedule
    weight_decay: float


class Optimizers:
    """All optimizers of a model as one."""

    def __init__(self, parts: tuple[torch.optim.Optimizer, ...]) -> None:
        self.parts = parts
        self._peaks = [[group["lr"] for group in part.param_groups] for part in parts]

    def set_learning_rate(self, factor: float) -> None:
        """Give every parameter `factor` times its peak rate."""
        for part, peaks in zip(self.parts, self._peaks, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                group["lr"] = factor * peak

    def step(self) -> None:
        """Move all parameters that have a gradient."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Free all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)


def make_optimizers(
    model: nn.Module, config: OptimizerConfig, lr_multiplier: Callable[[str], float] = lambda _: 1.0
) -> Optimizers:
    """The optimizers of all trainable parameters of `model`: fused AdamW (Loshchilov and Hutter
    2019, arXiv 1711.05101) and Muon.

    `lr_multiplier` gives what AdamW's rate of a parameter is multiplied by, from its name; decay is
    divided by it, so that a step decays all alike. Raises ConfigError if a group matches nothing.
    """
    named = {plain_name(name): each for name, each in model.named_parameters()}
    named = {name: each for name, each in named.items() if each.requires_grad}
    alike: dict[Settings, list[Tensor]] = defaultdict(list)
    for name, settings in choose_settings(named, config, lr_multiplier).items():
        alike[settings].append(named[name])

    def groups(kind: str) -> list[dict[str, Any]]:
        return [
            {"params": parameters, "lr": settings.lr, "weight_decay": settings.weight_decay}
            for settings, parameters in alike.items()
            if settings.kind == kind
        ]

    parts: list[torch.optim.Optimizer] = []
    if by_adamw := groups("adamw"):
        betas = (config.beta1, config.beta2)
        parts.append(torch.optim.AdamW(by_adamw, betas=betas, eps=config.eps, fused=True))
    if by_muon := groups("muon"):
        muon = config.muon
        parts.append(
            Muon(by_muon, momentum=muon.momentum, nesterov=muon.nesterov, scale=muon.scale)
        )
    return Optimizers(tuple(parts))


def choose_settings(
    parameters: Mapping[str, Tensor],
    config: OptimizerConfig,
    lr_multiplier: Callable[[str], float] = lambda _: 1.0,
) -> dict[str, Settings]:
    """The settings of each parameter by its plain name: the defaults, then what groups change.

    Raises ConfigError if a group matches no parameter.
    """
    faults = [
        Fault(
            f"train.optimizer.group[{index}].match",
            f"{group.match!r} matches no parameter; names are like {', '.join(_some(parameters))}",
        )
        for index, group in enumerate(config.group)
        if not any(fnmatchcase(name, group.match) for name in parameters)
    ]
    if faults:
        raise ConfigError(faults)
    return {
        name: _settings_of(name, each, config, lr_multiplier(name))
        for name, each in parameters.items()
    }


def plain_name(name: str) -> str:
    """A parameter's name without what wrapping its module has put into it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPINGS)


def _settings_of(
    name: str, parameter: Tensor, config: OptimizerConfig, multiplier: float
) -> Settings:
    is_matrix = parameter.ndim >= 2
    is_hidden = is_matrix and not any(fnmatchcase(name, each) for each in _NOT_HIDDEN)
    kind = "muon" if config.kind == "muon" and is_hidden else "adamw"
    if kind == "muon":  # the length of its steps goes by the shape already
        multiplier = 1.0
    lr = config.lr * (config.muon.lr_factor if kind == "muon" else multiplier)
    factor, weight_decay = 1.0, config.weight_decay / multiplier if is_matrix else 0.0
    for group in config.group:
        if fnmatchcase(name, group.match):
            factor = factor if group.lr_factor is None else group.lr_factor
            weight_decay = weight_decay if group.weight_decay is None else group.weight_decay
    return Settings(kind=kind, lr=factor * lr, weight_decay=weight_decay)


def _some(parameters: Mapping[str, Tensor]) -> list[str]:
    names = list(parameters)
    return [*names[:2], names[-1]]
