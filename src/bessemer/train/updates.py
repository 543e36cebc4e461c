"""How far an optimizer step moved the weights, whatever the optimizer.

The update norm rises before the loss does when a run is about to diverge. Copying all weights to
measure it would cost a pass over memory as long as the optimizer's own, so large tensors are
sampled: evenly spaced elements stand for the others.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from bessemer.model.parts import held_by_this_rank, part_of_this_rank
from bessemer.train.mesh import LONE, Ranks
from bessemer.train.parallel.shares import sum_over_parts

_MOST_SAMPLES = 1 << 14  # of one parameter


class UpdateProbe:
    """Remembers samples of the weights before a step and measures what became of them."""

    def __init__(self, parameters: Iterable[Tensor], ranks: Ranks = LONE) -> None:
        """Of those that this rank holds, or its parts of them; none may count on two ranks."""
        self._parameters, self._ranks = list(parameters), ranks
        self._samples = [_Samples(parameter) for parameter in self._parameters]
        self._before: list[Tensor] = []

    def remember(self) -> None:
        """Call before the optimizer step."""
        self._before = [samples.read() for samples in self._samples]

    def squared_norm(self) -> Tensor:
        """float64 scalar: the squared length of the step taken since `remember`.

        Exact for parameters of up to 16,384 elements, estimated from samples for larger ones, which
        are the same ones however ranks share the parameter out. A collective.
        """
        terms = [
            (samples.read() - before).double().square().sum() * samples.weight
            for samples, before in zip(self._samples, self._before, strict=True)
        ]
        mine = sum_over_parts(torch.stack(terms), self._parameters).sum()
        return self._ranks.sum_over_stages(mine)


class _Samples:
    """Every so manyth element of a parameter, as far as this rank holds it."""

    def __init__(self, parameter: Tensor) -> None:
        total = parameter.numel()
        stride = -(-total // _MOST_SAMPLES)
        # An odd stride meets every column of a matrix whose width is a power of two.
        stride = stride | 1 if stride > 1 else 1
        self._flat = held_by_this_rank(parameter.detach()).view(-1)
        self.weight = total / -(-total // stride)  # elements that a sample stands for
        self._places: slice | Tensor = slice(None, None, stride)
        if isinstance(parameter, DTensor):
            self._places = _places_in_part(parameter, torch.arange(0, total, stride))

    def read(self) -> Tensor:
        """A copy of the samples."""
        return self._flat[self._places].clone()


def _places_in_part(parameter: Tensor, flat: Tensor) -> Tensor:
    """Of elements with these places in the whole, where those lie that are in this rank's part."""
    part = part_of_this_rank(parameter)
    within = torch.zeros_like(flat)
    is_here = torch.ones_like(flat, dtype=torch.bool)
    for cut, index in zip(part, torch.unravel_index(flat, parameter.shape), strict=True):
        is_here &= (index >= cut.start) & (index < cut.stop)
        within = within * (cut.stop - cut.start) + index - cut.start
    return within[is_here].to(held_by_this_rank(parameter).device)
