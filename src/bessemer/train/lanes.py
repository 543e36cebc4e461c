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
from threading import Condition, Semaphore
from typing import TypeVar

import torch
from torch import Tensor, nn

from bessemer.train.loader import Batch

T = TypeVar("T")
_MOST_LEFT = 8  # gradients that wait for their turn; without room for any, lanes lose 5 % of time


class Lanes:
    """A module, its twins if there are several lanes, and the threads that compute them."""

    def __init__(self, module: nn.Module, num_lanes: int) -> None:
        """Gradients become those of `module`; a lone lane computes it, several compute twins."""
        self.num_lanes, self.module = num_lanes, module
        self.twins = [_twin(module) for _ in range(num_lanes)] if num_lanes > 1 else []
        self._pool = ThreadPoolExecutor(max(1, num_lanes - 1), "lane")

    def parameters(self) -> Sequence[Tensor]:
        """Those of the module."""
        return list(self.module.parameters())

    def map(self, compute: Callable[[nn.Module, Batch], T], batches: Sequence[Batch]) -> list[T]:
        """What `compute`, which differentiates the module it is given once, returns for each batch;
        the sum of all gradients is added to the module's. Batch i goes to lane i modulo their
        number."""
        if not self.twins:
            return [compute(self.module, batch) for batch in batches]
        threads, num_lanes = torch.get_num_threads(), self.num_lanes
        room = Semaphore(_MOST_LEFT)
        sums = [_Sum(parameter, room) for parameter in self.module.parameters()]

        def drive(lane: int) -> list[T]:
            torch.set_num_threads(max(1, threads // num_lanes))  # of this thread alone
            twin, found = self.twins[lane], []
            try:
                for turn in range(lane, len(batches), num_lanes):
                    with _giving_gradients(twin, sums, turn):
                        found.append(compute(twin, batches[turn]))
            except BaseException:
                for each in sums:
                    each.give_up()
                raise
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
    """The gradient of one parameter, to which lanes add in turn. Who comes too early leaves it for
    whoever's turn it is, or waits if too many are left already: they take memory."""

    def __init__(self, parameter: Tensor, room: Semaphore) -> None:
        self._parameter, self._room, self._changed = parameter, room, Condition()
        self._turn, self._is_over = 0, False
        self._left: dict[int, Tensor | None] = {}

    def add(self, turn: int, gradient: Tensor | None) -> None:
        """Every turn comes once; None if it has no gradient."""
        with self._changed:
            if turn != self._turn and self._room.acquire(blocking=False):
                self._left[turn] = gradient
                return
            self._changed.wait_for(lambda: self._turn == turn or self._is_over)
            self._add_now(gradient)
            while self._turn in self._left:
                self._add_now(self._left.pop(self._turn))
                self._room.release()
            self._changed.notify_all()

    def _add_now(self, gradient: Tensor | None) -> None:
        if self._parameter.grad is None:
            self._parameter.grad = gradient
        elif gradient is not None:
            self._parameter.grad.add_(gradient)
        self._turn += 1

    def give_up(self) -> None:
        """Let nobody wait any more: a turn will never come."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


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
