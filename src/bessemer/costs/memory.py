"""Closed formulas for the memory of one training process, by part, in bytes.

For the eager decoder, weights in float32; activations are those of `costs.activations`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from bessemer.config.axes import Axes
from bessemer.config.pipeline import num_stages, stages_of_rank
from bessemer.costs.activations import (
    FLOAT_BYTES,
    Activations,
    activations,
    loss_floats,
)
from bessemer.costs.compute import Shape, count_parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingMemory:
    """Bytes by part, at their greatest."""

    weights: int
    gathered: int  # weights of others, and gradients before they are shared out or sent to replicas
    gradients: int
    optimizer: int  # moments of every parameter, and the average of the weights if there is one
    activations: int  # kept by the forward pass for the backward pass
    transient: int  # made by the loss, or by a layer's backward pass, which may compute it again
    checkpoint: int  # copies of weights and optimizer state that are written while training goes on

    @property
    def total(self) -> int:
        """All parts together: an upper bound, since they do not all peak at once."""
        return sum(getattr(self, part.name) for part in fields(self))


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


def _kept_by_pipeline(one: Activations, pp: int, schedule: str, num_microbatches: int) -> int:
    """Floats of the rank that keeps most, if all layers keep `one` of a microbatch.

    A stage that is as far from the last as d others has passed on d + 1 microbatches before the
    first one comes back; of two stages per rank, all microbatches of a round more (Narayanan et al.
    2021, arXiv 2104.04473, section 2.2). Each is kept with what the stage gave. What a stage gets,
    hidden states and gradients, has a place for each microbatch of the step
    (torch.distributed.pipelining); so inputs are kept there. Counted as if nothing were put off:
    "zero-bubble" puts off gradients of weights, and keeps about a quarter more for them.
    """
    stages, most = num_stages(pp, schedule), 0
    each = -(-one.layers // stages) + one.once
    for rank in range(pp):
        ahead = pp - rank if stages == pp else 2 * (pp - 1 - rank) + pp + 1
        ahead = min(ahead, num_microbatches * stages // pp)
        here = stages_of_rank(rank, pp, schedule)
        places = num_microbatches * sum((index > 0) + (index < stages - 1) for index in here)
        places += ahead * (rank == 0)
        end = one.end if stages - 1 in here else 0
        most = max(most, ahead * each + places * one.stream + end)
    return most


def training_memory(
    shape: Shape,
    num_sequences: int,
    seq_len: int,
    *,
    num_lanes: int = 1,
    optimizer: str = "adamw",
    has_average: bool = False,
    axes: Axes = Axes(),  # noqa: B008  (it is frozen)
    reshard: bool = True,
    has_copy: bool = True,
    cp_exchange: str = "all-gather",
    recompute: str = "none",
    pp_schedule: str = "1f1b",
    num_microbatches: int = 1,
    document_mask: bool = True,
    product_bytes: int = FLOAT_BYTES,
) -> TrainingMemory:
    """Memory for microbatches of `num_sequences` sequences, of which each lane computes one, and
    all lanes of all ranks `num_microbatches` per rank. Lanes share one gradient. Along `axes` ranks
    share weights, gradients and the optimizer's state out, along "cp" and "tp" activations, too;
    with `reshard`, the weights of two layers are gathered at a time. Along "pp" they have different
    layers: each part is of the rank that has most of it. With `has_copy`, checkpoints are copied
    before they are written. All else is as in `activations`."""
    parameters = count_parameters(shape).total
    here = _floats_of_stages(shape, axes.pp)
    num_shards = axes.dp_shard * axes.cp  # FSDP2 shares weights out along both
    num_parts = num_shards * axes.tp
    weights = FLOAT_BYTES * -(-here // num_parts)
    gathered = 0
    if num_shards > 1:  # of weights, and as much of gradients
        gathered = 2 * FLOAT_BYTES * -(-_gathered_floats(shape, axes, reshard) // axes.tp)
    elif axes.dp_replicate > 1:  # DDP's buckets
        gathered = weights
    moments = optimizer_floats(shape, optimizer, has_average) * here // parameters
    moments = FLOAT_BYTES * -(-moments // num_parts)
    layout = document_mask, axes, cp_exchange, recompute, product_bytes
    one = activations(shape, num_sequences, seq_len, *layout)
    kept = one.kept
    if axes.pp > 1:
        kept = _kept_by_pipeline(one, axes.pp, pp_schedule, num_microbatches)
    tokens = num_sequences * seq_len // axes.cp
    # When layers come back, the last norm is done with.
    of_layer = one.transient - (one.end if axes.pp == 1 else 0)
    transient = max(loss_floats(shape, tokens, axes.tp), of_layer)
    return TrainingMemory(
        weights=weights,
        gathered=gathered,
        gradients=weights,
        optimizer=moments,
        activations=num_lanes * FLOAT_BYTES * kept,
        transient=num_lanes * FLOAT_BYTES * transient,
        checkpoint=(weights + moments) * has_copy,
    )
