"""Training with dropout does not depend on microbatches, and measures without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from bessemer.config.cluster import ClusterConfig
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.objective import accumulate_gradients
from bessemer.train.trainer import Trainer


def test_microbatches_drop_the_same(make_job: Callable[..., TrainingJob]) -> None:
    job = make_job()
    job = replace(job, model=job.model.model_copy(update={"dropout": 0.3}))
    seq_len, gradients, nats = job.train.seq_len, [], []
    for samples in (8, 2, 1):
        cluster = ClusterConfig(device="cpu", threads=1, microbatch_tokens=samples * seq_len)
        with process_group(cluster, Launch(), torch.device("cpu")):
            trainer = Trainer(replace(job, cluster=cluster), Launch())
            found, _ = accumulate_gradients(
                trainer.learner.lanes, list(trainer.loader.microbatches(0))
            )
        nats.append(torch.cat(found))
        gradients.append([p.grad for p in trainer.learner.decoder.parameters()])
        assert len(found) == 8 // samples
    for other, gradient in zip(nats[1:], gradients[1:], strict=True):
        # The same sums of float32 in another order.
        torch.testing.assert_close(other, nats[0], atol=1e-5, rtol=1e-5)
        for ours, theirs in zip(gradient, gradients[0], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)
    plain = replace(job, model=job.model.model_copy(update={"dropout": 0.0}))
    with process_group(plain.cluster, Launch(), torch.device("cpu")):
        trainer = Trainer(plain, Launch())
        found, _ = accumulate_gradients(trainer.learner.lanes, list(trainer.loader.microbatches(0)))
    assert not torch.allclose(torch.cat(found), nats[0])
