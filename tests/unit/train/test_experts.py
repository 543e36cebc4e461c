"""A mixture of experts in the loop: balanced once per step, on the counts of the whole batch."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ExpertsConfig
from bessemer.core.layout import CHECKPOINTS
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.objective import accumulate_gradients
from bessemer.train.trainer import Trainer

MakeJob = Callable[..., TrainingJob]


def with_experts(job: TrainingJob, scoring: str, **cluster: object) -> TrainingJob:
    experts = ExpertsConfig.model_validate(
        {
            "num_experts": 4,
            "experts_per_token": 2,
            "ffn_dim": 16,
            "num_shared": int(scoring == "sigmoid"),
            "scoring": scoring,
        }
    )
    config = ClusterConfig.model_validate({"device": "cpu", "threads": 1, **cluster})
    return replace(job, model=job.model.model_copy(update={"experts": experts}), cluster=config)


def one_step(job: TrainingJob) -> tuple[Trainer, torch.Tensor]:
    trainer = Trainer(job, Launch())
    _, counts_LE = accumulate_gradients(trainer.learner.lanes, list(trainer.loader.microbatches(0)))
    assert counts_LE is not None
    trainer.learner.update(counts_LE, num_tokens=128)
    return trainer, counts_LE


@pytest.mark.parametrize("recompute", ["none", "full"])
@pytest.mark.parametrize("micro_samples", [8, 1])
def test_counts_are_those_of_the_batch_however_it_is_cut(
    make_job: MakeJob, micro_samples: int, recompute: str
) -> None:
    job = with_experts(
        make_job(), "sigmoid", microbatch_tokens=16 * micro_samples, recompute=recompute
    )
    trainer, counts_LE = one_step(job)
    # Every token passes two experts in each of two layers; no sample of this corpus is padded.
    assert counts_LE.sum(dim=1).tolist() == [2 * 8 * 16] * 2
    whole, expected_LE = one_step(with_experts(make_job(), "sigmoid"))
    assert torch.equal(counts_LE, expected_LE)
    for layer, counts_E in zip(trainer.learner.decoder.layers, counts_LE, strict=True):
        bias_E = layer.mlp.gate.e_score_correction_bias
        # Once per step: each bias has moved by the rate, towards what had few.
        assert torch.equal(bias_E, 1e-3 * (counts_E.double().mean() - counts_E).sign().float())
    for (name, one), (_, two) in zip(
        trainer.learner.decoder.named_parameters(),
        whole.learner.decoder.named_parameters(),
        strict=True,
    ):
        torch.testing.assert_close(one.grad, two.grad, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("scoring", ["sigmoid", "softmax"])
def test_training_with_experts_resumes_bit_for_bit(make_job: MakeJob, scoring: str) -> None:
    undisturbed = with_experts(make_job("whole", num_steps=4), scoring)
    whole = Trainer(undisturbed, Launch())
    whole.run()
    job = with_experts(make_job("parts", num_steps=4), scoring)
    shutil.copytree(undisturbed.folder, job.folder)
    for step in (3, 4):
        shutil.rmtree(job.folder / CHECKPOINTS / f"step-{step:08d}")
    again = Trainer(job, Launch())
    again.run()
    expected, found = whole.learner.decoder.state_dict(), again.learner.decoder.state_dict()
    assert any(
        "gate." in name and "weight" not in name for name in expected
    )  # the balance is there
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
