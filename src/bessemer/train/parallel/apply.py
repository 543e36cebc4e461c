"""All that shares a model out among ranks, in the order in which it must be done."""

from __future__ import annotations

import torch
from torch import nn

from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.model.transformer import Decoder
from bessemer.train.layers import prepare_layers
from bessemer.train.mesh import Ranks
from bessemer.train.parallel.data import replicate, shard
from bessemer.train.parallel.tensor import split


def build(
    model: ModelConfig,
    vocab_size: int,
    ranks: Ranks,
    cluster: ClusterConfig,
    precision: str,
    device: torch.device,
) -> Decoder:
    """A decoder of which this rank holds its part, from the inside out: matrices along "tp", layers
    by themselves, weights along "weights". Its weights are to be filled."""
    axes = ranks.axes
    # Where weights are shared out, no rank ever holds all of them.
    with torch.device("meta" if axes.shares_weights else device):
        decoder = Decoder(model, vocab_size)
    if axes.tp > 1:
        split(decoder, ranks.along("tp"))
    prepare_layers(decoder.layers, cluster, precision)
    if is_sharded(axes):
        shard(decoder, ranks, reshard=cluster.reshard)
    if axes.shares_weights:
        decoder.to_empty(device=device)
        decoder.tie()
    return decoder


def wrap(objective: nn.Module, ranks: Ranks) -> nn.Module:
    """The objective, around whole weights that other ranks have too if it is so."""
    if ranks.axes.num_data_ranks > 1 and not is_sharded(ranks.axes):
        return replicate(objective)
    return objective


def is_sharded(axes: Axes) -> bool:
    """Whether FSDP2 keeps the weights: also of replicas that are parts of matrices or of layers, as
    DDP knows no such parameters and no pipelines. Ranks along "cp" could all hold them whole, but
    need not."""
    is_replicated_part = axes.dp_replicate > 1 and (axes.tp > 1 or axes.pp > 1)
    return axes.dp_shard > 1 or axes.cp > 1 or is_replicated_part
