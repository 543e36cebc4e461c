"""How large each parameter begins and how fast it learns: the same for every width, or by µP.

µP (Yang et al. 2022, Tensor Programs V, arXiv 2203.03466, table 8) keeps sizes of activations and
of their changes alike over widths, so that a learning rate found at `base_width` serves at any.
With m = hidden_dim / base_width, for Adam-like optimizers:

| parameter                            | begins with spread | learns at |
| ------------------------------------ | ------------------ | --------- |
| embedding; output projection         | base spread        | 1         |
| other matrices                       | base spread / √m   | 1 / m     |
| norms                                | 1                  | 1         |
| last norm: the multiplier of logits  | 1 / m              | 1 / m     |

There are no multipliers in the decoder: one on a weight is, for Adam, a smaller begin and a smaller
rate of it (lemma J.1), and so what is exported needs none. The multiplier of logits is in the last
norm and serves tied embeddings too. That of attention, 1 / head_dim instead of its root, is in the
queries (with QK-norm in their norm); it is one as long as widening adds heads of the same width.
"""

from __future__ import annotations

import math

from bessemer.config.model import ModelConfig

_RESIDUAL_WRITERS = ("o_proj.weight", "down_proj.weight", "experts.down_proj")
_ENDS = ("embed_tokens.weight", "lm_head.weight")


def initial_spread(config: ModelConfig, name: str) -> float:
    """Standard deviation of a matrix, or the one value of a norm.

    The projections that write into the residual stream are narrowed by sqrt(2 * num_layers), as
    in GPT-2 (Radford et al. 2019, section 2.3).
    """
    if is_norm(name):
        return _multiplier_inside(config, name)
    spread = config.initial_std * _multiplier_inside(config, name)
    if not name.endswith(_ENDS):
        spread /= math.sqrt(config.width_multiplier)
    if name.endswith(_RESIDUAL_WRITERS):
        spread /= math.sqrt(2 * config.num_layers)
    return spread


def lr_multiplier(config: ModelConfig, name: str) -> float:
    """What the learning rate of a parameter is multiplied by, for Adam-like optimizers."""
    inside = _multiplier_inside(config, name)
    return inside if is_norm(name) or name.endswith(_ENDS) else inside / config.width_multiplier


def is_norm(name: str) -> bool:
    """Whether a parameter is the gain of a norm."""
    return name.endswith("norm.weight")


def _multiplier_inside(config: ModelConfig, name: str) -> float:
    """The multiplier on activations that is folded into a parameter."""
    if name == "norm.weight":
        return 1 / config.width_multiplier
    if name.endswith("q_norm.weight" if config.qk_norm else "q_proj.weight"):
        return config.attention_multiplier
    return 1.0
