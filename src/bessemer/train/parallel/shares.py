"""Sums over the parts of tensors that ranks share out (DTensor)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor


def sum_over_parts(values_P: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """`values_P`, in which value p is a sum over this rank's part of tensor p, with sums over all
    parts instead. What is not shared out stays; so every rank has the same. A collective."""
    alike = defaultdict(list)
    for index, tensor in enumerate(tensors):
        if isinstance(tensor, DTensor):
            alike[tensor.device_mesh, tensor.placements].append(index)
    for (mesh, placements), indices in alike.items():
        some = values_P[indices]
        for axis, placement in enumerate(placements):
            assert not placement.is_partial(), "tensors must be summed over ranks before"
            if not placement.is_replicate():
                dist.all_reduce(some, group=mesh.get_group(axis))
        values_P[indices] = some
    return values_P
