"""How far an optimizer step moved the weights, whatever the optimizer.

The update norm rises before the loss does when a run is about to diverge. Copying all weights to
measure it would cost a pass over memory as long as the optimizer's own, so large tensors are
sampled: evenly spaced elements stand for the others.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_MOST_SAMPLES = 1 << 14  # of one parameter


class UpdateProbe:
    """Remembers samples of the weights before a step and measures what became of them."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self._parts: list[tuple[Tensor, int]] = []
        for parameter in parameters:
            flat = parameter.detach().view(-1)
            stride = -(-flat.numel() // _MOST_SAMPLES)
            # An odd stride meets every column of a matrix whose width is a power of two.
            self._parts.append((flat, stride | 1 if stride > 1 else 1))
        self._before: list[Tensor] = []

    def remember(self) -> None:
        """Call before the optimizer step."""
        self._before = [flat[::stride].clone() for flat, stride in self._parts]

    def squared_norm(self) -> Tensor:
        """float64 scalar: the squared length of the step taken since `remember`.

        Exact for parameters of up to 16,384 elements, estimated from samples for larger ones.
        """
        terms = [
            (flat[::stride] - before).double().square().sum() * (flat.numel() / before.numel())
            for (flat, stride), before in zip(self._parts, self._before, strict=True)
        ]
        return torch.stack(terms).sum()
