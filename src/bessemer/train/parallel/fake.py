"""How Python code that looks at numbers runs on fake tensors, which have none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_AS_NUMBER = torch.ops.aten._local_scalar_dense.default  # float(tensor) and its like
_MAKE = torch.ops.aten.lift_fresh.default  # torch.tensor(...)


class Numbers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """In its `with` block, inside that of a FakeTensorMode, any number that a fake tensor is asked
    for is one. Tensors that are not fake, those in which meshes keep ranks, have theirs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not {FakeTensor}.issuperset(types):
            return NotImplemented  # DTensor and its like call operators of plain tensors in turn
        kwargs = kwargs or {}
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        is_real = all(type(each) is Tensor and not each.is_meta for each in tensors)
        if tensors and is_real and func is not _MAKE:
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if func is _AS_NUMBER:
            return 1.0 if args[0].is_floating_point() else 1
        return func(*args, **kwargs)


@contextmanager
def even_counts(total: int) -> Iterator[None]:
    """Within the block a row of counts, which a list is made of, has even shares of `total`: as if
    routers gave all experts as many tokens."""

    def shares(counts: Tensor) -> list[int]:
        share, rest = divmod(total, len(counts))
        return [share + (index < rest) for index in range(len(counts))]

    made = FakeTensor.tolist
    FakeTensor.tolist = shares  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        FakeTensor.tolist = made  # type: ignore[method-assign]
