"""Initial weights as a pure function of (seed, parameter name): the same in every process.

Matrices are normal with `initial_std`; the projections that write into the residual stream are
narrowed by sqrt(2 * num_layers), as in GPT-2 (Radford et al. 2019, section 2.3); norms are one.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from bessemer.core.keyed import derive_key
from bessemer.model.transformer import Decoder

_RESIDUAL_WRITERS = ("o_proj.weight", "down_proj.weight")


@torch.no_grad()
def initialize(model: Decoder, seed: int) -> None:
    """Fill every parameter of `model` in place. Values are drawn on the CPU in float32."""
    config = model.config
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            nn.init.ones_(parameter)
            continue
        std = config.initial_std
        if name.endswith(_RESIDUAL_WRITERS):
            std /= math.sqrt(2 * config.num_layers)
        generator = torch.Generator().manual_seed(derive_key(seed, "initialize", name) >> 1)
        values = torch.empty(parameter.shape, dtype=torch.float32)
        parameter.copy_(values.normal_(0.0, std, generator=generator))
