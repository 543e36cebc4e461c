"""All that shares a model out among ranks, in the order in which it must be done."""

from __future__ import annotations

from functools import partial

import torch

from bessemer.config.cluster import ClusterConfig
from bessemer.config.microbatch import num_lanes
from bessemer.config.model import ModelConfig
from bessemer.config.pipeline import num_stages, stages_of_rank
from bessemer.config.train import TrainConfig
from bessemer.costs.compute import shape_of
from bessemer.costs.stages import layers_of_stages
from bessemer.model.transformer import Decoder
from bessemer.train.lanes import Lanes
from bessemer.train.layers import prepare_layers
from bessemer.train.mesh import Ranks
from bessemer.train.objective import Objective
from bessemer.train.parallel.context import exchange_tokens
from bessemer.train.parallel.data import replicate, shard, shard_layers
from bessemer.train.parallel.experts import spread
from bessemer.train.parallel.pipeline import Pipeline
from bessemer.train.parallel.tensor import split


def build(
    model: ModelConfig,
    vocab_size: int,
    train: TrainConfig,
    cluster: ClusterConfig,
    ranks: Ranks,
    precision: str,
    seed: int,
    device: torch.device,
) -> tuple[Decoder, Lanes | Pipeline]:
    """A decoder of which this rank holds its part, and what computes gradients with it. From the
    inside out: matrices along "tp", experts along "experts", tokens along "cp", layers along "pp",
    layers by themselves, weights along "weights", replicas. The weights are to be filled."""
    axes = ranks.axes
    # Where weights are shared out, no rank ever holds all of them.
    with torch.device("meta" if axes.shares_weights else device):
        decoder = Decoder(model, vocab_size)
    if axes.tp > 1:
        split(decoder, ranks.along("tp"))
    if axes.ep * axes.tp > 1:
        spread(decoder, ranks.along("experts"))
    if axes.cp > 1:
        exchange_tokens(decoder, ranks, cluster.cp_exchange)
    stages: tuple[range, ...] = ()
    if axes.pp > 1:
        number = num_stages(axes.pp, cluster.pp_schedule)
        stages = layers_of_stages(shape_of(model, vocab_size), number, train.seq_len)
        here = stages_of_rank(ranks.along("pp").get_local_rank(), axes.pp, cluster.pp_schedule)
        decoder.keep([layer for index in here for layer in stages[index]])
    prepare_layers(decoder.layers, cluster, precision)
    if axes.is_sharded:
        # A stage needs its weights for one microbatch after another.
        shard_layers(decoder, ranks, cluster, reshard=cluster.reshard and axes.pp == 1)
    make_objective = partial(Objective, config=train, precision=precision, seed=seed)
    lanes: Lanes | Pipeline
    if axes.pp == 1:
        if axes.is_sharded:
            shard(decoder, ranks, cluster)
        objective = make_objective(decoder)
        is_replica = axes.num_data_ranks > 1 and not axes.is_sharded
        side_by_side = num_lanes(cluster, axes.num_ranks, device.type)
        lanes = Lanes(replicate(objective) if is_replica else objective, side_by_side)
    else:
        lanes = Pipeline(decoder, make_objective, stages, ranks, cluster.pp_schedule)
        for stage in lanes.stages if axes.is_sharded else ():
            shard(stage, ranks, cluster)
    if axes.shares_weights:
        allocate(decoder, lanes, torch.device("cpu") if cluster.offload else device)
        for module in decoder.modules():  # buffers, which are not offloaded
            for name, buffer in module.named_buffers(recurse=False):
                module.register_buffer(name, buffer.to(device))
    return decoder, lanes


def allocate(decoder: Decoder, lanes: Lanes | Pipeline, device: torch.device) -> None:
    """Give a decoder that was built without memory what this rank holds of it, not filled yet."""
    # FSDP2 pads uneven shares as soon as the module that it was given gets memory. Were it another
    # one, it would do so in the first step, and what was taken of the weights before be stale.
    for root in lanes.stages if isinstance(lanes, Pipeline) else [decoder]:
        root.to_empty(device=device)
    decoder.tie()
