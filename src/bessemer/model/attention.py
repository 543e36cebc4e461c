"""Causal self-attention with grouped queries and rotary positions.

Shapes: B sequences, T tokens, H query heads, G key-value heads, K head width, D model width.
Documents packed into one sequence are kept apart by a block-diagonal mask.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bessemer.config.model import ModelConfig


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) without biases."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = config.num_heads, config.num_kv_heads
        self.head_dim = config.head_dim
        width, kv_width = config.hidden_dim, config.num_kv_heads * config.head_dim
        self.q_proj = nn.Linear(width, config.num_heads * config.head_dim, bias=False)
        self.k_proj = nn.Linear(width, kv_width, bias=False)
        self.v_proj = nn.Linear(width, kv_width, bias=False)
        self.o_proj = nn.Linear(config.num_heads * config.head_dim, width, bias=False)

    def forward(
        self,
        x_BTD: Tensor,
        rotary: tuple[Tensor, Tensor],
        mask_B1TT: Tensor | None,
        past: Past | None = None,
    ) -> Tensor:
        """Attend; `mask_B1TT` is added to the scores, or None for plain causal attention.

        With a filled `past`, x is one token that sees all of it.
        """
        batch, length, _ = x_BTD.shape
        q_BHTK = self.q_proj(x_BTD).view(batch, length, self.num_heads, -1).transpose(1, 2)
        k_BGTK = self.k_proj(x_BTD).view(batch, length, self.num_kv_heads, -1).transpose(1, 2)
        v_BGTK = self.v_proj(x_BTD).view(batch, length, self.num_kv_heads, -1).transpose(1, 2)
        q_BHTK, k_BGTK = rotate(q_BHTK, *rotary), rotate(k_BGTK, *rotary)
        sees_all = past is not None and past.length > 0
        if past is not None:
            k_BGTK, v_BGTK = past.append(k_BGTK, v_BGTK)
        y_BHTK = functional.scaled_dot_product_attention(
            q_BHTK,
            k_BGTK,
            v_BGTK,
            attn_mask=mask_B1TT,
            is_causal=mask_B1TT is None and not sees_all,
            enable_gqa=self.num_kv_heads != self.num_heads,
        )
        projected: Tensor = self.o_proj(y_BHTK.transpose(1, 2).reshape(batch, length, -1))
        return projected


class Past:
    """Keys and values of one layer for the tokens so far: what generation need not compute anew."""

    def __init__(self) -> None:
        self._k_BGTK: Tensor | None = None
        self._v_BGTK: Tensor | None = None

    @property
    def length(self) -> int:
        """Tokens so far."""
        return 0 if self._k_BGTK is None else self._k_BGTK.shape[2]

    def append(self, k_BGTK: Tensor, v_BGTK: Tensor) -> tuple[Tensor, Tensor]:
        """Take in new tokens; returns keys and values of all."""
        if self._k_BGTK is not None and self._v_BGTK is not None:
            k_BGTK = torch.cat((self._k_BGTK, k_BGTK), dim=2)
            v_BGTK = torch.cat((self._v_BGTK, v_BGTK), dim=2)
        self._k_BGTK, self._v_BGTK = k_BGTK, v_BGTK
        return k_BGTK, v_BGTK


def rotary_tables(positions_BT: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, 1, T, K] of rotary positions (Su et al. 2021, arXiv 2104.09864).

    The frequencies fill the width twice, half after half: the layout of Hugging Face's Llama.
    Computed in float32 whatever the precision of the model.
    """
    exponents = torch.arange(0, head_dim, 2, device=positions_BT.device, dtype=torch.float32)
    frequencies = theta ** (-exponents / head_dim)
    angles_BTK = (positions_BT.float()[..., None] * frequencies).repeat(1, 1, 2)
    return angles_BTK.cos()[:, None], angles_BTK.sin()[:, None]


def rotate(x_BHTK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (k, k + K/2) of a head by its position's angle."""
    first, second = x_BHTK.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x_BHTK * cos + turned * sin).to(x_BHTK.dtype)


def document_mask(documents_BT: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, 1, T, T]: 0 where a token (third dim) may look at a token (fourth dim), else -inf.

    A token looks at itself and what came before it in its own document; `documents_BT` holds
    anything that differs between neighbours, such as document ids. Made once for all layers:
    from a boolean mask every layer would make its own copy of this.
    """
    length = documents_BT.shape[1]
    same_BTT = documents_BT[:, :, None] == documents_BT[:, None, :]
    causal_TT = torch.ones(length, length, dtype=torch.bool, device=documents_BT.device).tril()
    blocked_BTT = ~(same_BTT & causal_TT)
    mask_BTT = torch.zeros(blocked_BTT.shape, dtype=dtype, device=documents_BT.device)
    return mask_BTT.masked_fill_(blocked_BTT, float("-inf"))[:, None]


def document_positions(documents_BT: Tensor) -> Tensor:
    """int64 [B, T]: the place of each token in its document, as far as it is in the sequence."""
    length = documents_BT.shape[1]
    places_T = torch.arange(length, device=documents_BT.device)
    begins_BT = torch.ones_like(documents_BT, dtype=torch.bool)
    begins_BT[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    first_BT = torch.where(begins_BT, places_T, 0).cummax(dim=1).values
    return places_T - first_BT
