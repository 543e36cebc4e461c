"""Causal self-attention with grouped queries, rotary positions and, if wanted, QK-norm.

Shapes: B sequences, T tokens, H query heads, G key-value heads, K head width, D model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bessemer.config.model import ModelConfig
from bessemer.model.attend import attend, attend_past
from bessemer.model.lean import project_normed
from bessemer.model.norm import RMSNorm
from bessemer.model.pieces import Pieces
from bessemer.model.rotary import rotate


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) without biases."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.head_dim, self.window = config.head_dim, config.window_of(layer)
        heads_width = config.num_heads * config.head_dim
        kv_width = config.num_kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_dim, heads_width, bias=False)
        self.k_proj = nn.Linear(config.hidden_dim, kv_width, bias=False)
        self.v_proj = nn.Linear(config.hidden_dim, kv_width, bias=False)
        self.o_proj = nn.Linear(heads_width, config.hidden_dim, bias=False)
        if config.qk_norm:
            self.q_norm: nn.Module = RMSNorm(config.head_dim, eps=config.norm_eps)
            self.k_norm: nn.Module = RMSNorm(config.head_dim, eps=config.norm_eps)
        else:
            self.q_norm, self.k_norm = nn.Identity(), nn.Identity()

    def forward(
        self,
        x_BTD: Tensor,
        norm: nn.RMSNorm,
        rotary: tuple[Tensor, Tensor],
        pieces: Pieces,
        past: Past | None = None,
    ) -> Tensor:
        """Attend within pieces to `norm(x_BTD)`. With a filled `past`, x is one token that sees all
        of it."""
        qkv = project_normed(x_BTD, norm, self.q_proj, self.k_proj, self.v_proj)
        q_BTHK, k_BTGK, v_BTGK = (each.view(*each.shape[:2], -1, self.head_dim) for each in qkv)
        # On a GPU autocast gives norms in float32, which flash attention does not take.
        q_BTHK = rotate(self.q_norm(q_BTHK), *rotary).to(v_BTGK.dtype)
        k_BTGK = rotate(self.k_norm(k_BTGK), *rotary).to(v_BTGK.dtype)
        if past is not None and past.length:
            y_BTHK = attend_past(q_BTHK, *past.append(k_BTGK, v_BTGK, self.window))
        else:
            if past is not None:
                past.append(k_BTGK, v_BTGK, self.window)
            see = pieces.exchange.attend if pieces.exchange else attend
            y_BTHK = see(q_BTHK, k_BTGK, v_BTGK, pieces, self.window)
        (projected_BTD,) = project_normed(y_BTHK.flatten(2), None, self.o_proj)
        return projected_BTD


class Past:
    """Keys and values of one layer for the tokens so far: what generation need not compute anew."""

    def __init__(self) -> None:
        self._k_BTGK: Tensor | None = None
        self._v_BTGK: Tensor | None = None
        self.length = 0  # tokens so far, those that a window has left behind included

    def append(
        self, k_BTGK: Tensor, v_BTGK: Tensor, window: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Take in new tokens; returns keys and values of those that the newest one sees."""
        self.length += k_BTGK.shape[1]
        if self._k_BTGK is not None and self._v_BTGK is not None:
            k_BTGK = torch.cat((self._k_BTGK, k_BTGK), dim=1)
            v_BTGK = torch.cat((self._v_BTGK, v_BTGK), dim=1)
        if window is not None:
            k_BTGK, v_BTGK = k_BTGK[:, -window:], v_BTGK[:, -window:]
        self._k_BTGK, self._v_BTGK = k_BTGK, v_BTGK
        return k_BTGK, v_BTGK
