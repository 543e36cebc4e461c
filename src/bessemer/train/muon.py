"""Muon: descent whose steps are orthogonal matrices, so that all directions move equally far.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon: the step of a weight matrix is the
polar factor of its momentum.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate

from bessemer.model.parts import held_by_this_rank, part_of_this_rank
from bessemer.train.polar import orthogonalize

_MOST_ELEMENTS = 1 << 23  # of the matrices that are worked on at once: bounds memory


class Muon(torch.optim.Optimizer):
    """For parameters of two dims or more: the last two are a matrix, others count matrices.

    A step is `lr * scale` times an orthogonal matrix, after decoupled decay by `lr * weight_decay`.
    For R rows and C columns, `scale` is 0.2 * sqrt(max(R, C)) if "adamw" (entries are as large as
    AdamW's steps: Moonlight, arXiv 2502.16982, section 2.2), sqrt(max(1, R / C)) if "spectral"
    (Jordan). R and C are those of the whole matrix, where ranks share it out too.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        momentum: float = 0.95,
        nesterov: bool = True,
        scale: str = "adamw",
    ) -> None:
        """Each group gives `params`, `lr` and `weight_decay`."""
        super().__init__(groups, {"momentum": momentum, "nesterov": nesterov, "scale": scale})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Move the parameters that have a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[tuple(parameter.shape)].append(parameter)
            for shape, parameters in alike.items():
                at_once = max(1, _MOST_ELEMENTS // math.prod(shape))
                for first in range(0, len(parameters), at_once):
                    self._move(parameters[first : first + at_once], group)

    def _move(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Move parameters of one shape."""
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        steps = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(steps, gradients, 1 - group["momentum"])
        if group["nesterov"]:
            steps = list(torch._foreach_lerp(gradients, steps, group["momentum"]))
        rows, columns = parameters[0].shape[-2:]
        is_adamw = group["scale"] == "adamw"
        scale = (
            0.2 * math.sqrt(max(rows, columns)) if is_adamw else math.sqrt(max(1, rows / columns))
        )
        directions = orthogonalize(torch.stack([_whole_matrices(step) for step in steps]))
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        for parameter, direction in zip(parameters, directions, strict=True):
            part = direction[(..., *part_of_this_rank(parameter)[-2:])]
            held_by_this_rank(parameter).add_(part, alpha=-group["lr"] * scale)


def _whole_matrices(tensor: Tensor) -> Tensor:
    """The matrices of which this rank holds a part, whole; of a stack that ranks share out matrix
    by matrix, those that it holds."""
    if not isinstance(tensor, DTensor):
        return tensor
    first = tensor.ndim - 2
    placements = [
        Replicate() if getattr(each, "dim", -1) >= first else each for each in tensor.placements
    ]
    return held_by_this_rank(tensor.redistribute(placements=placements))
