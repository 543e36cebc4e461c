"""The decoder: a Llama-shaped Transformer that exports to what the world loads.

Shapes: B sequences, T tokens, D model width, F feed-forward width, V vocabulary. Pre-norm blocks
of attention and SwiGLU with RMSNorm, rotary positions, no biases. Parameter names are those of
Hugging Face's Llama, so export renames nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from bessemer.config.model import ModelConfig
from bessemer.model.attention import (
    Attention,
    Past,
    document_mask,
    document_positions,
    rotary_tables,
)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_dim, config.ffn_dim, bias=False)
        self.up_proj = nn.Linear(config.hidden_dim, config.ffn_dim, bias=False)
        self.down_proj = nn.Linear(config.ffn_dim, config.hidden_dim, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))
        return out


class Block(nn.Module):
    """One layer: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_dim, eps=config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_dim, eps=config.norm_eps)
        self.mlp = FeedForward(config)

    def forward(
        self,
        x_BTD: Tensor,
        rotary: tuple[Tensor, Tensor],
        mask_B1TT: Tensor | None,
        past: Past | None = None,
    ) -> Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotary, mask_B1TT, past)
        out: Tensor = x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))
        return out


class Decoder(nn.Module):
    """Token ids in, logits out."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(vocab_size, config.hidden_dim)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.hidden_dim, eps=config.norm_eps)
        self.lm_head = nn.Linear(config.hidden_dim, vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    def forward(
        self,
        input_ids_BT: Tensor,
        documents_BT: Tensor | None = None,
        past: Sequence[Past] | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of the token after each token.

        `documents_BT` holds the document id of each token; tokens of different documents do not
        see each other and positions start anew. None: each sequence is one document. `past`, one
        per layer, takes in the tokens; a filled one goes with one token per sequence.
        """
        if documents_BT is None:
            mask_B1TT = None
            begin = past[0].length if past else 0
            places_T = torch.arange(
                begin, begin + input_ids_BT.shape[1], device=input_ids_BT.device
            )
            positions_BT = places_T[None]
        else:
            mask_B1TT = document_mask(documents_BT, self.embed_tokens.weight.dtype)
            positions_BT = document_positions(documents_BT)
        rotary = rotary_tables(positions_BT, self.config.head_dim, self.config.rope_theta)
        x_BTD = self.embed_tokens(input_ids_BT)
        for index, layer in enumerate(self.layers):
            x_BTD = layer(x_BTD, rotary, mask_B1TT, past[index] if past else None)
        logits_BTV: Tensor = self.lm_head(self.norm(x_BTD))
        return logits_BTV

    def num_parameters(self) -> int:
        """Trainable parameters; a tied embedding counts once."""
        return sum(parameter.numel() for parameter in self.parameters())
