"""Closed formulas for the memory of one training process, by part, in bytes.

For the eager decoder in float32 with AdamW, nothing recomputed and nothing sharded.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessemer.costs.compute import Shape, count_parameters

_FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingMemory:
    """Bytes by part, at their greatest."""

    weights: int
    gradients: int
    optimizer: int  # two moments per parameter
    activations: int  # kept by the forward pass for the backward pass, one microbatch
    logits: int  # logits, their softmax and their gradient, one microbatch

    @property
    def total(self) -> int:
        """All parts together: an upper bound, since they do not all peak at once."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits


def saved_activations(
    shape: Shape, num_sequences: int, seq_len: int, document_mask: bool = True
) -> int:
    """Floats that the forward pass keeps for the backward pass, up to the logits.

    Per token and layer: for each of two norms its input, the normalised input, the output and
    one scale; queries, keys, values, the attention's output and one log-sum per head; four times
    the feed-forward width; with QK-norm, queries and keys before it and normalised, and their
    scales; with packed documents, the attention's output once more, joined from its pieces. Once
    per token: the last norm, the rotary tables, the token id (8 bytes).
    """
    heads_width = shape.num_heads * shape.head_dim
    kv_width = shape.num_kv_heads * shape.head_dim
    norm = 3 * shape.hidden_dim + 1
    layer = 2 * norm + 2 * heads_width + 2 * kv_width + shape.num_heads + 4 * shape.ffn_dim
    if shape.qk_norm:
        layer += 2 * (heads_width + kv_width) + shape.num_heads + shape.num_kv_heads
    if document_mask:
        layer += heads_width
    once = norm + 2 + (2 * shape.head_dim if document_mask else 0)
    shared = 0 if document_mask else 2 * seq_len * shape.head_dim  # one rotary table for all
    return num_sequences * seq_len * (shape.num_layers * layer + once) + shared


def training_memory(shape: Shape, num_sequences: int, seq_len: int) -> TrainingMemory:
    """Memory for a microbatch of `num_sequences` sequences of packed documents."""
    weights = count_parameters(shape).total * _FLOAT_BYTES
    tokens = num_sequences * seq_len
    return TrainingMemory(
        weights=weights,
        gradients=weights,
        optimizer=2 * weights,
        activations=_FLOAT_BYTES * saved_activations(shape, num_sequences, seq_len),
        logits=3 * _FLOAT_BYTES * tokens * shape.vocab_size,
    )
