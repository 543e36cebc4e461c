"""Lanes: microbatches of one process side by side, each in a thread of its own.

Threads that share every matrix product wait for each other after every operation; lanes meet once
per step. All lanes read the same weights, and add to one gradient per parameter: as soon as a
microbatch has found its part, and in the order of microbatches, whichever lane is faster. So the
sum is that of one lane, and gradients are held once, not once per lane.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

import torch
from torch import Tensor, nn

from bessemer.train.loader import Batch

T = TypeVar("T")


class Lanes:
    """A module, its twins if there are several lanes, and the threads that compute them."""

    def __init__(self, module: nn.Module, num_lanes: int) -> None:
        """Gradients become those of `module`; a lone lane computes it, several compute twins."""
        self.num_lanes, self.module = num_lanes, module
        self.twins = [_twin(module) for _ in range(num_lanes)] if num_lanes > 1 else []
        self._pool = ThreadPoolExecutor(max(1, num_lanes - 1), "lane")

    def map(self, compute: Callable[[nn.Module, Batch], T], batches: Sequence[Batch]) -> list[T]:
        """What `compute`, which differentiates the module it is given once, returns for each batch;
        the sum of all gradients is added to the module's. Batch i goes to lane i modulo their
        number."""
        if not self.twins:
            return [compute(self.module, batch) for batch in batches]
        threads, num_lanes = torch.get_num_threads(), self.num_lanes
        sums = [_Sum(parameter) for parameter in self.module.parameters()]

        def drive(lane: int) -> list[T]:
            torch.set_num_threads(max(1, threads // num_lanes))  # of this thread alone
            twin, found = self.twins[lane], []
            for turn in range(lane, len(batches), num_lanes):
                with _giving_gradients(twin, sums, turn):
                    found.append(compute(twin, batches[turn]))
            return found

        others = [self._pool.submit(drive, lane) for lane in range(1, num_lanes)]
        try:
            first = drive(0)
        finally:
            wait(others)
            torch.set_num_threads(threads)
        found = [first, *(lane.result() for lane in others)]
        return [found[index % num_lanes][index // num_lanes] for index in range(len(batches))]

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown()


class _Sum:
    """The gradient of one parameter, to which lanes add in turn. Who comes too early waits for
    nobody: whoever's turn it is adds what is waiting, too."""

    def __init__(self, parameter: Tensor) -> None:
        self._parameter, self._lock = parameter, Lock()
        self._turn = 0
        self._waiting: dict[int, Tensor | None] = {}

    def add(self, turn: int, gradient: Tensor | None) -> None:
        """Every turn comes once; None if it has no gradient."""
        with self._lock:
            self._waiting[turn] = gradient
            while self._turn in self._waiting:
                gradient = self._waiting.pop(self._turn)
                self._turn += 1
                if self._parameter.grad is None:
                    self._parameter.grad = gradient
                elif gradient is not None:
                    self._parameter.grad.add_(gradient)


@contextmanager
def _giving_gradients(twin: nn.Module, sums: Sequence[_Sum], turn: int) -> Iterator[None]:
    """Within the block each gradient of `twin` goes to its sum as soon as it is there."""
    left: dict[Tensor, _Sum] = dict(zip(twin.parameters(), sums, strict=True))

    def give(parameter: Tensor) -> None:
        gradient, parameter.grad = parameter.grad, None
        left.pop(parameter).add(turn, gradient)

    handles = [
        parameter.register_post_accumulate_grad_hook(give)  # type: ignore[no-untyped-call]
        for parameter in left
        if parameter.requires_grad
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    for each in left.values():
        each.add(turn, None)


def _twin(module: nn.Module) -> nn.Module:
    """A copy that shares every parameter's and buffer's memory and has no gradients."""
    shared: dict[int, Tensor] = {id(buffer): buffer for buffer in module.buffers()}
    for each in module.parameters():
        shared[id(each)] = nn.Parameter(each.detach(), each.requires_grad)
    return copy.deepcopy(module, shared)
