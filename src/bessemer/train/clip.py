"""Clip gradients by their global norm; one that is not finite is found before it spoils anything.

`torch.nn.utils.clip_grad_norm_` multiplies by a factor made from the norm: with one NaN among all
gradients, all become NaN.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from bessemer.model.parts import held_by_this_rank
from bessemer.train.mesh import LONE, Ranks
from bessemer.train.parallel.shares import sum_over_parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Gradient:
    """What was found, before clipping."""

    norm: float  # over all parameters
    nonfinite: tuple[str, ...]  # names of the parameters whose gradient is not finite


@torch.no_grad()
def clip_gradients(
    named_parameters: Iterable[tuple[str, Tensor]],
    max_norm: float,
    ranks: Ranks = LONE,
    copied: Collection[str] = (),
) -> Gradient:
    """Scale all gradients down in place so that their global norm is at most `max_norm`.

    Gradients must be summed over data-parallel ranks already; those of sharded parameters (DTensor)
    stay sharded, and every rank then finds the same. Parameters whose names are `copied` count on
    another rank. Nothing is changed if any gradient is not finite. Squares are summed in float64: a
    finite gradient has a finite norm. A collective.
    """
    named = [(name, each.grad) for name, each in named_parameters if each.grad is not None]
    gradients = [gradient for _, gradient in named]
    if not gradients:
        return Gradient(norm=0.0, nonfinite=())
    squares = _squared_norms(gradients)
    counts = torch.tensor([name not in copied for name, _ in named], device=squares.device)
    norm = math.sqrt(ranks.sum_over_stages(squares.where(counts, 0.0).sum()))
    if not math.isfinite(norm):
        is_sound = squares.isfinite().tolist()
        names = [name for (name, _), sound in zip(named, is_sound, strict=True) if not sound]
        return Gradient(norm=norm, nonfinite=tuple(ranks.gather_from_stages(names)))
    if norm > max_norm:
        torch._foreach_mul_([held_by_this_rank(each) for each in gradients], max_norm / norm)
    return Gradient(norm=norm, nonfinite=())


def _squared_norms(gradients: list[Tensor]) -> Tensor:
    """float64, one for each gradient; what is shared out is summed over the ranks that have it."""
    norms = torch._foreach_norm(
        [held_by_this_rank(each) for each in gradients], 2, dtype=torch.float64
    )
    return sum_over_parts(torch.stack(norms).square(), gradients)
