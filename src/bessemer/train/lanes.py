"""Lanes: microbatches of one process side by side, each in a thread with gradients of its own.

Threads that share every matrix product wait for each other after every operation; lanes meet once
per step. All lanes read the same weights. Microbatch i goes to lane i modulo their number, and
gradients are added up lane by lane: the sum does not depend on which lane is faster.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch
from torch import Tensor, nn

from bessemer.train.loader import Batch

T = TypeVar("T")


class Lanes:
    """A module and its twins, and the threads that compute them."""

    def __init__(self, module: nn.Module, num_lanes: int) -> None:
        """`module` is the first lane; its gradients become those of all."""
        self.modules = (module, *(_twin(module) for _ in range(num_lanes - 1)))
        self._pool = ThreadPoolExecutor(num_lanes, "lane")

    def map(self, compute: Callable[[nn.Module, Batch], T], batches: Sequence[Batch]) -> list[T]:
        """What `compute`, which adds to the gradients of the module it is given, returns for each
        batch; afterwards the sum of all gradients is the first module's."""
        if len(self.modules) == 1:
            return [compute(self.modules[0], batch) for batch in batches]
        threads, num_lanes = torch.get_num_threads(), len(self.modules)

        def drive(lane: int) -> list[T]:
            torch.set_num_threads(max(1, threads // num_lanes))  # of this thread alone
            module = self.modules[lane]
            return [compute(module, batch) for batch in batches[lane::num_lanes]]

        try:
            driven = [self._pool.submit(drive, lane) for lane in range(num_lanes)]
            wait(driven)
        finally:
            torch.set_num_threads(threads)
        found = [lane.result() for lane in driven]
        for twin in self.modules[1:]:
            _move_gradients(twin, self.modules[0])
        return [found[index % num_lanes][index // num_lanes] for index in range(len(batches))]

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown()


def _twin(module: nn.Module) -> nn.Module:
    """A copy that shares every parameter's and buffer's memory and has no gradients yet."""
    shared: dict[int, Tensor] = {id(buffer): buffer for buffer in module.buffers()}
    for each in module.parameters():
        shared[id(each)] = nn.Parameter(each.detach(), each.requires_grad)
    return copy.deepcopy(module, shared)


def _move_gradients(giver: nn.Module, taker: nn.Module) -> None:
    for from_, to in zip(giver.parameters(), taker.parameters(), strict=True):
        if from_.grad is None:
            continue
        if to.grad is None:
            to.grad = from_.grad
        else:
            to.grad.add_(from_.grad)
        from_.grad = None
