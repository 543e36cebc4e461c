"""The decoder: a Transformer of a shape that the world loads: Llama's, Qwen3's, with experts.

Shapes: B sequences, T tokens, D model width, V vocabulary. Pre-norm blocks of attention and SwiGLU,
one or a mixture, with RMSNorm, rotary positions, no biases. Names of parameters are those of
Hugging Face.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from bessemer.config.model import ModelConfig
from bessemer.core.errors import DataError
from bessemer.model.attention import Attention, Past
from bessemer.model.dropout import drop
from bessemer.model.embedding import Embedding
from bessemer.model.feed_forward import FeedForward
from bessemer.model.moe import LayerRouting, MixtureOfExperts, Routing, join_routing
from bessemer.model.norm import RMSNorm
from bessemer.model.parts import as_plain
from bessemer.model.pieces import Exchange, Pieces, find_pieces, whole_pieces
from bessemer.model.rotary import rotary_tables


class Block(nn.Module):
    """One layer: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.dropout = layer, config.dropout
        self.input_layernorm = RMSNorm(config.hidden_dim, eps=config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_dim, eps=config.norm_eps)
        self.mlp: FeedForward | MixtureOfExperts
        if config.has_experts(layer):
            assert config.experts is not None
            self.mlp = MixtureOfExperts(config.experts, config.hidden_dim)
        else:
            self.mlp = FeedForward(config.hidden_dim, config.ffn_dim)

    def forward(
        self,
        x_BTD: Tensor,
        rotary: tuple[Tensor, Tensor],
        pieces: Pieces,
        past: Past | None = None,
        dropout_keys_B: Tensor | None = None,
    ) -> tuple[Tensor, LayerRouting | None]:
        """The next hidden states, and how tokens went to experts if the layer has any."""
        y_BTD = self.self_attn(x_BTD, self.input_layernorm, rotary, pieces, past)
        rate, keys_B, places_T = self.dropout, dropout_keys_B, pieces.places_T
        x_BTD = x_BTD + drop(y_BTD, rate, keys_B, 2 * self.layer + 1, places_T)
        norm, routing = self.post_attention_layernorm, None
        if isinstance(self.mlp, FeedForward):
            y_BTD = self.mlp(x_BTD, norm)
        else:
            y_BTD, routing = self.mlp(norm(x_BTD), pieces.real_BT)
        return x_BTD + drop(y_BTD, rate, keys_B, 2 * self.layer + 2, places_T), routing


class Elsewhere(nn.Module):
    """A layer that another rank has: what it gets passes through."""

    def forward(self, x_BTD: Tensor, *_: object) -> tuple[Tensor, None]:
        """`x_BTD` as it is."""
        return x_BTD, None


class Decoder(nn.Module):
    """Token ids in, hidden states or logits out."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        """For a tokenizer of `vocab_size` tokens; DataError if there are not as many rows."""
        super().__init__()
        self.config = config
        num_rows = config.num_rows(vocab_size)
        if num_rows < vocab_size:
            raise DataError(
                f"model.vocab_rows: {num_rows} rows are too few for the tokenizer's {vocab_size} "
                "tokens"
            )
        self.embed_tokens = Embedding(num_rows, config.hidden_dim)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_dim, eps=config.norm_eps)
        self.lm_head = nn.Linear(config.hidden_dim, num_rows, bias=False)
        self.has_begin = self.has_end = True  # whether the first and the last layer are here
        self.exchange: Exchange | None = None  # if others compute parts of the same sequences
        self.tie()

    def tie(self) -> None:
        """Let both ends have one weight, if the model is to be so: when it is built, and after
        `to_empty`, which parts them."""
        if self.config.tie_embeddings and self.has_end:
            self.lm_head.weight = self.embed_tokens.weight

    def keep(self, layers: Collection[int]) -> None:
        """Let go of all but these layers, and of the ends that do not border on them: the embedding
        before the first layer, norm and output projection after the last. Names stay. A tied weight
        is that of the embedding: it stays wherever one end does."""
        self.has_begin, self.has_end = 0 in layers, len(self.layers) - 1 in layers
        self.layers = nn.ModuleList(
            layer if index in layers else Elsewhere() for index, layer in enumerate(self.layers)
        )
        gone = [] if self.has_end else ["norm", "lm_head"]
        if not self.has_begin and not (self.has_end and self.config.tie_embeddings):
            gone.append("embed_tokens")
        for name in gone:
            self._modules.pop(name, None)

    @property
    def copied(self) -> frozenset[str]:
        """Names of the parameters that are those of another part, too, and count there."""
        is_copy = self.config.tie_embeddings and self.has_end and not self.has_begin
        return frozenset({"embed_tokens.weight"} if is_copy else ())

    def part(self, layers: Collection[int]) -> Decoder:
        """These layers alone, as `keep` leaves them, with the modules of this decoder."""
        part = copy.copy(self)
        part._modules = dict(self._modules)
        part.keep(layers)
        return part

    @property
    def output_weight(self) -> Tensor:
        """[V, D]: logits are hidden states times its transpose, soft-capped if so configured."""
        return self.lm_head.weight

    def forward(
        self,
        input_ids_BT: Tensor,
        documents_BT: Tensor | None = None,
        past: Sequence[Past] | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of the token after each token; arguments as in `hidden_states`."""
        x_BTD, _ = self.hidden_states(input_ids_BT, documents_BT, past)
        logits_BTV: Tensor = self.lm_head(x_BTD)
        cap = self.config.logit_softcap
        return logits_BTV if cap is None else cap * torch.tanh(logits_BTV / cap)

    def hidden_states(
        self,
        inputs: Tensor,
        documents_BT: Tensor | None = None,
        past: Sequence[Past] | None = None,
        dropout_keys_B: Tensor | None = None,
        *,
        document_mask: bool = True,
    ) -> tuple[Tensor, Routing | None]:
        """What the output projection takes, [B, T, D], and how tokens went to experts, if any.
        `inputs` are token ids [B, T].

        A part without the first layer takes hidden states [B, T, D] instead; one without the last
        gives those after its last layer, as they are.

        `documents_BT` holds a number for each token that differs between neighbours of different
        documents, which then do not see each other, and positions start anew; -1 is padding, which
        routers do not count. Without it, or without `document_mask`, each sequence is one document.
        `past`, one per layer, takes in the tokens; a filled one goes with one token per sequence.
        `dropout_keys_B`, as `dropout_keys` makes them, switch dropout on. With an `exchange`,
        `documents_BT` alone is of whole sequences, and all else of the tokens computed here.
        """
        if documents_BT is None:
            assert self.exchange is None, "inputs are not whole sequences"
            pieces = whole_pieces(inputs)
        elif not document_mask:
            pieces = whole_pieces(documents_BT, self.exchange)
        else:
            pieces = find_pieces(documents_BT, self.exchange)
        positions_BT = pieces.here(pieces.positions_BT)
        if pieces.is_whole:  # one row of tables serves all
            positions_BT = positions_BT[:1] + (past[0].length if past else 0)
        rotary = rotary_tables(self.config, positions_BT)
        x_BTD = inputs
        if self.has_begin:
            x_BTD = self.embed_tokens(inputs)
            # The residual stream is float32, also of weights that are gathered in less.
            x_BTD = x_BTD.to(torch.promote_types(x_BTD.dtype, torch.float32))
            x_BTD = drop(x_BTD, self.config.dropout, dropout_keys_B, 0, pieces.places_T)
        routings: list[LayerRouting] = []
        for index, layer in enumerate(self.layers):
            of_layer = past[index] if past else None
            x_BTD, routing = layer(x_BTD, rotary, pieces, of_layer, dropout_keys_B)
            if routing is not None:
                routings.append(routing)
        if self.has_end:
            x_BTD = as_plain(self.norm(x_BTD))
            if x_BTD._is_view():  # FSDP2 warns of one: changed in place, it would lose its hooks
                x_BTD = x_BTD.clone()
        return x_BTD, join_routing(routings)

    def num_parameters(self) -> int:
        """Trainable parameters; a tied embedding counts once."""
        return sum(parameter.numel() for parameter in self.parameters())
