"""Context parallelism: ranks that compute different parts of the same sequences.

A sequence is cut into two chunks for each rank, of which rank r gets the one that is r chunks from
the beginning and the one that is r chunks from the end. Late tokens see more than early ones: so
all ranks have as much to attend to (Llama 3, arXiv 2407.21783, section 3.3.2). Attention alone
needs tokens of other ranks; there are two ways to come to them.

Shapes: P ranks, B sequences of S tokens, T = S / P of them on each rank, H query heads, G key-value
heads, K head width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from bessemer.model.attend import attend, attend_run
from bessemer.model.pieces import Pieces
from bessemer.model.transformer import Decoder
from bessemer.train.loader import Batch
from bessemer.train.mesh import Ranks


def to_parts(whole_BS: Tensor, num_parts: int) -> Tensor:
    """[P, B, T, ...] of [B, S, ...]: the part of each rank."""
    first, last = torch.stack(whole_BS.chunk(2 * num_parts, dim=1)).chunk(2)
    return torch.cat((first, last.flip(0)), dim=2)


def to_whole(parts_PBT: Tensor) -> Tensor:
    """[B, S, ...]: what `to_parts` made parts of."""
    first, last = parts_PBT.chunk(2, dim=2)
    return torch.cat((first, last.flip(0))).movedim(0, 1).flatten(1, 2)


def part_of_batch(batch: Batch, ranks: Ranks) -> Batch:
    """The tokens of `batch` that this rank computes. Each sample is in the digest of one part only,
    so that a sum over ranks has it once."""
    if ranks.axes.cp == 1:
        return batch

    def cut(whole_BS: Tensor) -> Tensor:
        return to_parts(whole_BS, ranks.axes.cp)[ranks.context_rank]

    return replace(
        batch,
        input_ids_BT=cut(batch.input_ids_BT),
        labels_BT=cut(batch.labels_BT),
        doc_ids_BT=cut(batch.doc_ids_BT),
        digest=0 if ranks.context_rank else batch.digest,
    )


def exchange_tokens(decoder: Decoder, ranks: Ranks, kind: str) -> None:
    """Let `decoder` take parts of sequences, and its attention exchange along "cp" what it needs;
    `kind` is `cluster.cp_exchange`."""
    made = AllGather if kind == "all-gather" else Ulysses
    decoder.exchange = made(
        group=ranks.along("cp").get_group(), num_parts=ranks.axes.cp, rank=ranks.context_rank
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Exchange(ABC):
    """See `bessemer.model.attend.Exchange`."""

    group: dist.ProcessGroup
    num_parts: int
    rank: int  # within the group

    def places(self, length: int, device: torch.device) -> Tensor:
        """int64 [T]: where this rank's tokens stand in sequences of `length` tokens."""
        whole_1S = torch.arange(length, device=device)[None]
        return to_parts(whole_1S, self.num_parts)[self.rank, 0]

    @abstractmethod
    def attend(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pieces: Pieces, window: int | None
    ) -> Tensor:
        """[B, T, H, K]: attention of this rank's tokens. A collective."""


class AllGather(_Exchange):
    """Every rank gets all keys and values, and attends to them with its queries."""

    @torch.compiler.disable
    def attend(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pieces: Pieces, window: int | None
    ) -> Tensor:
        """[B, T, H, K]; gradients of keys and values are summed over ranks."""
        both_BTGK = torch.cat((k_BTGK, v_BTGK))
        gathered_P: Tensor = _Gather.apply(both_BTGK, self.group)  # type: ignore[no-untyped-call]
        k_BSGK, v_BSGK = to_whole(gathered_P).chunk(2)
        chunk = q_BTHK.shape[1] // 2
        begins = self.rank * chunk, (2 * self.num_parts - 1 - self.rank) * chunk
        return torch.cat(
            [
                attend_run(q_BQHK, k_BSGK, v_BSGK, pieces, begin, window)
                for q_BQHK, begin in zip(q_BTHK.chunk(2, dim=1), begins, strict=True)
            ],
            dim=1,
        )


class Ulysses(_Exchange):
    """Every rank gets all tokens for its part of the heads, and gives back what they attended to
    (Jacobs et al. 2023, DeepSpeed-Ulysses, arXiv 2309.14509)."""

    @torch.compiler.disable
    def attend(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pieces: Pieces, window: int | None
    ) -> Tensor:
        """[B, T, H, K]; the ranks must divide H and G."""
        by_rank = [torch.stack(x.chunk(self.num_parts, dim=2)) for x in (q_BTHK, k_BTGK, v_BTGK)]
        heads = [x_P.shape[3] for x_P in by_rank]
        whole_BSHK = to_whole(self._swap(torch.cat(by_rank, dim=3)))
        q_BSHK, k_BSGK, v_BSGK = whole_BSHK.split_with_sizes(heads, dim=2)
        y_BSHK = attend(q_BSHK, k_BSGK, v_BSGK, pieces, window)
        return torch.cat(self._swap(to_parts(y_BSHK, self.num_parts)).unbind(), dim=2)

    def _swap(self, x_P: Tensor) -> Tensor:
        swapped: Tensor = _Swap.apply(x_P, self.group)  # type: ignore[no-untyped-call]
        return swapped


class _Gather(torch.autograd.Function):
    """[P, ...]: what all ranks have, by rank. gloo takes rows side by side only, not stacked."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        gathered = x.new_empty((group.size() * len(x), *x.shape[1:]))
        dist.all_gather_single(gathered, x.contiguous(), group=group)
        return gathered.view(group.size(), *x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_gathered_P: Tensor) -> tuple[Tensor, None]:
        d_x = d_gathered_P.new_empty(d_gathered_P.shape[1:])
        dist.reduce_scatter_single(d_x, d_gathered_P.flatten(0, 1).contiguous(), group=ctx.group)
        return d_x, None


class _Swap(torch.autograd.Function):
    """Row p goes to rank p; row p of the result comes from rank p. It is its own transpose."""

    @staticmethod
    def forward(ctx: Any, x_P: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return _swap(x_P, group)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_swapped_P: Tensor) -> tuple[Tensor, None]:
        return _swap(d_swapped_P, ctx.group), None


def _swap(x_P: Tensor, group: dist.ProcessGroup) -> Tensor:
    x_P = x_P.contiguous()
    swapped_P = torch.empty_like(x_P)
    dist.all_to_all_single(swapped_P, x_P, group=group)
    return swapped_P
