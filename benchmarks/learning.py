"""What two learners of the same text have alike: the task, the clock, the loss that is compared.

Runs in the peers' environments too, so it needs nothing but torch and numpy. A learner is measured
in a process of its own; its clock stands still while it is evaluated.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_TOKENS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A text to learn: `train.npy` and `heldout.npy` in `folder` hold its token ids."""

    folder: str
    name: str  # "characters" or "books"
    vocab_size: int
    window: int  # tokens of context, in training and in evaluation
    num_steps: int  # of the learner that reads this; 0 if `budget_s` says when to end
    budget_s: float  # seconds to learn in; 0 if `num_steps` says when to end
    evaluate_every: int  # steps
    threads: int
    seed: int

    def tokens(self, part: str) -> np.ndarray:
        """Token ids, int64: of "train" or of "heldout"."""
        return np.load(Path(self.folder) / f"{part}.npy").astype(np.int64)


class Clock:
    """Seconds since it was started, less those it was paused for."""

    def __init__(self) -> None:
        self._begin, self._paused = time.perf_counter(), 0.0

    def seconds(self) -> float:
        """What it shows."""
        return time.perf_counter() - self._begin - self._paused

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stands still for the time of the block."""
        begin = time.perf_counter()
        yield
        self._paused += time.perf_counter() - begin


class Examiner:
    """Notes how well a learner does, and when: [step, tokens seen, seconds, loss] each time."""

    def __init__(self, task: Task, logits_of: Callable[[Tensor], Tensor]) -> None:
        tokens = torch.from_numpy(task.tokens("heldout"))
        count = (len(tokens) - 1) // task.window
        self._inputs_WT = tokens[: count * task.window].view(count, task.window)
        self._labels_WT = tokens[1 : count * task.window + 1].view(count, task.window)
        self._windows_at_once = max(1, _TOKENS_AT_ONCE // task.window)
        self._logits_of = logits_of  # token ids [W, T] -> logits [W, T, V]
        self.curve: list[tuple[int, int, float, float]] = []

    def examine(self, clock: Clock, step: int, tokens_seen: int) -> None:
        """Add a point to the curve, while the clock stands still."""
        with clock.paused():
            self.curve.append((step, tokens_seen, clock.seconds(), self._loss()))
            print(*self.curve[-1], file=sys.stderr, flush=True)

    @torch.no_grad()
    def _loss(self) -> float:
        """Nats per token: the mean over all positions of all windows, side by side, of the
        held-out text. A random window, as nanoGPT draws them, has the same loss on average."""
        total = 0.0
        for inputs_WT, labels_WT in zip(
            self._inputs_WT.split(self._windows_at_once),
            self._labels_WT.split(self._windows_at_once),
            strict=True,
        ):
            logits_WTV = self._logits_of(inputs_WT)
            total += float(
                functional.cross_entropy(
                    logits_WTV.flatten(0, 1).float(), labels_WT.flatten(), reduction="sum"
                )
            )
        return total / self._labels_WT.numel()


def write_task(task: Task) -> Path:
    """The file by which a learner is told what to do."""
    path = Path(task.folder) / "task.json"
    path.write_text(json.dumps(asdict(task)))
    return path


def read_task(path: str) -> Task:
    """The task in a file; sets the threads, too."""
    task = Task(**json.loads(Path(path).read_text()))
    torch.set_num_threads(task.threads)
    return task


def report(examiner: Examiner, num_parameters: int) -> None:
    """Print the curve as one line of JSON."""
    print(json.dumps({"curve": examiner.curve, "num_parameters": num_parameters}))
