"""The exponential moving average of the weights: what is evaluated and exported, if asked for.

A half-life in tokens, not a decay per step, means the same under any batch, and under a batch that
grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bessemer.model.parts import held_by_this_rank


class Average:
    """The average of a model's parameters over the tokens trained on so far.

    Weights after an update of n tokens, h of them the half-life, count 1 - 2^(-n/h), and all before
    them 2^(-n/h) of what they did. Divided by what has been counted, so that the average does not
    lean to the initial weights, which do not count (as Adam's moments are corrected: arXiv
    1412.6980, section 3).
    """

    def __init__(self, model: nn.Module, half_life_tokens: int) -> None:
        self.half_life_tokens = half_life_tokens
        self._weights = {name: each.detach() for name, each in model.named_parameters()}
        self._averages = {name: each.clone() for name, each in self._weights.items()}
        self._counted = torch.zeros((), dtype=torch.float64)

    @torch.no_grad()
    def update(self, num_tokens: int) -> None:
        """Take in the present weights, after an optimizer step on `num_tokens` tokens."""
        kept = 0.5 ** (num_tokens / self.half_life_tokens)
        self._counted.mul_(kept).add_(1 - kept)
        share = (1 - kept) / float(self._counted)
        averages, weights = (
            [held_by_this_rank(each) for each in tensors.values()]
            for tensors in (self._averages, self._weights)
        )
        torch._foreach_lerp_(averages, weights, share)

    def tensors(self) -> dict[str, Tensor]:
        """All of its state, to be saved, or filled in place by loading: averages by the names of
        parameters, and what has been counted."""
        return {**self._averages, "counted": self._counted}

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Within the block the model has the averages; its weights come back bit for bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        # Values, not tensors: compiled layers and optimizers hold on to the tensors.
        for name, weight in self._weights.items():
            kept = weight.clone()
            weight.copy_(self._averages[name])
            self._averages[name].copy_(kept)
