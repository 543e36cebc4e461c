"""The device of a rank and the process group it belongs to: gloo on CPU, NCCL on GPU.

A lone process has no group at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.rendezvous import rendezvous

from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.core.errors import MachineError
from bessemer.core.hardware import num_usable_cores, peak_memory_bytes
from bessemer.train.launch import Launch

T = TypeVar("T")
_TO_MEET = timedelta(minutes=10)
_TO_ASK = timedelta(seconds=2)  # by a rank that fails, of a store that may be gone
_PATIENCE = timedelta(days=30)


def choose_device(cluster: ClusterConfig, launch: Launch) -> torch.device:
    """The device of this rank; MachineError if the one asked for is not there."""
    has_cuda = torch.cuda.is_available()
    if cluster.device == "cuda" and not has_cuda:
        raise MachineError('cluster.device = "cuda", but torch sees no GPU; use "auto" or "cpu"')
    if cluster.device == "cpu" or not has_cuda:
        return torch.device("cpu")
    return torch.device("cuda", launch.local_rank)


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """All ranks by axis, and this one's place among those that read different samples.

    Dims of the mesh, from the outside in: "pp", "dp_replicate", "dp_shard" (without the ranks along
    "ep"), "cp", "ep", "tp"; and, of several of them, "weights", along which FSDP2 shares out
    weights, "expert_weights", along which those of experts, "experts", along which these differ,
    and "tokens", along which ranks compute different tokens.
    """

    axes: Axes
    dims: Mapping[str, DeviceMesh] = field(default_factory=dict)  # none for a lone process
    data_rank: int = 0
    context_rank: int = 0  # which part of these samples it computes, of `axes.cp`

    def along(self, *names: str) -> DeviceMesh:
        """The part of the mesh with these dims that this rank is in."""
        if len(names) == 1:
            return self.dims[names[0]]
        return DeviceMesh._concatenate([self.dims[name] for name in names])

    def sum_over_tokens(self, values: torch.Tensor) -> torch.Tensor:
        """`values`, which are of this rank's tokens, summed in place over the ranks that have
        others."""
        if self.dims:
            dist.all_reduce(values, group=self.along("tokens").get_group())
        return values

    def sum_over_sequence(self, values: torch.Tensor) -> torch.Tensor:
        """`values`, which are of the part of the sequence that this rank has between matrices,
        summed in place over the ranks that have others."""
        if self.axes.tp > 1:
            dist.all_reduce(values, group=self.along("tp").get_group())
        return values

    def sum_over_stages(self, values: torch.Tensor) -> torch.Tensor:
        """`values`, which are of this rank's layers, summed in place over the ranks that have
        others."""
        if self.axes.pp > 1:
            dist.all_reduce(values, group=self.along("pp").get_group())
        return values

    def gather_from_stages(self, things: Sequence[T]) -> list[T]:
        """`things`, which are of this rank's layers, with those of the ranks that have others."""
        if self.axes.pp == 1:
            return list(things)
        found: list[list[T]] = [[]] * self.axes.pp
        dist.all_gather_object(found, list(things), group=self.along("pp").get_group())
        return [thing for some in found for thing in some]


LONE = Ranks(axes=Axes())


def arrange_ranks(axes: Axes, device: torch.device) -> Ranks:
    """Neighbours are along "tp", which talk most, then along "ep", ... A collective."""
    if axes.num_ranks == 1:
        return Ranks(axes=axes)
    sizes = {
        "pp": axes.pp,
        "dp_replicate": axes.dp_replicate,
        "dp_shard": axes.dp_shard // axes.ep,
        "cp": axes.cp,
        "ep": axes.ep,
        "tp": axes.tp,
    }
    mesh = init_device_mesh(device.type, tuple(sizes.values()), mesh_dim_names=tuple(sizes))
    dims = {name: mesh[name] for name in sizes}
    dims["weights"] = mesh["dp_shard", "cp", "ep"]._flatten("weights")
    dims["expert_weights"] = mesh["dp_shard", "cp"]._flatten("expert_weights")
    dims["experts"] = mesh["ep", "tp"]._flatten("experts")
    dims["tokens"] = mesh["dp_replicate", "dp_shard", "cp", "ep"]._flatten("tokens")
    replica, shard, expert = (
        dims[name].get_local_rank() for name in ("dp_replicate", "dp_shard", "ep")
    )
    data_rank = replica * axes.dp_shard + shard * axes.ep + expert
    context_rank = dims["cp"].get_local_rank()
    return Ranks(axes=axes, dims=dims, data_rank=data_rank, context_rank=context_rank)


@contextmanager
def process_group(cluster: ClusterConfig, launch: Launch, device: torch.device) -> Iterator[None]:
    """Set the threads of this rank, and join the others for the time of the block."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        shared = max(1, num_usable_cores() // launch.num_local_ranks)
        torch.set_num_threads(cluster.threads or shared)
    if launch.num_ranks == 1:
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    if cluster.offload and device.type == "cuda":
        backend = "cpu:gloo,cuda:nccl"  # norms are then summed on the host
    # Longer than the watchdog waits, who can say more.
    timeout = max(_TO_MEET, timedelta(seconds=2 * cluster.hang_timeout_s))
    dist.init_process_group(backend, timeout=timeout)
    yield
    dist.destroy_process_group()  # not after an error: it may wait for a rank that is gone


def announce(launch: Launch, stage: str, word: str) -> None:
    """Rank 0 tells the others what becomes of a stage that all ranks take part in."""
    if launch.num_ranks > 1:
        connect_to_store(launch).set(_key(launch, stage), word)


def await_announcement(launch: Launch, stage: str) -> str:
    """What rank 0 announced for `stage`; waits for it as long as the stages before may take.

    If rank 0 fails instead, whoever started the ranks ends this process.
    """
    key = _key(launch, stage)
    store = connect_to_store(launch)
    store.wait([key], _PATIENCE)
    word: bytes = store.get(key)
    return word.decode()


def is_news(launch: Launch, text: str) -> bool:
    """Whether no other rank has asked this of `text`: the first one is to say it. True if that
    cannot be known within seconds."""
    try:
        store = connect_to_store(launch, _TO_ASK)
        return int(store.add(_key(launch, f"said/{text}"), 1)) == 1
    except (RuntimeError, ValueError):  # whoever keeps it is gone, or nobody said where it is
        return True


def connect_to_store(launch: Launch, timeout: timedelta = _TO_MEET) -> Any:
    """A client of its own to the key-value store that is kept for the ranks of one launch."""
    return next(rendezvous("env://", launch.rank, launch.num_ranks, timeout=timeout))[0]


def _key(launch: Launch, stage: str) -> str:
    return f"bessemer/{launch.restart}/{stage}"


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """`values` summed over all ranks, in place; unchanged for a lone process."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def wait_for_ranks() -> None:
    """Return when every rank has come here."""
    if dist.is_initialized():
        dist.barrier()


def peak_bytes(device: torch.device) -> int:
    """The most memory this process ever held: allocated on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_memory_bytes()
