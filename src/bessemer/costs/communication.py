"""Closed formulas for what one rank sends in an optimizer step, by axis and kind, in bytes.

A collective of n ranks counts as a ring sends it: no algorithm sends less (Patarasuk and Yuan
2009, doi 10.1016/j.jpdc.2008.09.002; the "bus bandwidth" of NVIDIA's nccl-tests). Messages of
single numbers, such as how many tokens there are or a norm, are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.pipeline import num_stages, stages_of_rank
from bessemer.config.train import TrainConfig
from bessemer.costs.compute import Shape
from bessemer.costs.stages import layers_of_stages

_FLOAT_BYTES = 4

Sent = dict[tuple[str, str], float]  # bytes by axis, named as the dims of a mesh, and kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Microbatches:
    """What one rank computes in one step."""

    number: int
    num_sequences: int  # of each
    seq_len: int
    product_bytes: int = 4  # of one number in the precision of matrix products

    @property
    def num_tokens(self) -> int:
        """Of all together."""
        return self.number * self.num_sequences * self.seq_len


def sent_bytes(kind: str, whole_bytes: float, num_ranks: int) -> float:
    """What each of `num_ranks` sends for a collective on `whole_bytes`: what all have gathered in
    the end, what each has before it is reduced, or what each hands out; of a broadcast the mean,
    as the last in the row sends nothing."""
    others = (num_ranks - 1) / num_ranks
    return whole_bytes * {"all-reduce": 2 * others, "send": 1}.get(kind, others)


def step_traffic(
    shape: Shape,
    axes: Axes,
    work: Microbatches,
    train: TrainConfig,
    cluster: ClusterConfig,
    pipeline_rank: int = 0,
) -> Sent:
    """Bytes that a rank sends in a step, of every axis and kind that has any; of a pipeline, the
    rank with this place along "pp". With dualpipe-v or zero-bubble what is computed twice is left
    out."""
    stages = layers_of_stages(shape, num_stages(axes.pp, cluster.pp_schedule), train.seq_len)
    here = stages_of_rank(pipeline_rank, axes.pp, cluster.pp_schedule)
    layers = _layers(shape)
    others = [stages_of_rank(rank, axes.pp, cluster.pp_schedule) for rank in range(axes.pp)]
    elsewhere = {stage for each in others if each != here for stage in each}
    held = _Held(
        layers=[layers[index] for stage in here for index in stages[stage]],
        has_begin=0 in here,
        has_end=len(stages) - 1 in here,
        num_neighbours=sum(stage + step in elsewhere for stage in here for step in (-1, 1)),
    )
    layout = _Layout(shape=shape, axes=axes, work=work, train=train, cluster=cluster, held=held)
    sent: Sent = defaultdict(float)
    terms = (_weights, _tensor_parallel, _context_parallel, _expert_parallel, _pipeline)
    for term in (*terms, _whole_matrices):
        for key, size in term(layout).items():
            sent[key] += size
    return {key: size for key, size in sent.items() if size}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Parameter:
    rows: int
    columns: int = 1
    split: int | None = None  # the dim that ranks along "tp" share out
    is_hidden: bool = False  # whether it is Muon's
    num_experts: int = 0  # of a stack of them

    @property
    def is_whole(self) -> bool:
        """Whether all ranks along "tp" have all of it."""
        return self.split is None and not self.num_experts

    def gathered_bytes(self, axes: Axes) -> int:
        """Of the part of one rank along "tp". FSDP2 cuts rows, padded to a multiple of its ranks;
        of experts that are spread over ranks it cuts the matrices."""
        if self.num_experts and _spreaders(axes) > 1:
            return _FLOAT_BYTES * self.rows * self.columns // _spreaders(axes)
        rows = -(-self.rows // axes.tp) if self.split == 0 else self.rows
        columns = self.columns // axes.tp if self.split == 1 else self.columns
        return _FLOAT_BYTES * -(-rows // _sharers(axes)) * _sharers(axes) * columns


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """What one rank along "pp" has."""

    layers: list[list[_Parameter]]
    has_begin: bool
    has_end: bool
    num_neighbours: int  # stages of other ranks that are next to one of these


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """All that decides on the traffic of a rank."""

    shape: Shape
    axes: Axes
    work: Microbatches
    train: TrainConfig
    cluster: ClusterConfig
    held: _Held

    @property
    def recomputes(self) -> bool:
        """Whether the backward pass computes layers again."""
        return self.cluster.recompute != "none"

    @property
    def stream_bytes(self) -> int:
        """Of the residual stream of all microbatches, where ranks share out sequences one part."""
        return _FLOAT_BYTES * self.work.num_tokens * self.shape.hidden_dim // self.axes.cp

    @property
    def gathered_part(self) -> float:
        """Of float32, what gathered weights take, and what the embedding gives."""
        return 0.5 if self.cluster.gather == "bf16" and self.axes.is_sharded else 1

    @property
    def num_exchanges(self) -> int:
        """How often in a step FSDP2 gathers and reduces: a pipeline's stages keep what they have
        gathered."""
        return 1 if self.axes.pp > 1 else self.work.number

    def outside(self) -> list[_Parameter]:
        """What is here and in no layer."""
        table = _Parameter(rows=self.shape.vocab_size, columns=self.shape.hidden_dim, split=0)
        held = self.held
        is_one = self.shape.tie_embeddings and held.has_begin and held.has_end
        tables = [table] * (held.has_begin + held.has_end - is_one)
        return tables + [_Parameter(rows=self.shape.hidden_dim)] * held.has_end


def _sharers(axes: Axes) -> int:
    """Ranks that share weights out among themselves."""
    return axes.dp_shard * axes.cp


def _spreaders(axes: Axes) -> int:
    """Ranks that have different experts."""
    return axes.ep * axes.tp


def _layers(shape: Shape) -> list[list[_Parameter]]:
    """The parameters of each layer."""
    dense = _attention(shape) + _feed_forward(shape, shape.ffn_dim)
    if shape.experts is None:
        return [dense] * shape.num_layers
    experts, width = shape.experts, shape.hidden_dim
    stack = _Parameter(
        rows=experts.num_experts,
        columns=width * experts.ffn_dim,
        is_hidden=True,
        num_experts=experts.num_experts,
    )
    router = _Parameter(rows=experts.num_experts, columns=width)
    mixture = [*_attention(shape), router, stack, stack, stack]
    if experts.num_shared:
        mixture += _feed_forward(shape, experts.num_shared * experts.ffn_dim)
    return [dense] * experts.num_dense_layers + [mixture] * shape.num_expert_layers


def _attention(shape: Shape) -> list[_Parameter]:
    """With both norms of a layer."""
    width, head = shape.hidden_dim, shape.head_dim
    outputs = [shape.num_heads * head, *[shape.num_kv_heads * head] * 2]
    norms = [width, width] + [head, head] * shape.qk_norm
    return [
        *(_Parameter(rows=rows, columns=width, split=0, is_hidden=True) for rows in outputs),
        _Parameter(rows=width, columns=shape.num_heads * head, split=1, is_hidden=True),
        *(_Parameter(rows=rows) for rows in norms),
    ]


def _feed_forward(shape: Shape, ffn_dim: int) -> list[_Parameter]:
    into = _Parameter(rows=ffn_dim, columns=shape.hidden_dim, split=0, is_hidden=True)
    back = _Parameter(rows=shape.hidden_dim, columns=ffn_dim, split=1, is_hidden=True)
    return [into, into, back]


def _bytes(parameters: Iterable[_Parameter], axes: Axes) -> int:
    return sum(parameter.gathered_bytes(axes) for parameter in parameters)


def _weights(layout: _Layout) -> Sent:
    """Shares of weights are gathered for the forward pass and, let go of in between, for the
    backward pass; gradients are reduced to shares in every microbatch (Rajbhandari et al. 2020,
    arXiv 1910.02054, section 7.2.2). Replicas add up theirs once per step."""
    axes, times = layout.axes, layout.num_exchanges
    passes = 2 if layout.cluster.reshard and axes.pp == 1 else 1
    in_layers = [each for layer in layout.held.layers for each in layer]
    apart = [each for each in in_layers if each.num_experts and axes.ep > 1]
    layers = _bytes((each for each in in_layers if each not in apart), axes)
    experts, outside = _bytes(apart, axes), _bytes(layout.outside(), axes)
    sharers, copies = _sharers(axes), _sharers(axes) // axes.ep
    gathered, reduced = "all-gather", "reduce-scatter"
    own = (layers + outside) / sharers + experts / copies
    part = layout.gathered_part
    return {
        ("weights", gathered): part
        * sent_bytes(gathered, times * (outside + passes * layers), sharers),
        ("weights", reduced): sent_bytes(reduced, times * (outside + layers), sharers),
        ("expert_weights", gathered): part * sent_bytes(gathered, times * passes * experts, copies),
        ("expert_weights", reduced): sent_bytes(reduced, times * experts, copies),
        ("dp_replicate", "all-reduce"): sent_bytes("all-reduce", own, axes.dp_replicate),
    }


def _tensor_parallel(layout: _Layout) -> Sent:
    """The residual stream, shared out along the sequence, is gathered before attention and before
    the feed-forward layer or shared experts, and what they add to it is reduced to shares; backward
    the other way round (Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.2). Once each, too,
    after the embedding and before the loss, which sums three numbers of each token. Layers take and
    add numbers in the precision of products, and the embedding gives that of gathered weights. A
    layer that is computed again needs no second reduction at its end. Gradients of norms and
    routers are added up once per step, or whenever FSDP2 reduces them."""
    axes, work, held = layout.axes, layout.work, layout.held
    if axes.tp == 1:
        return {}
    again, part = layout.recomputes, layout.gathered_part
    parameters = [each for layer in held.layers for each in layer]
    blocks = sum(each.split == 1 for each in parameters)  # one ends each of them
    ends = held.has_begin * part + held.has_end
    narrow = work.product_bytes / _FLOAT_BYTES
    gathered = blocks * (2 + again) * narrow + ends
    reduced = (2 * blocks + len(held.layers) * again) * narrow + ends
    numbers = held.has_end * (3 + (layout.train.label_smoothing > 0))
    losses = numbers * _FLOAT_BYTES * work.num_tokens // axes.cp
    norms = [each for each in (*layout.outside(), *parameters) if each.is_whole]
    added = losses + part * _bytes(norms, axes) * (layout.num_exchanges if axes.is_sharded else 1)
    stream = layout.stream_bytes
    return {
        ("tp", "all-gather"): sent_bytes("all-gather", stream * gathered, axes.tp),
        ("tp", "reduce-scatter"): sent_bytes("reduce-scatter", stream * reduced, axes.tp),
        ("tp", "all-reduce"): sent_bytes("all-reduce", added, axes.tp),
    }


def _context_parallel(layout: _Layout) -> Sent:
    """In every layer all ranks get the keys and values of whole sequences, and bring together the
    gradients of them (Llama 3, arXiv 2407.21783, section 3.3.2); or queries, keys and values of a
    part of the heads, and give back the outputs, and backward the other way round (Ulysses, arXiv
    2309.14509, section 3.2)."""
    axes, work, shape = layout.axes, layout.work, layout.shape
    if axes.cp == 1:
        return {}
    axis = "weights" if axes.cp == axes.num_ranks else "cp"  # that of all ranks has one name
    layers, passes = len(layout.held.layers), 1 + layout.recomputes
    of_head = work.product_bytes * work.num_tokens * shape.head_dim // axes.tp  # of all ranks
    if layout.cluster.cp_exchange == "all-gather":
        whole = layers * 2 * shape.num_kv_heads * of_head
        return {
            (axis, "all-gather"): sent_bytes("all-gather", passes * whole, axes.cp),
            (axis, "reduce-scatter"): sent_bytes("reduce-scatter", whole, axes.cp),
        }
    heads = 2 * shape.num_heads + 2 * shape.num_kv_heads
    here = layers * heads * of_head // axes.cp
    return {(axis, "all-to-all"): sent_bytes("all-to-all", (passes + 1) * here, axes.cp)}


def _expert_parallel(layout: _Layout) -> Sent:
    """Every token goes to the ranks of its experts and comes back, and so does its gradient
    (Lepikhin et al. 2020, arXiv 2006.16668, section 3.2): the mean over ranks, or all of them if
    experts get as many tokens each. Along "tp" it is a part of the sequence that a rank sends."""
    axes, experts, ranks = layout.axes, layout.shape.experts, _spreaders(layout.axes)
    if ranks == 1 or experts is None:
        return {}
    layers = sum(any(each.num_experts for each in layer) for layer in layout.held.layers)
    rows = layout.stream_bytes // axes.tp * experts.experts_per_token
    sent = sent_bytes("all-to-all", (6 if layout.recomputes else 4) * layers * rows, ranks)
    axis = "experts"
    if ranks == axes.num_ranks and 1 in (axes.ep, axes.tp):  # that of all ranks has one name
        axis = "tp" if axes.ep == 1 else "weights"
    return {(axis, "all-to-all"): sent}


def _pipeline(layout: _Layout) -> Sent:
    """Hidden states go to the rank of the next stage and their gradients to that of the one before
    (Narayanan et al. 2021, arXiv 2104.04473, section 2.2); the last stage tells all ranks the loss
    of each token. Where both ends have one weight, each sends the other its gradient."""
    axes, held = layout.axes, layout.held
    if axes.pp == 1:
        return {}
    sent = held.num_neighbours * layout.stream_bytes / axes.tp
    if layout.shape.tie_embeddings and held.has_begin != held.has_end:
        sent += _bytes(layout.outside()[:1], axes) / _sharers(axes)
    losses = _FLOAT_BYTES * layout.work.num_tokens // axes.cp
    return {
        ("pp", "send"): sent,
        ("pp", "broadcast"): sent_bytes("broadcast", losses, axes.pp),
    }


def _whole_matrices(layout: _Layout) -> Sent:
    """Momentum of which Muon needs whole matrices, gathered along two axes one after the other:
    where both cut rows, first along "weights", else first along "tp". Of a stack of experts that
    FSDP2 cuts by the first dim, ranks have whole matrices already."""
    if layout.train.optimizer.kind != "muon":
        return {}
    axes, sharers = layout.axes, _sharers(layout.axes)
    sums: dict[str, float] = defaultdict(float)

    def gather(axis: str, whole_bytes: float, num_ranks: int) -> None:
        sums[axis] += sent_bytes("all-gather", whole_bytes, num_ranks)

    for each in (each for layer in layout.held.layers for each in layer if each.is_hidden):
        part, whole = each.gathered_bytes(axes), _FLOAT_BYTES * each.rows * each.columns
        if each.num_experts:
            if _spreaders(axes) > 1:
                gather("expert_weights" if axes.ep > 1 else "weights", part, sharers // axes.ep)
        elif each.split == 1:
            gather("tp", part * axes.tp / sharers, axes.tp)
            gather("weights", part * axes.tp, sharers)
        else:
            gather("weights", part, sharers)
            gather("tp", whole, axes.tp)
    return {(axis, "all-gather"): size for axis, size in sums.items()}
