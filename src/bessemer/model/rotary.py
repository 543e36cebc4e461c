"""Rotary positions (Su et al. 2021, arXiv 2104.09864), and how they are stretched.

Shapes: B sequences, T tokens, H heads, K head width. Each pair (k, k + K/2) of a head is turned by
its token's position times a frequency: the half-split layout of Hugging Face, which needs no
permutation of Llama's published weights. Everything is computed in float32, whatever the precision
of the model.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bessemer.config.model import ModelConfig, RopeScalingConfig


def rotary_tables(config: ModelConfig, positions_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, T, 1, K] of positions."""
    frequencies_K = rotary_frequencies(config, positions_BT.device).repeat(2)
    angles_BT1K = positions_BT.float()[..., None, None] * frequencies_K
    sharpening = _sharpening(config.rope_scaling)
    if sharpening == 1.0:
        return angles_BT1K.cos(), angles_BT1K.sin()
    return angles_BT1K.cos() * sharpening, angles_BT1K.sin() * sharpening


def rotate(x_BTHK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (k, k + K/2) of a head by its position's angle."""
    turned: Tensor = _Rotate.apply(x_BTHK, cos, sin)  # type: ignore[no-untyped-call]
    return turned


class _Rotate(torch.autograd.Function):
    """Written into one tensor, without others beside it: glibc seldom fills the gaps that those
    leave among what is kept for the backward pass (docs/log.md)."""

    @staticmethod
    def forward(ctx: Any, x_BTHK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x_BTHK, cos, sin, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_turned_BTHK: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turn(d_turned_BTHK, cos, sin, -1), None, None


def _turn(x_BTHK: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    turned_BTHK = x_BTHK * cos
    (first, second), (to_first, to_second) = (each.chunk(2, -1) for each in (x_BTHK, turned_BTHK))
    sin = sin.chunk(2, dim=-1)[0]
    to_first.addcmul_(second, sin, value=-direction)
    to_second.addcmul_(first, sin, value=direction)
    return turned_BTHK.to(x_BTHK.dtype)


def rotary_frequencies(config: ModelConfig, device: torch.device | None = None) -> Tensor:
    """Radians per position [K/2], falling; stretched as `rope_scaling` says."""
    exponents = torch.arange(0, config.head_dim, 2, device=device, dtype=torch.float32)
    frequencies = 1.0 / config.rope_theta ** (exponents / config.head_dim)
    scaling = config.rope_scaling
    if scaling is None:
        return frequencies
    if scaling.kind == "linear":
        return frequencies / scaling.factor
    if scaling.kind == "llama3":
        kept = _kept_by_llama3(frequencies, scaling)
    else:
        kept = _kept_by_yarn(config, scaling, device)
    return frequencies * (kept + (1 - kept) / scaling.factor)


def _kept_by_llama3(frequencies: Tensor, scaling: RopeScalingConfig) -> Tensor:
    """How much of each frequency stays: by its turns within the old context, linearly between
    the two bounds (Llama 3.1's reference code, `apply_scaling`)."""
    turns = scaling.original_seq_len * frequencies / (2 * math.pi)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    return ((turns - low) / (high - low)).clamp(0, 1)


def _kept_by_yarn(
    config: ModelConfig, scaling: RopeScalingConfig, device: torch.device | None
) -> Tensor:
    """How much of each frequency stays: linearly in its place between those that turn
    `beta_fast` and `beta_slow` times in the old context (arXiv 2309.00071, section 3.2)."""

    def place(turns: float) -> float:
        whole = scaling.original_seq_len / (turns * 2 * math.pi)
        return config.head_dim * math.log(whole) / (2 * math.log(config.rope_theta))

    low = max(math.floor(place(scaling.beta_fast)), 0)
    high = min(math.ceil(place(scaling.beta_slow)), config.head_dim - 1)
    places = torch.arange(config.head_dim // 2, device=device, dtype=torch.float32)
    return 1 - ((places - low) / max(high - low, 1e-3)).clamp(0, 1)


def _sharpening(scaling: RopeScalingConfig | None) -> float:
    """YaRN's factor on queries and keys (arXiv 2309.00071, equation 22)."""
    if scaling is None or scaling.kind != "yarn":
        return 1.0
    return 0.1 * math.log(scaling.factor) + 1.0
