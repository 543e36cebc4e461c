"""Tensor parallelism: ranks that compute the same samples, each with a part of every matrix.

Attention is shared out by heads, feed-forward layers by inner width, the vocabulary by rows
(Shoeybi et al. 2019, arXiv 1909.08053). Between them the residual stream is shared out along the
sequence, so that norms, too, are computed once (Korthikanti et al. 2022, arXiv 2205.05198).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from bessemer.model.embedding import Embedding
from bessemer.model.feed_forward import FeedForward
from bessemer.model.moe import Router
from bessemer.model.transformer import Decoder


def split(decoder: Decoder, mesh: DeviceMesh) -> None:
    """Share all parameters of `decoder` but experts out along `mesh`, of one dim, in place. All
    ranks have routers whole, each for its part of the sequence."""
    # Of what all ranks find, each with its part of the sequence.
    sums = RowwiseParallel(output_layouts=Shard(1), use_local_output=False)
    ends: dict[str, ParallelStyle] = {
        "norm": SequenceParallel(),
        "lm_head": ColwiseParallel(),  # whose weight alone is used, by the loss
    }
    layer: dict[str, ParallelStyle] = {
        "input_layernorm": SequenceParallel(),
        "self_attn.q_proj": ColwiseParallel(),
        "self_attn.k_proj": ColwiseParallel(),
        "self_attn.v_proj": ColwiseParallel(),
        "self_attn.o_proj": sums,
        "post_attention_layernorm": SequenceParallel(),
    }
    feed_forward: dict[str, ParallelStyle] = {
        "gate_proj": ColwiseParallel(),
        "up_proj": ColwiseParallel(),
        "down_proj": sums,
    }
    if decoder.config.qk_norm:  # of this rank's heads
        heads = SequenceParallel(sequence_dim=2, use_local_output=True)
        layer |= {"self_attn.q_norm": heads, "self_attn.k_norm": heads}
    if decoder.config.tie_embeddings:
        del ends["lm_head"]
    parallelize_module(decoder, mesh, ends)
    for each in decoder.layers:
        parallelize_module(each, mesh, layer)
    for module in decoder.modules():
        if isinstance(module, FeedForward):  # of a layer, or its shared experts
            parallelize_module(module, mesh, feed_forward)
        elif isinstance(module, Embedding):
            _lay_out(module, mesh, Shard(0))
        elif isinstance(module, Router):
            _lay_out(module, mesh, Replicate())
    decoder.tie()


def _lay_out(module: nn.Module, mesh: DeviceMesh, placement: Placement) -> None:
    """The weight of a module that knows itself what to do with a part."""
    weight = module.get_parameter("weight").detach()
    part = distribute_tensor(weight, mesh, [placement], src_data_rank=None)
    module.register_parameter("weight", nn.Parameter(part))


@torch.no_grad()
def settle_gradients(parameters: Iterable[Tensor]) -> None:
    """Add up the gradients of parameters that all ranks have: each found what its part of the
    sequence, or of the heads, gives."""
    for parameter in parameters:
        if isinstance(parameter, DTensor) and isinstance(parameter.grad, DTensor):
            parameter.grad = parameter.grad.redistribute(placements=parameter.placements)
