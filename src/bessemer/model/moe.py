"""Mixture of experts: how tokens went to experts, for the loss and for balancing.

Shapes: L layers with experts, E experts.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """How the tokens of a batch went to experts."""

    z_loss: Tensor  # scalar: sum over tokens and layers of logsumexp(router logits)^2
    expert_tokens_LE: Tensor  # int64: tokens that each expert of each layer took
