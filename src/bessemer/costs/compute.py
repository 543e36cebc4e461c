"""Closed formulas for parameters and floating-point operations of the decoder.

Without torch: the planner counts on a laptop what the trainer runs on a cluster. One
multiply-add is two operations; a backward pass is two forward passes.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessemer.config.model import ExpertsConfig, ModelConfig
from bessemer.config.timetable import Timetable


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The dimensions of a decoder that its costs depend on."""

    num_layers: int
    hidden_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    ffn_dim: int
    vocab_size: int
    qk_norm: bool
    tie_embeddings: bool
    dropout: bool
    windows: tuple[int | None, ...]  # by layer: the tokens that a token sees; None: all before it
    experts: ExpertsConfig | None

    @property
    def num_expert_layers(self) -> int:
        """Layers with a mixture of experts."""
        return 0 if self.experts is None else self.num_layers - self.experts.num_dense_layers


def shape_of(model: ModelConfig, vocab_size: int) -> Shape:
    """The dimensions of the model that a run file asks for, with a tokenizer of so many tokens."""
    return Shape(
        num_layers=model.num_layers,
        hidden_dim=model.hidden_dim,
        num_heads=model.num_heads,
        num_kv_heads=model.num_kv_heads,
        head_dim=model.head_dim,
        ffn_dim=model.ffn_dim,
        vocab_size=model.num_rows(vocab_size),
        qk_norm=model.qk_norm,
        tie_embeddings=model.tie_embeddings,
        dropout=model.dropout > 0,
        windows=tuple(map(model.window_of, range(model.num_layers))),
        experts=model.experts,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Numbers of parameters by part."""

    embedding: int
    attention: int
    feed_forward: int  # dense layers, shared experts and routers included
    experts: int  # those that routers choose from
    active_experts: int  # of these, what one token passes
    norms: int
    head: int  # 0 if tied to the embedding

    @property
    def total(self) -> int:
        """All trainable parameters."""
        common = self.embedding + self.attention + self.feed_forward + self.norms + self.head
        return common + self.experts

    @property
    def active(self) -> int:
        """Those that one token passes, as "A3B" in the names of models counts them."""
        return self.total - self.experts + self.active_experts

    @property
    def matmul(self) -> int:
        """Parameters that every token is multiplied with: all active ones but embedding look-up
        and norms, the output projection included even if it is tied."""
        layers = self.attention + self.feed_forward + self.active_experts
        return layers + (self.head or self.embedding)


def count_parameters(shape: Shape) -> Parameters:
    """Exact parameter counts."""
    width, heads_width = shape.hidden_dim, shape.num_heads * shape.head_dim
    kv_width = shape.num_kv_heads * shape.head_dim
    embedding = shape.vocab_size * width
    feed_forward = (shape.num_layers - shape.num_expert_layers) * 3 * width * shape.ffn_dim
    expert = num_experts = num_active = 0
    if shape.experts is not None:
        experts = shape.experts
        expert = 3 * width * experts.ffn_dim
        num_experts = shape.num_expert_layers * experts.num_experts
        num_active = shape.num_expert_layers * experts.experts_per_token
        feed_forward += shape.num_expert_layers * experts.num_shared * expert
        feed_forward += num_experts * width  # routers
    return Parameters(
        embedding=embedding,
        attention=shape.num_layers * (2 * width * heads_width + 2 * width * kv_width),
        feed_forward=feed_forward,
        experts=num_experts * expert,
        active_experts=num_active * expert,
        norms=(2 * shape.num_layers + 1) * width
        + (2 * shape.num_layers * shape.head_dim if shape.qk_norm else 0),
        head=0 if shape.tie_embeddings else embedding,
    )


def forward_flops(shape: Shape, num_sequences: int, seq_len: int) -> int:
    """Operations of the matrix products of one forward pass.

    2 * matmul parameters per token, and 4 * T * T * heads * head_dim per layer and sequence for
    scores and values: full attention, the convention of PaLM (arXiv 2204.02311, appendix B) and
    of torch's FlopCounterMode; a causal kernel may do half of it. Layers with a sliding window
    count the pairs in the blocks that are computed.
    """
    linear = 2 * count_parameters(shape).matmul * seq_len
    pairs = sum(_attended_pairs(seq_len, window) for window in shape.windows)
    attention = 4 * shape.num_heads * shape.head_dim * pairs
    return num_sequences * (linear + attention)


def layer_flops(shape: Shape, layer: int, seq_len: int) -> int:
    """Operations of the matrix products of one layer, forward, for one sequence: its part of
    `forward_flops`, all of which is layers and the output projection."""
    width, heads_width = shape.hidden_dim, shape.num_heads * shape.head_dim
    matrices = 2 * width * (heads_width + shape.num_kv_heads * shape.head_dim)
    experts = shape.experts
    if experts is None or layer < experts.num_dense_layers:
        matrices += 3 * width * shape.ffn_dim
    else:
        num_passed = experts.experts_per_token + experts.num_shared
        matrices += 3 * width * experts.ffn_dim * num_passed + experts.num_experts * width
    pairs = _attended_pairs(seq_len, shape.windows[layer])
    return 2 * matrices * seq_len + 4 * heads_width * pairs


def _attended_pairs(seq_len: int, window: int | None) -> int:
    """Pairs of tokens in the blocks of attention: all, or for a window W blocks of W queries, the
    first with its own W keys, the others with those before it too."""
    if window is None or window >= seq_len:
        return seq_len**2
    whole, rest = divmod(seq_len, window)
    return window**2 + (whole - 1) * 2 * window**2 + rest * (window + rest)


def training_flops(shape: Shape, num_sequences: int, seq_len: int) -> int:
    """Operations of forward and backward: three times the forward ones, nothing recomputed."""
    return 3 * forward_flops(shape, num_sequences, seq_len)


def run_flops(shape: Shape, timetable: Timetable) -> int:
    """Operations of all optimizer steps of a run."""
    return sum(
        training_flops(shape, segment.num_samples, segment.seq_len)
        for segment in timetable.segments
    )
