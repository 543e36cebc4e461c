"""Which part of a parameter this process holds, where ranks share parameters out (DTensor)."""

from __future__ import annotations

from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Replicate
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset


def held_by_this_rank(tensor: Tensor) -> Tensor:
    """The part itself, not a copy; all of a tensor that is not shared out."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def part_of_this_rank(tensor: Tensor) -> list[slice]:
    """Where the part lies in the whole, a slice for each dim; empty ones if the rank has none."""
    if not isinstance(tensor, DTensor):
        return [slice(0, size) for size in tensor.shape]
    sizes, begins = compute_local_shape_and_global_offset(
        tensor.shape, tensor.device_mesh, tensor.placements
    )
    return [slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True)]


def shared_as(here: Tensor, like: Tensor) -> Tensor:
    """An activation of which this rank holds `here`, as `like` is shared out."""
    if not isinstance(like, DTensor):
        return here
    return DTensor.from_local(here, like.device_mesh, like.placements, run_check=False)


def gathered(tensor: Tensor) -> Tensor:
    """All of an activation that ranks share out, on each of them (DTensor still); any other tensor
    as it is."""
    if not isinstance(tensor, DTensor):
        return tensor
    return tensor.redistribute(placements=[Replicate()] * tensor.device_mesh.ndim)


def as_plain(tensor: Tensor) -> Tensor:
    """All of a tensor as a plain one, for a computation in which ranks differ: its gradient is the
    sum of theirs. That of a parameter which all ranks have is summed later, once."""
    if not isinstance(tensor, DTensor):
        return tensor
    is_whole = all(each.is_replicate() for each in tensor.placements)
    whole = tensor if is_whole else gathered(tensor)
    assert isinstance(whole, DTensor)
    return whole.to_local(grad_placements=[Partial()] * whole.device_mesh.ndim)
