"""Rotary positions (Su et al. 2021, arXiv 2104.09864), and how they are stretched.

Shapes: B sequences, T tokens, H heads, K head width. Each pair (k, k + K/2) of a head is turned by
its token's position times a frequency: the half-split layout of Hugging Face, which needs no
permutation of Llama's published weights. Everything is computed in float32, whatever the precision
of the model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

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
    first, second = x_BTHK.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x_BTHK * cos + turned * sin).to(x_BTHK.dtype)


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
