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
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel

from bessemer.model.transformer import Decoder
from bessemer.train.mesh import Ranks


def replicate(objective: nn.Module) -> DistributedDataParallel:
    """Whole weights on every rank."""
    parallel = DistributedDataParallel(objective)
    # DDP inspects annotations at run time and refuses postponed ones: a lambda has none.
    parallel.register_comm_hook(None, lambda _, bucket: _sum_over_ranks(bucket))
    return parallel


def shard(decoder: Decoder, ranks: Ranks, *, reshard: bool) -> None:
    """Weights, and with them gradients and moments, shared out in place along "weights"; along
    "dp_replicate" the shares are the same (FSDP2 and HSDP). Layer by layer; what is in no layer,
    tied or not, is one group.

    With `reshard`, a layer's gathered weights are let go between its two passes.
    """
    is_hybrid = ranks.axes.dp_replicate > 1
    along = ranks.along("dp_replicate", "weights") if is_hybrid else ranks.along("weights")
    for layer in decoder.layers:
        fully_shard(layer, mesh=along, reshard_after_forward=reshard)
    fully_shard(decoder, mesh=along, reshard_after_forward=False)
    register_fsdp_forward_method(decoder, "hidden_states")
    for module in decoder.modules():
        if isinstance(module, FSDPModule):
            # gloo knows no sum that is scaled on its way: both calls are needed.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def let_go(decoder: Decoder) -> None:
    """Give up weights that a forward pass without a backward pass has left gathered."""
    if isinstance(decoder, FSDPModule):
        decoder.reshard()


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
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    summed: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return summed
