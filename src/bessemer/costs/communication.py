"""Closed formulas for what one rank sends in an optimizer step, by axis and kind, in bytes.

A collective of n ranks counts as a ring sends it: no algorithm sends less (Patarasuk and Yuan
2009, doi 10.1016/j.jpdc.2008.09.002; the "bus bandwidth" of NVIDIA's nccl-tests). Messages of
single numbers, such as how many tokens there are or a norm, are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.train import TrainConfig
from bessemer.costs.compute import Shape

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
    shape: Shape, axes: Axes, work: Microbatches, train: TrainConfig, cluster: ClusterConfig
) -> Sent:
    """Bytes that a rank sends in a step, of every axis and kind that has any. Layouts with pp, cp
    or ep, and experts along tp, have no formula yet: nothing."""
    if axes.pp * axes.cp * axes.ep > 1 or (axes.tp > 1 and shape.experts is not None):
        return {}
    sent = _weights(shape, axes, work, cluster.reshard)
    if axes.tp > 1:
        sent |= _tensor_parallel(shape, axes, work, train, cluster.recompute)
    if train.optimizer.kind == "muon":
        for key, size in _whole_matrices(shape, axes).items():
            sent[key] = sent.get(key, 0) + size
    return {key: size for key, size in sent.items() if size}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Parameter:
    rows: int
    columns: int = 1
    split: int | None = None  # the dim that ranks along "tp" share out
    is_hidden: bool = False  # whether it is Muon's

    def gathered_bytes(self, axes: Axes) -> int:
        """Of the part of one rank along "tp". FSDP2 cuts rows, padded to a multiple of its
        ranks."""
        rows = -(-self.rows // axes.tp) if self.split == 0 else self.rows
        columns = self.columns // axes.tp if self.split == 1 else self.columns
        return _FLOAT_BYTES * -(-rows // _sharers(axes)) * _sharers(axes) * columns


def _sharers(axes: Axes) -> int:
    """Ranks that share weights out among themselves."""
    return axes.dp_shard * axes.cp


def _layers(shape: Shape) -> list[list[_Parameter]]:
    """The parameters of each layer."""
    dense = _attention(shape) + _feed_forward(shape, shape.ffn_dim)
    if shape.experts is None:
        return [dense] * shape.num_layers
    experts, width = shape.experts, shape.hidden_dim
    stack = _Parameter(rows=experts.num_experts, columns=width * experts.ffn_dim, is_hidden=True)
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


def _outside(shape: Shape) -> list[_Parameter]:
    """What is in no layer."""
    table = _Parameter(rows=shape.vocab_size, columns=shape.hidden_dim, split=0)
    norm = _Parameter(rows=shape.hidden_dim)
    return [table, norm] if shape.tie_embeddings else [table, table, norm]


def _bytes(parameters: Iterable[_Parameter], axes: Axes) -> int:
    return sum(parameter.gathered_bytes(axes) for parameter in parameters)


def _weights(shape: Shape, axes: Axes, work: Microbatches, reshard: bool) -> Sent:
    """Shares of weights are gathered for the forward pass and, let go of in between, for the
    backward pass; gradients are reduced to shares in every microbatch (Rajbhandari et al. 2020,
    arXiv 1910.02054, section 7.2.2). Replicas add up theirs once per step."""
    outside = _bytes(_outside(shape), axes)
    layers = sum(_bytes(layer, axes) for layer in _layers(shape))
    gathered = work.number * (outside + (2 if reshard else 1) * layers)
    reduced = work.number * (outside + layers)
    own, sharers = (outside + layers) / _sharers(axes), _sharers(axes)
    return {
        ("weights", "all-gather"): sent_bytes("all-gather", gathered, sharers),
        ("weights", "reduce-scatter"): sent_bytes("reduce-scatter", reduced, sharers),
        ("dp_replicate", "all-reduce"): sent_bytes("all-reduce", own, axes.dp_replicate),
    }


def _tensor_parallel(
    shape: Shape, axes: Axes, work: Microbatches, train: TrainConfig, recompute: str
) -> Sent:
    """The residual stream, shared out along the sequence, is gathered before attention and before
    the feed-forward layer, and what they add to it is reduced to shares; backward the other way
    round (Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.2). Once each, too, after the
    embedding and before the loss, which sums three numbers of each token. Norms give float32, and
    layers add numbers in the precision of products. A layer that is computed again needs no second
    reduction at its end. Gradients of norms are added up once per step, or in every microbatch
    where FSDP2 keeps them."""
    stream, layers, again = (
        work.num_tokens * shape.hidden_dim,
        shape.num_layers,
        recompute != "none",
    )
    wide, narrow = _FLOAT_BYTES, work.product_bytes
    gathered = stream * (2 * layers * ((1 + again) * wide + narrow) + 2 * wide)
    reduced = stream * (layers * ((2 + again) * narrow + 2 * wide) + 2 * wide)
    losses = (3 + (train.label_smoothing > 0)) * work.num_tokens * _FLOAT_BYTES
    norms = [each for part in (*_layers(shape), _outside(shape)) for each in part]
    added = _bytes((each for each in norms if each.split is None), axes)
    if axes.num_ranks > axes.tp * axes.pp:
        added *= work.number
    return {
        ("tp", "all-gather"): sent_bytes("all-gather", gathered, axes.tp),
        ("tp", "reduce-scatter"): sent_bytes("reduce-scatter", reduced, axes.tp),
        ("tp", "all-reduce"): sent_bytes("all-reduce", losses + added, axes.tp),
    }


def _whole_matrices(shape: Shape, axes: Axes) -> Sent:
    """Momentum that Muon needs whole, gathered along "tp" and "weights" one after the other: first
    along the one that cut it last; where columns are cut along "tp", that one."""
    along_weights = along_tp = 0.0
    for parameter in (each for layer in _layers(shape) for each in layer if each.is_hidden):
        part = parameter.gathered_bytes(axes)
        if parameter.split == 1:
            along_tp += part * axes.tp / _sharers(axes)
            along_weights += part * axes.tp
        else:
            along_weights += part
            along_tp += _FLOAT_BYTES * parameter.rows * parameter.columns
    return {
        ("weights", "all-gather"): sent_bytes("all-gather", along_weights, _sharers(axes)),
        ("tp", "all-gather"): sent_bytes("all-gather", along_tp, axes.tp),
    }
