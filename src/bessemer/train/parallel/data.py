"""Data parallelism: ranks that compute different samples, with whole weights or shares of them.

Losses are sums that the trainer has divided by the tokens of the global batch. So gradients are
summed over ranks here, and every averaging of torch's own is switched off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.nn.parallel import DistributedDataParallel

from bessemer.config.cluster import ClusterConfig
from bessemer.model.transformer import Block, Decoder
from bessemer.train.mesh import Ranks
from bessemer.train.parallel.experts import placement_of_experts


def replicate(objective: nn.Module) -> DistributedDataParallel:
    """Whole weights on every rank, which each has filled alike."""
    # Buffers are alike already: each rank finds them from what all ranks counted.
    parallel = DistributedDataParallel(objective, init_sync=False, broadcast_buffers=False)
    # DDP inspects annotations at run time and refuses postponed ones: a lambda has none.
    parallel.register_comm_hook(None, lambda _, bucket: _sum_over_ranks(bucket))
    return parallel


def shard_layers(decoder: Decoder, ranks: Ranks, cluster: ClusterConfig, *, reshard: bool) -> None:
    """Weights of layers, and with them gradients and moments, shared out in place along "weights";
    along "dp_replicate" the shares are the same (FSDP2 and HSDP). Layer by layer.

    With `reshard`, a layer's gathered weights are let go between its two passes.
    """
    more = _policies(cluster, ranks) | placement_of_experts(decoder, ranks)
    for layer in decoder.layers:
        if isinstance(layer, Block):
            fully_shard(layer, mesh=_mesh(ranks), reshard_after_forward=reshard, **more)
            _sum_plainly(layer)


def shard(root: nn.Module, ranks: Ranks, cluster: ClusterConfig) -> None:
    """What is in no layer of a decoder, or of a stage of one, tied or not, as one group."""
    more = _policies(cluster, ranks) | placement_of_experts(root, ranks)
    fully_shard(root, mesh=_mesh(ranks), reshard_after_forward=False, **more)
    if isinstance(root, Decoder):
        register_fsdp_forward_method(root, "hidden_states")
    _sum_plainly(root)


def _policies(cluster: ClusterConfig, ranks: Ranks) -> dict[str, Any]:
    """Of precision and of where weights are kept. Inputs are left alone: rotary tables and the
    residual stream stay fp32, and autocast casts what products take."""
    policies: dict[str, Any] = {}
    if cluster.gather == "bf16":
        policies["mp_policy"] = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
    if cluster.offload:
        is_cuda = ranks.along("weights").device_type == "cuda"
        policies["offload_policy"] = CPUOffloadPolicy(pin_memory=is_cuda)
    return policies


def _mesh(ranks: Ranks) -> DeviceMesh:
    if ranks.axes.dp_replicate > 1:
        return ranks.along("dp_replicate", "weights")
    return ranks.along("weights")


def _sum_plainly(module: nn.Module) -> None:
    assert isinstance(module, FSDPModule)
    # gloo knows no sum that is scaled on its way: both calls are needed.
    module.set_gradient_divide_factor(1.0)
    module.set_force_sum_reduction_for_comms(True)


def let_go(root: nn.Module) -> None:
    """Give up weights that a forward pass without a backward pass has left gathered."""
    for module in root.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


@contextmanager
def gradient_sync(objective: nn.Module, is_last: bool) -> Iterator[None]:
    """Within the block gradients are exchanged between replicas only if it is the last microbatch
    of a step. Those of weights that are shared out are brought together for every one: whole, they
    would take the memory that sharing out has saved."""
    if isinstance(objective, DistributedDataParallel) and not is_last:
        with objective.no_sync():
            yield
        return
    decoder = getattr(objective, "decoder", None)
    if isinstance(decoder, FSDPModule):
        decoder.set_requires_all_reduce(is_last)
    yield


def _sum_over_ranks(bucket: Any) -> torch.futures.Future[Tensor]:
    buffer: Tensor = bucket.buffer()
    work = dist.all_reduce(buffer, async_op=True)
    summed: torch.futures.Future[Tensor] = work.get_future().then(lambda _: buffer)
    return summed
