"""Batches of a run: a pure function of the step, sliced among ranks and microbatches.

Shapes: B sequences, T tokens. The timetable says which samples the global batch of a step holds,
whatever the number of ranks; a loader has no state but the step it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bessemer.config.check import microbatch_samples
from bessemer.config.cluster import ClusterConfig
from bessemer.config.timetable import Timetable
from bessemer.tokens.digest import digest_samples
from bessemer.tokens.order import SampleOrder
from bessemer.tokens.sample import IGNORED, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Samples side by side; tensors are int64 [B, T] or [B]."""

    input_ids_BT: Tensor
    labels_BT: Tensor  # the next token, or IGNORED at the end of a document and in padding
    documents_BT: Tensor
    """What may be attended together: a number for each piece of a document within its sequence,
    rising from 0 at every border; -1 in padding."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """One rank's microbatches."""

    order: SampleOrder
    timetable: Timetable
    cluster: ClusterConfig
    rank: int = 0
    num_ranks: int = 1

    def microbatches(self, step: int) -> Iterator[Batch]:
        """This rank's share of the global batch of `step` (from 0), in order."""
        segment = self.timetable.segment_of(step)
        size = microbatch_samples(segment, self.cluster, self.num_ranks)
        samples = self.timetable.samples_of(step)
        share = len(samples) // self.num_ranks
        mine = samples[self.rank * share : (self.rank + 1) * share]
        for first in range(0, share, size):
            yield make_batch({number: self.order.read(number) for number in mine[first:][:size]})
