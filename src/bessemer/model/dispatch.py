"""Rows of tokens in the order of their experts, and on the ranks that have these.

Shapes: M rows, D model width, E experts, R ranks that share the experts out evenly, X = E / R of
them on each. The backward pass of each step is the same step the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def order_by_expert(ids_M: Tensor) -> tuple[Tensor, Tensor]:
    """The rows by rising id, those of one id as they stand, and the inverse permutation."""
    order_M = ids_M.argsort(stable=True)
    place_M = torch.empty_like(order_M)
    place_M[order_M] = torch.arange(len(order_M), device=order_M.device)
    return order_M, place_M


def permute(x_MD: Tensor, order_M: Tensor, place_M: Tensor) -> Tensor:
    """x[order]; `place_M` is the inverse of `order_M`."""
    permuted: Tensor = _Permute.apply(x_MD, order_M, place_M)  # type: ignore[no-untyped-call]
    return permuted


@torch.compiler.disable  # the splits are another size for every batch
def compute_on_ranks(
    compute: Callable[[Tensor, Tensor], Tensor],
    x_MD: Tensor,
    counts_E: Tensor,
    group: dist.ProcessGroup,
) -> Tensor:
    """What `compute` makes of rows that are sorted by expert, each row on the rank of `group` that
    has its expert: rank r the experts from r * X on. Every rank gives rows, `counts_E` of them for
    each expert, as many as it likes; `compute` gets those of all ranks for its own experts, sorted
    too, and how many belong to each [X]. No row is dropped. A collective, and so is its backward
    pass: a rank that gives or gets no rows takes part.
    """
    counts_RX = counts_E.view(group.size(), -1)  # from here, for the experts of each rank
    ours_RX = torch.empty_like(counts_RX)  # from each rank, for the experts of this one
    dist.all_to_all_single(ours_RX, counts_RX, group=group)
    sent, received = counts_RX.sum(dim=1).tolist(), ours_RX.sum(dim=1).tolist()
    # What comes is sorted by rank, then by expert.
    ids_RX = torch.arange(ours_RX.shape[1], device=ours_RX.device).expand_as(ours_RX)
    ids = ids_RX.flatten().repeat_interleave(ours_RX.flatten(), output_size=sum(received))
    order, place = order_by_expert(ids)
    sorted_MD = permute(_exchange(x_MD, sent, received, group), order, place)
    y_MD = permute(compute(sorted_MD, ours_RX.sum(dim=0)), place, order)
    return _exchange(y_MD, received, sent, group)


def _exchange(x_MD: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
    exchanged: Tensor = _Exchange.apply(  # type: ignore[no-untyped-call]
        x_MD, sent, received, group
    )
    return exchanged


class _Permute(torch.autograd.Function):
    """Its backward pass gathers too: PyTorch's would add row by row, slowly, and on a GPU in no
    fixed order."""

    @staticmethod
    def forward(ctx: Any, x_MD: Tensor, order_M: Tensor, place_M: Tensor) -> Tensor:
        ctx.save_for_backward(place_M)
        return x_MD.index_select(0, order_M)

    @staticmethod
    def backward(ctx: Any, gradient_MD: Tensor) -> tuple[Tensor, None, None]:
        (place_M,) = ctx.saved_tensors
        return gradient_MD.index_select(0, place_M), None, None


class _Exchange(torch.autograd.Function):
    """The first `sent[0]` rows go to rank 0, the next to rank 1, ...; those from rank 0 come first,
    `received[0]` of them."""

    @staticmethod
    def forward(
        ctx: Any, x_MD: Tensor, sent: list[int], received: list[int], group: dist.ProcessGroup
    ) -> Tensor:
        ctx.sent, ctx.received, ctx.group = sent, received, group
        return _all_to_all(x_MD, sent, received, group)

    @staticmethod
    def backward(ctx: Any, gradient_MD: Tensor) -> tuple[Tensor, None, None, None]:
        return _all_to_all(gradient_MD, ctx.received, ctx.sent, ctx.group), None, None, None


def _all_to_all(
    x_MD: Tensor, sent: list[int], received: list[int], group: dist.ProcessGroup
) -> Tensor:
    out_MD = x_MD.new_empty(sum(received), *x_MD.shape[1:])
    dist.all_to_all_single(out_MD, x_MD.contiguous(), received, sent, group=group)
    return out_MD
