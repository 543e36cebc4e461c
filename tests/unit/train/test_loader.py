"""Batches: what is predicted, and that ranks and microbatches only slice one global batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bessemer.tokens.order import SampleOrder
from bessemer.train.loader import IGNORED, Batch, Loader, make_batch
from bessemer.train.trainer import TrainingJob


def test_labels_stop_at_the_border_of_documents_and_in_padding() -> None:
    batch = make_batch([(np.array([0, 5, 6, 1, 0, 7]), np.array([3, 3, 3, 3, 4, 4]))], seq_len=7)
    assert batch.input_ids_BT.tolist() == [[0, 5, 6, 1, 0, 0, 0]]
    assert batch.labels_BT.tolist() == [[5, 6, 1, IGNORED, 7, IGNORED, IGNORED]]
    assert batch.documents_BT.tolist() == [[3, 3, 3, 3, 4, -1, -1]]
    assert batch.num_labels == 4


def concatenate(batches: list[Batch]) -> tuple[torch.Tensor, ...]:
    return tuple(
        torch.cat([getattr(batch, name) for batch in batches])
        for name in ("input_ids_BT", "labels_BT", "documents_BT")
    )


@pytest.mark.parametrize(("num_ranks", "micro"), [(1, 1), (1, 4), (2, 2), (2, 4), (4, 1), (8, 1)])
def test_every_layout_slices_the_same_global_batch(
    make_job: Callable[..., TrainingJob], num_ranks: int, micro: int
) -> None:
    job = make_job()
    order = SampleOrder(job.encoded, job.plan, job.train.seq_len, job.seed)
    for step in range(job.train.num_steps):
        whole = make_batch((order.read(i) for i in range(step * 8, step * 8 + 8)), 16)
        parts = [
            batch
            for rank in range(num_ranks)
            for batch in Loader(
                order=order,
                batch_samples=8,
                microbatch_samples=micro,
                rank=rank,
                num_ranks=num_ranks,
            ).microbatches(step)
        ]
        assert all(len(part.input_ids_BT) == micro for part in parts)
        for ours, expected in zip(concatenate(parts), concatenate([whole]), strict=True):
            assert torch.equal(ours, expected)


def test_every_token_of_a_document_but_its_first_is_predicted_once_per_epoch(
    make_job: Callable[..., TrainingJob],
) -> None:
    job = make_job()
    order = SampleOrder(job.encoded, job.plan, job.train.seq_len, job.seed)
    for stream in order.streams:
        predicted = sum(
            make_batch([stream.read(chunk)], stream.seq_len).num_labels
            for chunk in range(stream.num_chunks)
        )
        num_documents = sum(len(shard.doc_ids) for shard in stream.shards)
        assert predicted == stream.num_tokens - num_documents
