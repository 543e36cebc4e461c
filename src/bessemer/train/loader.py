"""Batches of a run: a pure function of the step, sliced among ranks and microbatches.

Shapes: B sequences, T tokens. The global batch of step n holds samples n*B to (n+1)*B - 1 whatever
the number of ranks; a loader has no state but the step it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bessemer.tokens.order import SampleOrder

IGNORED = -100  # label of a token that is not predicted; torch's cross-entropy skips it


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Sequences side by side; all tensors are int64 [B, T]."""

    input_ids_BT: Tensor
    labels_BT: Tensor  # the next token, or IGNORED at the end of a document and in padding
    documents_BT: Tensor  # document id of each input token; -1 in padding

    @property
    def num_labels(self) -> int:
        """Tokens that are predicted."""
        return int((self.labels_BT != IGNORED).sum())

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(
            input_ids_BT=self.input_ids_BT.to(device, non_blocking=True),
            labels_BT=self.labels_BT.to(device, non_blocking=True),
            documents_BT=self.documents_BT.to(device, non_blocking=True),
        )


def make_batch(samples: Iterable[tuple[np.ndarray, np.ndarray]], seq_len: int) -> Batch:
    """Stack samples (tokens and their document ids, up to seq_len + 1 each); short ones padded."""
    inputs, labels, documents = [], [], []
    for tokens, doc_ids in samples:
        length = len(tokens) - 1
        same_document = doc_ids[1:] == doc_ids[:-1]
        row = np.zeros(seq_len, np.int64)
        row[:length] = tokens[:-1]
        inputs.append(row)
        row = np.full(seq_len, IGNORED, np.int64)
        row[:length] = np.where(same_document, tokens[1:], IGNORED)
        labels.append(row)
        row = np.full(seq_len, -1, np.int64)
        row[:length] = doc_ids[:-1]
        documents.append(row)
    return Batch(
        input_ids_BT=torch.from_numpy(np.stack(inputs)),
        labels_BT=torch.from_numpy(np.stack(labels)),
        documents_BT=torch.from_numpy(np.stack(documents)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """One rank's microbatches."""

    order: SampleOrder
    batch_samples: int  # of the global batch
    microbatch_samples: int
    rank: int = 0
    num_ranks: int = 1

    def microbatches(self, step: int) -> Iterator[Batch]:
        """This rank's share of the global batch of `step` (from 0), in order."""
        share = self.batch_samples // self.num_ranks
        first = step * self.batch_samples + self.rank * share
        for start in range(first, first + share, self.microbatch_samples):
            samples = range(start, start + self.microbatch_samples)
            yield make_batch((self.order.read(i) for i in samples), self.order.seq_len)
