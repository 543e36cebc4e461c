"""Batches: that ranks and microbatches only slice one global batch, and what is predicted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xxhash

from bessemer.config.timetable import make_timetable
from bessemer.core.errors import IntegrityError
from bessemer.core.labels import IGNORED
from bessemer.tokens.digest import NO_STEPS, add_digests, chain_digest
from bessemer.tokens.order import SampleOrder
from bessemer.tokens.sample import Sample
from bessemer.train.job import TrainingJob
from bessemer.train.loader import Batch, Loader, make_batch

TENSORS = (
    "input_ids_BT", "labels_BT", "documents_BT", "doc_ids_BT", "sources_B", "samples_B",
)  # fmt: skip


def make_sample(*rows: tuple[int, int, int, int], source: int = 0) -> Sample:
    """From (token, label, document, piece) for each place."""
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)]
    input_ids, labels, doc_ids, pieces = columns
    return Sample(input_ids=input_ids, labels=labels, doc_ids=doc_ids, pieces=pieces, source=source)


def test_a_batch_is_its_samples_side_by_side() -> None:
    first = make_sample((0, 5, 30, 0), (5, IGNORED, 30, 0), (0, 6, 31, 1), source=1)
    second = make_sample((7, 8, 40, 0), (8, IGNORED, 40, 0), (0, IGNORED, -1, -1))
    batch = make_batch({12: first, 9: second})
    assert batch.input_ids_BT.tolist() == [[0, 5, 0], [7, 8, 0]]
    assert batch.labels_BT.tolist() == [[5, IGNORED, 6], [8, IGNORED, IGNORED]]
    assert batch.documents_BT.tolist() == [[0, 0, 1], [0, 0, -1]]
    assert batch.doc_ids_BT.tolist() == [[30, 30, 31], [40, 40, -1]]
    assert (batch.sources_B.tolist(), batch.samples_B.tolist()) == ([1, 0], [12, 9])
    assert all(getattr(batch, name).dtype == torch.int64 for name in TENSORS)
    assert batch.num_labels == 3
    hashes = [
        xxhash.xxh3_64_intdigest(b"".join(token.to_bytes(8, "little") for token in row), number)
        for number, row in ((12, [0, 5, 0]), (9, [7, 8, 0]))
    ]
    assert batch.digest == sum(hashes) % 2**64


@pytest.mark.parametrize(("num_ranks", "micro"), [(1, 1), (1, 4), (2, 2), (2, 4), (4, 1), (8, 1)])
def test_every_layout_slices_the_same_global_batch(
    make_job: Callable[..., TrainingJob], num_ranks: int, micro: int
) -> None:
    job = make_job()
    order = SampleOrder(job.encoded, job.plan, job.seed)
    timetable = make_timetable(job.train)
    for step in range(timetable.num_steps):
        whole = make_batch({i: order.read(i) for i in range(step * 8, step * 8 + 8)})
        parts = [
            batch
            for rank in range(num_ranks)
            for batch in Loader(
                order=order,
                timetable=timetable,
                microbatch_samples=lambda _: micro,
                rank=rank,
                num_ranks=num_ranks,
            ).microbatches(step)
        ]
        assert all(len(part.input_ids_BT) == micro for part in parts)
        for name in TENSORS:
            together = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(together, getattr(whole, name)), name
        assert sum(part.digest for part in parts) % 2**64 == whole.digest


def test_every_token_of_a_document_but_its_first_is_predicted_in_an_epoch(
    make_job: Callable[..., TrainingJob],
) -> None:
    job = make_job(num_steps=120)  # more than an epoch of either source
    order = SampleOrder(job.encoded, job.plan, job.seed)
    for source, chunks in enumerate(order.chunks):
        stream, predicted = chunks.stream, set()
        for sample in order.samples_with(source, 0, stream.num_tokens):
            place = 0
            for part in order.locate(sample).ranges:
                start = stream.position_of(part.shard, part.token_start)
                labels = order.read(sample).labels[place : place + part.num_tokens]
                place += part.num_tokens
                predicted |= {start + at + 1 for at in np.flatnonzero(labels != IGNORED).tolist()}
        begins = {
            stream.position_of(name, row["token_start"])
            for name in stream.names
            for row in stream.shard(name).documents().to_pylist()
        }
        assert predicted == set(range(stream.num_tokens)) - begins


def make_loader(job: TrainingJob, rank: int = 0, num_ranks: int = 1) -> Loader:
    return Loader(
        order=SampleOrder(job.encoded, job.plan, job.seed),
        timetable=make_timetable(job.train),
        microbatch_samples=lambda _: 2,
        rank=rank,
        num_ranks=num_ranks,
    )


def test_steps_may_be_asked_for_in_any_order_and_left_unread(
    make_job: Callable[..., TrainingJob],
) -> None:
    job = make_job(num_steps=8)
    loader = make_loader(job)
    expected = {step: [*map(ids_of, loader.microbatches(step))] for step in range(8)}
    assert len({ids for batches in expected.values() for ids in batches}) == 32
    for step in (5, 6, 7, 0, 1, 1, 7, 3):
        assert [*map(ids_of, loader.microbatches(step))] == expected[step]
    first = next(loader.microbatches(4))  # the others of this step are never read
    assert ids_of(first) == expected[4][0]
    for step in (5, 4):
        assert [*map(ids_of, loader.microbatches(step))] == expected[step]
    loader.close()
    assert [*map(ids_of, make_loader(job).microbatches(6))] == expected[6]  # as after a resume


def ids_of(batch: Batch) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, batch.input_ids_BT.tolist()))


def test_what_goes_wrong_in_the_thread_is_raised_to_the_reader(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    job = make_job()
    shutil.copytree(job.encoded, tmp_path / "broken")
    for path in (tmp_path / "broken" / "train").glob("*.bin"):
        path.write_bytes(path.read_bytes()[:-2])
    loader = make_loader(replace(job, encoded=tmp_path / "broken"))
    with pytest.raises(IntegrityError, match="do not belong together"):
        list(loader.microbatches(0))


@pytest.mark.parametrize("num_ranks", [1, 2, 4])
@pytest.mark.parametrize("resumed_at", [None, 1, 4])
def test_the_digest_proves_that_no_sample_is_lost_or_repeated(
    make_job: Callable[..., TrainingJob], num_ranks: int, resumed_at: int | None
) -> None:
    job = make_job()
    order = SampleOrder(job.encoded, job.plan, job.seed)

    def chain(steps: range, loaders: list[Loader], digest: int) -> int:
        for step in steps:
            parts = [batch.digest for each in loaders for batch in each.microbatches(step)]
            digest = chain_digest(digest, add_digests(parts))
        return digest

    def start(ranks: int) -> list[Loader]:
        return [make_loader(job, rank, ranks) for rank in range(ranks)]

    if resumed_at is None:
        found = chain(range(6), start(num_ranks), NO_STEPS)
    else:  # by another number of ranks
        found = chain(range(resumed_at), start(num_ranks), NO_STEPS)
        found = chain(range(resumed_at, 6), start(4 // num_ranks), found)
    expected = 0
    for step in range(6):
        total = 0
        for sample in range(8 * step, 8 * step + 8):
            data = order.read(sample).input_ids.astype("<i8").tobytes()
            total += xxhash.xxh3_64_intdigest(data, sample)
        pair = expected.to_bytes(8, "little") + (total % 2**64).to_bytes(8, "little")
        expected = xxhash.xxh3_64_intdigest(pair)
    assert found == expected
    # A step taken twice, one left out, two that changed places: each is another digest.
    loaders = start(1)
    for steps in ([0, 1, 1, 2, 3, 4, 5], [0, 1, 3, 4, 5], [0, 2, 1, 3, 4, 5]):
        digest = NO_STEPS
        for step in steps:
            digest = chain(range(step, step + 1), loaders, digest)
        assert digest != expected
