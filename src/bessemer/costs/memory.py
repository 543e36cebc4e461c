"""Closed formulas for the memory of one training process, by part, in bytes.

For the eager decoder in float32 on a CPU, nothing recomputed by request.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from bessemer.config.axes import Axes
from bessemer.config.model import ExpertsConfig
from bessemer.costs.compute import Shape, count_parameters

_FLOAT_BYTES = 4
# Tokens whose logits exist at a time, on a CPU (model/cross_entropy.py, which needs torch).
LOGIT_CHUNK_TOKENS = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingMemory:
    """Bytes by part, at their greatest."""

    weights: int
    gathered: int  # weights of others, and gradients before they are shared out or sent to replicas
    gradients: int
    optimizer: int  # moments of every parameter, and the average of the weights if there is one
    activations: int  # kept by the forward pass for the backward pass, one microbatch
    logits: int  # of one chunk of tokens, and the two gradients that the loss makes beside them
    checkpoint: int  # copies of weights and optimizer state that are written while training goes on

    @property
    def total(self) -> int:
        """All parts together: an upper bound, since they do not all peak at once."""
        return sum(getattr(self, part.name) for part in fields(self))


def saved_activations(
    shape: Shape,
    num_sequences: int,
    seq_len: int,
    document_mask: bool = True,
    cp: int = 1,
    cp_exchange: str = "all-gather",
) -> int:
    """Floats that the forward pass keeps for the backward pass, up to the logits.

    Once per token: the last norm, the rotary tables of packed documents, the token id (8 bytes).
    Once: the rotary tables if all sequences share them, a window's mask, and for routers a byte
    for each token that may be padding. With dropout, a byte for each element of the residual
    stream and of all that is added to it.

    Of `cp` ranks that share sequences out, each keeps this for its tokens. Of all-gather it also
    keeps the keys and values of the others, and masks, which may be smaller for packed documents.
    """
    gathers = cp > 1 and cp_exchange == "all-gather"
    tokens = num_sequences * seq_len // cp
    layers = sum(
        _saved_by_attention(shape, document_mask or (window or seq_len) < seq_len or cp > 1)
        for window in shape.windows
    )
    dense = shape.hidden_dim + 1 + 2 * shape.ffn_dim  # as in model/lean.py
    layers += (shape.num_layers - shape.num_expert_layers) * dense
    if shape.experts is not None:
        experts = _saved_by_experts(shape.experts, shape.hidden_dim)
        layers += shape.num_expert_layers * (_saved_by_norm(shape.hidden_dim) + experts)
    tables = 2 * shape.head_dim
    once = _saved_by_norm(shape.hidden_dim) + 2 + (tables if document_mask else 0)
    shared = 0 if document_mask else seq_len // cp * tables
    windows = {min(window or seq_len, seq_len) for window in shape.windows}
    if gathers:
        layers += shape.num_layers * (cp - 1) * 2 * shape.num_kv_heads * shape.head_dim
        masks = sum(_mask_of_part(seq_len, window, cp) for window in windows)
        shared += masks * (num_sequences if document_mask else 1)
    else:
        shared += sum(2 * window**2 for window in windows if window < seq_len)
    if document_mask and shape.experts is not None:
        shared += tokens // _FLOAT_BYTES
    if shape.dropout:
        masks = 2 * shape.num_layers + 1
        shared += masks * tokens * shape.hidden_dim // _FLOAT_BYTES
    return tokens * (layers + once) + shared


def _mask_of_part(seq_len: int, window: int, cp: int) -> int:
    """What the two chunks of one of `cp` ranks, of the last one, may see of a sequence."""
    chunk = seq_len // (2 * cp)
    begins = (cp - 1) * chunk, cp * chunk
    return sum(chunk * (chunk + min(begin, window - 1)) for begin in begins)


def _saved_by_norm(width: int) -> int:
    """Per token: the input, the normalised input, the output and one scale."""
    return 3 * width + 1


def _saved_by_attention(shape: Shape, is_joined: bool) -> int:
    """Per token: the input of the norm and one scale; queries, keys, values, the output and one
    log-sum per head; with QK-norm, queries and keys before it and normalised, and their scales; the
    output once more if it is joined from several parts."""
    heads_width = shape.num_heads * shape.head_dim
    kv_width = shape.num_kv_heads * shape.head_dim
    saved = shape.hidden_dim + 1
    saved += 2 * heads_width + 2 * kv_width + shape.num_heads
    if shape.qk_norm:
        saved += 2 * (heads_width + kv_width) + shape.num_heads + shape.num_kv_heads
    return saved + (heads_width if is_joined else 0)


def _saved_by_experts(experts: ExpertsConfig, hidden_dim: int) -> int:
    """Per token: the router's logits, scores and log-sum; per chosen expert its input and output,
    four times its width, its id and two places (8 bytes each) and its weight, before and after
    normalisation by one sum; twice the width of the shared experts."""
    chosen = 2 * hidden_dim + 4 * experts.ffn_dim + 3 * 2 + (2 if experts.normalize else 1)
    router = 2 * experts.num_experts + 1 + (1 if experts.normalize else 0)
    shared = 2 * experts.num_shared * experts.ffn_dim
    return experts.experts_per_token * chosen + router + shared


def optimizer_floats(shape: Shape, kind: str, has_average: bool) -> int:
    """Two moments for each parameter, one for those that Muon takes ("muon": matrices other than
    embeddings, the output projection and routers); the average is one number more for each."""
    parameters = count_parameters(shape)
    floats = (3 if has_average else 2) * parameters.total
    if kind != "muon":
        return floats
    routers = 0
    if shape.experts is not None:
        routers = shape.num_expert_layers * shape.experts.num_experts * shape.hidden_dim
    return floats - (parameters.attention + parameters.feed_forward + parameters.experts - routers)


def _floats_of_stages(shape: Shape, pp: int) -> int:
    """Parameters of the rank that has most of them: as many layers as others, and the larger end
    (a tied weight is at both)."""
    parameters = count_parameters(shape)
    if pp == 1:
        return parameters.total
    layers = parameters.total - parameters.embedding - parameters.head - shape.hidden_dim
    return -(-layers // pp) + parameters.embedding + shape.hidden_dim


def _gathered_floats(shape: Shape, axes: Axes, reshard: bool) -> int:
    """What belongs to no layer, and two layers of mean size, or all layers; of experts that are
    spread over ranks, what other ranks have of those that are here."""
    parameters = count_parameters(shape)
    outside = parameters.embedding + parameters.head + shape.hidden_dim
    layers = parameters.total - outside
    if axes.pp > 1:  # a stage has one of the ends, and all of its weights at hand
        outside, layers, reshard = parameters.embedding, -(-layers // axes.pp), False
    if axes.ep > 1:
        is_shared = axes.dp_shard * axes.cp > axes.ep
        experts = parameters.experts // axes.pp
        layers -= experts - is_shared * experts // axes.ep
    return outside + (2 * -(-layers // shape.num_layers) if reshard else layers)


def training_memory(
    shape: Shape,
    num_sequences: int,
    seq_len: int,
    num_lanes: int = 1,
    optimizer: str = "adamw",
    has_average: bool = False,
    axes: Axes = Axes(),  # noqa: B008  (it is frozen)
    reshard: bool = True,
    has_copy: bool = True,
    cp_exchange: str = "all-gather",
) -> TrainingMemory:
    """Memory for microbatches of `num_sequences` sequences of packed documents, of which each lane
    computes one. Lanes share one gradient. Along `axes` ranks share weights, gradients and the
    optimizer's state out, and along "cp" the tokens; with `reshard`, the weights of two layers are
    gathered at a time. Along "pp" they have different layers: of the heaviest rank, which keeps as
    many microbatches of its layers as there are ranks, so all in all what one rank with all layers
    keeps of one (of 1F1B; later schedules keep up to half more). With `has_copy`, checkpoints are
    copied before they are written. What tensor parallelism spares of activations is not counted
    yet."""
    parameters = count_parameters(shape).total
    here = _floats_of_stages(shape, axes.pp)
    num_shards = axes.dp_shard * axes.cp  # FSDP2 shares weights out along both
    num_parts = num_shards * axes.tp
    weights = _FLOAT_BYTES * -(-here // num_parts)
    gathered = 0
    if num_shards > 1:  # of weights, and as much of gradients
        gathered = 2 * _FLOAT_BYTES * -(-_gathered_floats(shape, axes, reshard) // axes.tp)
    elif axes.dp_replicate > 1:  # DDP's buckets
        gathered = weights
    moments = optimizer_floats(shape, optimizer, has_average) * here // parameters
    moments = _FLOAT_BYTES * -(-moments // num_parts)
    tokens = num_sequences * seq_len // axes.cp
    saved = saved_activations(shape, num_sequences, seq_len, cp=axes.cp, cp_exchange=cp_exchange)
    logits = min(LOGIT_CHUNK_TOKENS, tokens) * shape.vocab_size
    gradients = (tokens + shape.vocab_size) * shape.hidden_dim
    return TrainingMemory(
        weights=weights,
        gathered=gathered,
        gradients=weights,
        optimizer=moments,
        activations=num_lanes * _FLOAT_BYTES * saved,
        logits=num_lanes * _FLOAT_BYTES * (logits + gradients),
        checkpoint=(weights + moments) * has_copy,
    )
