"""Expert parallelism: ranks that have different experts, whole, and send each other tokens.

Every rank along "ep" computes other samples, and its experts' rows of all of them (GShard: Lepikhin
et al. 2020, arXiv 2006.16668); so does every rank along "tp" with its part of the sequence. So the
gradients of a rank's experts are complete along both; along "dp_shard" and "cp" the same experts
are shared out by FSDP2, and summed. Where tokens go is model/dispatch.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp._fully_shard._fsdp_common import (
    FSDPMeshInfo,
    HSDPMeshInfo,
    ShardPlacementResult,
)
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


def placement_of_experts(root: nn.Module, ranks: Ranks) -> dict[str, Any]:
    """What `fully_shard` is to be told of the experts in `root` if they are spread over ranks: that
    those with the same ones share them out, or, if there are no such, that they stay as they are.
    """
    if ranks.axes.ep * ranks.axes.tp == 1:
        return {}
    stacks = {stack for experts in _experts(root) for stack in experts.parameters()}
    # By a dim of their matrices: along the first one there may be fewer experts than ranks.
    inner = Shard(1)
    if ranks.axes.ep == 1:  # all other weights are shared out among the same ranks
        return {"shard_placement_fn": lambda parameter: inner if parameter in stacks else None}
    is_hybrid = ranks.axes.dp_replicate > 1
    if is_hybrid:
        along = ranks.along("dp_replicate", "expert_weights")
        info: FSDPMeshInfo = HSDPMeshInfo(along, shard_mesh_dim=1, replicate_mesh_dim=0)
    else:
        info = FSDPMeshInfo(ranks.along("expert_weights"), shard_mesh_dim=0)
    if info.mesh.size() == 1:
        return {"ignored_params": stacks}
    apart = ShardPlacementResult(placement=inner, mesh_info=info)
    return {"shard_placement_fn": lambda parameter: apart if parameter in stacks else None}


def _experts(root: nn.Module) -> Iterator[Experts]:
    return (module for module in root.modules() if isinstance(module, Experts))
