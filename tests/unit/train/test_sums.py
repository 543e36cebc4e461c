"""Sums of a step by source against a token-by-token count."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from bessemer.core.layout import METRICS, STEPS
from bessemer.core.storage import read_jsonl
from bessemer.tokens.digest import NO_STEPS, chain_digest, digest_samples
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.sums import sum_step
from bessemer.train.trainer import Trainer

MakeJob = Callable[..., TrainingJob]


def test_losses_and_bits_per_byte_of_each_source(make_job: MakeJob) -> None:
    trainer = Trainer(make_job(), Launch())
    batches = list(trainer.loader.microbatches(0))
    generator = torch.Generator().manual_seed(0)
    nats, expected = [], {}
    for batch in batches:
        values = torch.rand(batch.labels_BT.shape, generator=generator)
        values[batch.labels_BT < 0] = 0.0
        nats.append(values.flatten())
        for row, place in (batch.labels_BT >= 0).nonzero().tolist():
            source = trainer.order.sources[int(batch.sources_B[row])]
            size = int(trainer.token_bytes[batch.labels_BT[row, place]])
            expected.setdefault(source, []).append((float(values[row, place]), size))
    found = sum_step(batches, nats, trainer.token_bytes, trainer.order.sources, leave=False)
    everything = [pair for pairs in expected.values() for pair in pairs]
    assert set(expected) == {"notes", "logs"}
    assert found.loss == pytest.approx(mean_nats(everything))
    assert found.bits_per_byte == pytest.approx(bits_per_byte(everything))
    assert found.losses == pytest.approx({s: mean_nats(p) for s, p in expected.items()})
    assert found.bits_per_byte_of == pytest.approx(
        {source: bits_per_byte(pairs) for source, pairs in expected.items()}
    )
    assert not found.leave


def mean_nats(pairs: list[tuple[float, int]]) -> float:
    return math.fsum(nats for nats, _ in pairs) / len(pairs)


def bits_per_byte(pairs: list[tuple[float, int]]) -> float:
    nats = math.fsum(nats for nats, size in pairs if size)
    return nats / math.log(2) / sum(size for _, size in pairs)


def test_a_batch_without_text_has_no_bits_per_byte(make_job: MakeJob) -> None:
    trainer = Trainer(make_job(), Launch())
    batches = list(trainer.loader.microbatches(0))
    nats = [torch.zeros(batch.labels_BT.numel()) for batch in batches]
    no_bytes = torch.zeros_like(trainer.token_bytes)
    found = sum_step(batches, nats, no_bytes, trainer.order.sources, leave=True)
    assert found.bits_per_byte is None
    assert found.bits_per_byte_of == {}
    assert found.leave


def test_the_digest_on_record_is_that_of_the_samples_in_order(make_job: MakeJob) -> None:
    job = make_job()
    trainer = Trainer(job, Launch())
    trainer.run()
    digest, expected = NO_STEPS, []
    for step in range(6):
        samples = {n: trainer.order.read(n) for n in range(8 * step, 8 * step + 8)}
        digest = chain_digest(digest, digest_samples(samples))
        expected.append(f"{digest:016x}")
    rows = read_jsonl(job.folder / METRICS / STEPS)
    assert [row["samples_digest"] for row in rows] == expected
