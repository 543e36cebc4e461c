"""Expert parallelism: ranks that have different experts, whole, and send each other tokens.

Every rank along "ep" computes other samples, and its experts' rows of all of them (GShard: Lepikhin
et al. 2020, arXiv 2006.16668). So the gradients of its experts are complete along "ep"; along
"dp_shard" and "cp" the same experts are shared out by FSDP2, and summed. Where tokens go is
model/dispatch.py's.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard, distribute_tensor

from bessemer.model.experts import Experts
from bessemer.model.transformer import Decoder
from bessemer.train.mesh import Ranks


def spread(decoder: Decoder, mesh: DeviceMesh) -> None:
    """Give each rank along `mesh`, of one dim, some experts of every layer, in place."""
    for experts in _experts(decoder):
        for name, stack in list(experts.named_parameters()):
            part = distribute_tensor(stack.detach(), mesh, [Shard(0)], src_data_rank=None)
            experts.register_parameter(name, nn.Parameter(part))


def shard_experts(decoder: Decoder, ranks: Ranks, *, reshard: bool) -> set[nn.Parameter]:
    """Share out the experts that are spread over ranks with those that have the same, in place.

    Returns all parameters of experts that no other rank has: they are not to be shared out.
    """
    is_hybrid = ranks.axes.dp_replicate > 1
    if not is_hybrid and ranks.along("expert_weights").size() == 1:
        return {stack for experts in _experts(decoder) for stack in experts.parameters()}
    along = ranks.along(*["dp_replicate"] * is_hybrid, "expert_weights")
    for experts in _experts(decoder):
        # By a dim of their matrices: along the first one there may be fewer experts than ranks.
        fully_shard(
            experts,
            mesh=along,
            reshard_after_forward=reshard,
            shard_placement_fn=lambda _: Shard(1),
        )
    return set()


def _experts(decoder: Decoder) -> Iterator[Experts]:
    return (module for module in decoder.modules() if isinstance(module, Experts))
