"""Batches of a run: a pure function of the step, sliced among ranks and microbatches.

Shapes: B sequences, T tokens. The timetable says which samples the global batch of a step holds,
whatever the number of ranks; so a run goes on at any step, with any number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bessemer.config.timetable import Segment, Timetable
from bessemer.core.labels import IGNORED
from bessemer.tokens.digest import digest_samples
from bessemer.tokens.order import READERS, SampleOrder
from bessemer.tokens.sample import Sample
from bessemer.train.ahead import Ahead

BATCHES_AHEAD = 8  # microbatches that are made before they are needed


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Samples side by side; tensors are int64 [B, T] or [B]."""

    input_ids_BT: Tensor
    labels_BT: Tensor  # the next token, or IGNORED at the end of a document and in padding
    documents_BT: Tensor
    """What may be attended together: a number for each piece of a document within its sequence,
    rising from 0 at every border; -1 in padding. Of whole sequences, also where all else is of a
    part of them (`parallel.context.part_of_batch`)."""
    doc_ids_BT: Tensor  # document id of each input token; -1 in padding
    sources_B: Tensor  # index of the source in the order
    samples_B: Tensor  # number of each sample in the run
    digest: int  # of the samples, see tokens.digest

    @property
    def num_labels(self) -> int:
        """Tokens that are predicted."""
        return int((self.labels_BT != IGNORED).sum())

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        names = [name for name in self.__slots__ if name != "digest"]
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        return replace(self, **moved)


def make_batch(samples: Mapping[int, Sample]) -> Batch:
    """Samples of one length, by number, side by side."""
    rows = list(samples.values())

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(row, name) for row in rows]))

    return Batch(
        input_ids_BT=stack("input_ids"),
        labels_BT=stack("labels"),
        documents_BT=stack("pieces"),
        doc_ids_BT=stack("doc_ids"),
        sources_B=torch.tensor([row.source for row in rows]),
        samples_B=torch.tensor(list(samples)),
        digest=digest_samples(samples),
    )


class Loader:
    """One rank's microbatches, made ahead by a thread of its own while the model computes."""

    def __init__(
        self,
        *,
        order: SampleOrder,
        timetable: Timetable,
        microbatch_samples: Callable[[Segment], int],
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        """`microbatch_samples` gives the size of microbatches, a divisor of a rank's share."""
        self._make = partial(_make_step, order, timetable, microbatch_samples, rank, num_ranks)
        self._num_steps = timetable.num_steps
        self._ahead: Ahead[Batch] | None = None
        self._next_step: int | None = None  # the one that the thread has begun, if it was not read

    def microbatches(self, step: int) -> Iterator[Batch]:
        """This rank's share of the global batch of `step` (from 0), in order.

        Fast for steps in a row; any other step makes the thread begin anew from there. What goes
        wrong in the thread is raised here.
        """
        if self._ahead is None or step != self._next_step:
            self.close()
            self._ahead = Ahead(map(self._make, range(step, self._num_steps)), BATCHES_AHEAD)
        self._next_step = None
        yield from self._ahead.take()
        self._next_step = step + 1

    def close(self) -> None:
        """Stop the thread."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None


def _make_step(
    order: SampleOrder,
    timetable: Timetable,
    size_of: Callable[[Segment], int],
    rank: int,
    num_ranks: int,
    step: int,
) -> Iterator[Batch]:
    segment = timetable.segment_of(step)
    size = size_of(segment)
    batch = timetable.samples_of(step)
    share = len(batch) // num_ranks
    mine = batch[rank * share : (rank + 1) * share]
    at_once = -(-READERS // size) * size  # whole microbatches, and enough for all readers
    for first in range(0, share, at_once):
        samples = order.read_many(mine[first : first + at_once])
        for begin in range(first, min(first + at_once, share), size):
            yield make_batch({number: samples[number] for number in mine[begin : begin + size]})
