"""What a rank holds in memory, by part, at every moment of a step: without a byte of it.

A mode of torch's dispatcher sees each fake tensor as it is made. Storages are counted, not tensors:
views are free, and what nobody refers to any more counts no longer.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributed.tensor._sharding_prop import ShardingPropagator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bessemer.model.parts import held_by_this_rank

WEIGHTS, GATHERED, GRADIENTS = "weights", "gathered", "gradients"
OPTIMIZER, ACTIVATIONS = "optimizer", "activations"
PARTS = (WEIGHTS, GATHERED, GRADIENTS, OPTIMIZER, ACTIVATIONS)

_COPY_OUT = "fsdp::split_with_sizes_copy"


@dataclass(slots=True)
class _Held:
    part: str
    size: int  # bytes


class MemoryMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages that are made in its `with` block, inside that of a FakeTensorMode."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.part = ACTIVATIONS  # of what is made from now on
        self.is_looking = True
        self._held: dict[int, _Held] = {}  # by address
        self._watches: dict[int, Any] = {}
        self._filled: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._size = self._peak_size = 0
        self._at_peak: list[_Held] = []

    def assign(self, tensors: Iterable[Tensor], part: str) -> None:
        """The memory of these belongs to `part`, whenever it was made; of DTensors, what is held
        here."""
        for tensor in tensors:
            address = held_by_this_rank(tensor.detach()).untyped_storage()._cdata
            if address in self._held:
                self._held[address].part = part

    def held(self) -> Counter[str]:
        """Bytes by part, now."""
        return _add_up(self._held.values())

    def peak(self) -> Counter[str]:
        """Bytes by part when they were most, since the last `forget_peak`."""
        return _add_up(self._at_peak)

    def forget_peak(self) -> None:
        """Look for it anew, from what is held now."""
        self._peak_size, self._at_peak = self._size, list(self._held.values())

    def __enter__(self) -> MemoryMeter:
        # DTensor finds shapes by computing on whole tensors, which are nobody's.
        self._lock = ShardingPropagator._fake_mode_lock
        ShardingPropagator._fake_mode_lock = _LookingAway(self)  # type: ignore[assignment]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        ShardingPropagator._fake_mode_lock = self._lock

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        made = [each for each in tree_leaves(found) if isinstance(each, FakeTensor)]
        if not self.is_looking:
            return found
        if getattr(func, "namespace", None) == "fsdp":
            self._see_exchange(tree_leaves((args, kwargs)))
            if func.name() == _COPY_OUT:
                self._see_filled(tree_leaves(kwargs))
        if made:
            self._let_go_of_emptied()
            for tensor in made:
                self._see(tensor.untyped_storage(), self.part)
            if self._size > self._peak_size:
                self.forget_peak()
        return found

    def _see(self, storage: torch.UntypedStorage, part: str) -> None:
        address = storage._cdata
        if address not in self._held and storage.nbytes():
            self._held[address] = _Held(part, storage.nbytes())
            self._size += storage.nbytes()
            self._watches[address] = weakref.finalize(storage, self._let_go, address)

    def _see_exchange(self, arguments: Iterable[Any]) -> None:
        """What FSDP2 works on, but for its shares themselves, is on its way between ranks."""
        for storage in _storages(arguments):
            held = self._held.get(storage._cdata)
            if held and held.part == ACTIVATIONS:
                held.part = GATHERED

    def _see_filled(self, arguments: Iterable[Any]) -> None:
        """FSDP2 empties storages after use and fills them again, by no operator."""
        for storage in _storages(arguments):
            self._see(storage, GATHERED)
            self._filled[storage._cdata] = weakref.ref(storage)

    def _let_go_of_emptied(self) -> None:
        for address, refers in list(self._filled.items()):
            storage = refers()
            if storage is None or not storage.nbytes():
                del self._filled[address]
                if watch := self._watches.get(address):
                    watch.detach()
                self._let_go(address)

    def _let_go(self, address: int) -> None:
        self._watches.pop(address, None)
        if held := self._held.pop(address, None):
            self._size -= held.size


class _LookingAway:
    def __init__(self, meter: MemoryMeter) -> None:
        self._meter = meter

    def __enter__(self) -> None:
        self._meter.is_looking = False

    def __exit__(self, *error: object) -> None:
        self._meter.is_looking = True


def _storages(arguments: Iterable[Any]) -> Iterator[torch.UntypedStorage]:
    return (each.untyped_storage() for each in arguments if isinstance(each, FakeTensor))


def _add_up(held: Iterable[_Held]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for each in held:
        sums[each.part] += each.size
    return sums
