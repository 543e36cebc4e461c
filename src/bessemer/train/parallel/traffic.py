"""What ranks send each other: every collective, counted where it is called.

A mode of torch's dispatcher sees those of torch.distributed, DTensor, FSDP2 and DDP alike, through
real process groups and fake ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import _resolve_process_group
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bessemer.costs.communication import sent_bytes
from bessemer.train.mesh import Ranks

_PLAIN = {Tensor, torch.nn.Parameter, FakeTensor}
_C10D, _FUNCTIONAL = torch.ops.c10d, torch.ops._c10d_functional
_RESULT = None
# By operator: the kind, and where the tensors are that are as large as the whole of what is moved.
_COLLECTIVES: dict[Any, tuple[str, int | None]] = {
    _C10D.allreduce_: ("all-reduce", 0),
    _C10D.broadcast_: ("broadcast", 0),
    _C10D.send: ("send", 0),
    _C10D.allgather_: ("all-gather", 0),
    _C10D._allgather_base_: ("all-gather", 0),
    _C10D.reduce_scatter_: ("reduce-scatter", 1),
    _C10D._reduce_scatter_base_: ("reduce-scatter", 1),
    _C10D.alltoall_: ("all-to-all", 1),
    _C10D.alltoall_base_: ("all-to-all", 1),
    _FUNCTIONAL.all_reduce: ("all-reduce", 0),
    _FUNCTIONAL.all_reduce_: ("all-reduce", 0),
    _FUNCTIONAL.broadcast: ("broadcast", 0),
    _FUNCTIONAL.all_gather_into_tensor: ("all-gather", _RESULT),
    _FUNCTIONAL.reduce_scatter_tensor: ("reduce-scatter", 0),
    _FUNCTIONAL.all_to_all_single: ("all-to-all", 0),
    torch.ops._dtensor.shard_dim_alltoall: ("all-to-all", 0),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """All collectives of one kind along one axis."""

    axis: str  # a dim of the mesh, or several as one: see mesh.Ranks
    kind: str
    calls: int
    sent_bytes: float  # by this rank, see costs.communication


class TrafficMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts collectives in its `with` block, in sections one after the other; what one rank alone
    would exchange with itself does not count."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._axes = _names_of_groups(ranks)
        self._sections: list[dict[tuple[str, str], list[float]]] = []  # calls and bytes
        self.begin_section()

    def begin_section(self) -> None:
        """Count from here on in a section of its own."""
        self._sections.append(defaultdict(lambda: [0, 0.0]))

    @property
    def num_sections(self) -> int:
        """Sections so far."""
        return len(self._sections)

    def traffic(self, times: Sequence[int] | None = None) -> list[Traffic]:
        """All that was counted, by axis and kind; section i so many `times`, once if not given."""
        sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0])
        for time, section in zip(times or [1] * self.num_sections, self._sections, strict=True):
            for key, (calls, sent) in section.items():
                sums[key][0] += time * calls
                sums[key][1] += time * sent
        return [
            Traffic(axis=axis, kind=kind, calls=int(calls), sent_bytes=sent)
            for (axis, kind), (calls, sent) in sorted(sums.items())
        ]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not _PLAIN.issuperset(types):
            return NotImplemented  # DTensor and its like call operators of plain tensors in turn
        found = func(*args, **(kwargs or {}))
        if collective := _COLLECTIVES.get(getattr(func, "overloadpacket", None)):
            kind, place = collective
            group = _group_of(func, args)
            if group.size() > 1:
                whole = tree_leaves(found if place is _RESULT else args[place])
                size = sum(each.numel() * each.element_size() for each in whole)
                key = self._axes.get(group.group_name, "all"), kind
                counted = self._sections[-1][key]
                counted[0] += 1
                counted[1] += sent_bytes(kind, size, group.size())
        return found


def _group_of(func: Any, args: Sequence[Any]) -> dist.ProcessGroup:
    names = [argument.name for argument in func._schema.arguments]
    if "process_group" in names:
        return dist.ProcessGroup.unbox(args[names.index("process_group")])
    return _resolve_process_group(args[names.index("group_name")])


def _names_of_groups(ranks: Ranks) -> dict[str, str]:
    """What an axis is called, by the name of its process group. Where several are one group, as
    some are of length one: what FSDP2 uses, else a dim of the mesh itself."""
    first, last = ("tokens", "experts"), ("expert_weights", "weights")
    others = [name for name in ranks.dims if name not in (*first, *last)]
    names = [name for name in (*first, *others, *last) if name in ranks.dims]
    return {ranks.dims[name].get_group().group_name: name for name in names}
