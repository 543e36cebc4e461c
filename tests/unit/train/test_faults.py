"""Faults put into real training: what the guard does about them, and what it leaves on record.

A fault is a gradient that is multiplied on its way back, in one step: by 1e8 for a spike, by NaN.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
import torch

from bessemer.config.train import GuardConfig
from bessemer.core.errors import TrainingError
from bessemer.core.ids import format_doc_id
from bessemer.core.layout import CHECKPOINTS, EVIDENCE, GUARD, METRICS, STEPS
from bessemer.core.storage import read_json, read_jsonl
from bessemer.train.checkpoints.checkpoint import load_model
from bessemer.train.clip import clip_gradients
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.objective import accumulate_gradients
from bessemer.train.schedule import rate_factor
from bessemer.train.trainer import Trainer

MakeJob = Callable[..., TrainingJob]
SPIKE, NAN = 1e8, math.nan


def with_guard(job: TrainingJob, every_steps: int = 1, **guard: object) -> TrainingJob:
    checkpoint = job.train.checkpoint.model_copy(update={"every_steps": every_steps})
    config = GuardConfig.model_validate({"min_steps": 8, **guard})
    train = job.train.model_copy(update={"guard": config, "checkpoint": checkpoint})
    return replace(job, train=train)


def make_trainer(job: TrainingJob, fault: float = 1.0, steps: Iterable[int] = ()) -> Trainer:
    """A trainer whose gradients go wrong in some batches (from 0)."""
    trainer = Trainer(job, Launch())
    faulty = set(steps)
    weight = trainer.learner.decoder.layers[1].mlp.up_proj.weight
    weight.register_hook(lambda grad: grad * fault if trainer.step in faulty else grad)
    return trainer


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {
        name: each.detach().clone() for name, each in trainer.learner.decoder.named_parameters()
    }


def assert_equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    for name, weight in one.items():
        assert torch.equal(weight, two[name]), name


def recorded_steps(job: TrainingJob) -> list[int]:
    return [row["step"] for row in read_jsonl(job.folder / METRICS / STEPS)]


def test_a_gradient_that_is_not_finite_stops_training_before_it_poisons(make_job: MakeJob) -> None:
    job = make_job()
    trainer = make_trainer(job, NAN, [2])
    with pytest.raises(TrainingError, match=r"step 3: gradient norm is nan.*checkpoint is sound"):
        trainer.run()
    left = weights_of(trainer)
    assert load_model(job.folder / CHECKPOINTS, trainer.learner.decoder).step == 2
    assert_equal(left, weights_of(trainer))
    found = read_json(job.folder / METRICS / EVIDENCE / "step-00000003.json")
    assert found["action"] == "stop"
    assert found["nonfinite_gradients"] == ["layers.1.mlp.up_proj.weight"]
    assert found["alarms"] == [
        {"signal": "gradient norm", "value": "nan", "median": None, "deviations": None}
    ]
    assert recorded_steps(job) == [1, 2]


def test_evidence_names_every_document_with_its_own_loss(make_job: MakeJob) -> None:
    job = make_job()
    trainer = make_trainer(job, NAN, [0])
    batches = list(trainer.loader.microbatches(0))
    nats: dict[str, list[float]] = {}
    with torch.no_grad():
        for batch in batches:
            log_p = trainer.learner.decoder(batch.input_ids_BT, batch.documents_BT).log_softmax(-1)
            for row, place in (batch.labels_BT >= 0).nonzero().tolist():
                document = format_doc_id(int(batch.doc_ids_BT[row, place]))
                label = batch.labels_BT[row, place]
                nats.setdefault(document, []).append(-float(log_p[row, place, label]))
    with pytest.raises(TrainingError):
        trainer.run()
    found = read_json(job.folder / METRICS / EVIDENCE / "step-00000001.json")["documents"]
    assert {each["document"]: each["tokens"] for each in found} == {
        document: len(losses) for document, losses in nats.items()
    }
    for each in found:
        losses = nats[each["document"]]
        assert each["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert [each["loss"] for each in found] == sorted((e["loss"] for e in found), reverse=True)


def test_a_skipped_batch_leaves_no_trace_in_the_weights(make_job: MakeJob) -> None:
    job = with_guard(make_job(), nonfinite="skip")
    trainer = make_trainer(job, NAN, [2])
    summary = trainer.run()
    plain = Trainer(replace(job, folder=job.folder / "plain"), Launch())
    plain._rehearse()
    for step in range(plain.timetable.num_steps):  # the same loop, by hand, without batch 2
        plain.step = step
        plain.samples_digest = 0
        if step != 2:
            train_one(plain)
    assert_equal(weights_of(trainer), weights_of(plain))
    assert recorded_steps(job) == [1, 2, 4, 5, 6]
    (row,) = read_jsonl(job.folder / METRICS / GUARD)
    assert (row["step"], row["action"]) == (3, "skip")
    assert summary["interventions"] == 1
    assert summary["steps"] == 6


def train_one(trainer: Trainer) -> None:
    config, segment = trainer.job.train, trainer.timetable.segment_of(trainer.step)
    middle = trainer.timetable.tokens_before(trainer.step) + segment.batch_tokens / 2
    factor = rate_factor(middle, trainer.timetable.num_tokens, config.schedule)
    trainer.learner.optimizers.set_learning_rate(factor)
    accumulate_gradients(trainer.learner.lanes, list(trainer.loader.microbatches(trainer.step)))
    clip_gradients(trainer.learner.decoder.named_parameters(), config.optimizer.clip_grad_norm)
    trainer.learner.optimizers.step()
    trainer.learner.optimizers.zero_grad()


def test_skipped_batches_are_consumed_all_the_same(make_job: MakeJob) -> None:
    calm = with_guard(make_job("calm"))
    noisy = with_guard(make_job("noisy"), nonfinite="skip")
    expected = make_trainer(calm).run()["samples_digest"]
    assert make_trainer(noisy, NAN, [1, 4]).run()["samples_digest"] == expected


def test_a_spike_is_skipped_before_it_is_applied(make_job: MakeJob) -> None:
    job = with_guard(make_job(num_steps=12), spike="skip")
    trainer = make_trainer(job, SPIKE, [10])
    trainer.run()
    (row,) = read_jsonl(job.folder / METRICS / GUARD)
    assert (row["step"], row["action"]) == (11, "skip")
    assert "deviations above the median" in row["alarms"][0]
    assert recorded_steps(job) == [*range(1, 11), 12]


def test_a_spike_on_record_is_trained_on(
    make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    job = with_guard(make_job(num_steps=12))
    with caplog.at_level(logging.WARNING):
        summary = make_trainer(job, SPIKE, [10]).run()
    assert recorded_steps(job) == list(range(1, 13))
    assert summary["interventions"] == 0
    assert "step 11: gradient norm" in caplog.text
    assert (job.folder / METRICS / EVIDENCE / "step-00000011.json").exists()


def test_rewinding_takes_weights_and_optimizer_back_to_the_checkpoint(make_job: MakeJob) -> None:
    job = with_guard(make_job(num_steps=8), every_steps=4, nonfinite="rewind")
    kept = with_guard(make_job("kept", num_steps=8), every_steps=4)
    other = make_trainer(kept)
    other.run()
    trainer = make_trainer(job, NAN, [6])
    trainer.run()
    assert recorded_steps(job) == [1, 2, 3, 4, 5, 6, 8]  # 7 is left out
    # By hand: the checkpoint after four steps, then batch 7 alone.
    hand = make_trainer(kept)
    shutil.rmtree(kept.folder / CHECKPOINTS / "step-00000008")
    hand._resume()
    hand.step = 7
    train_one(hand)
    assert_equal(weights_of(trainer), weights_of(hand))


def test_rewinding_never_goes_to_the_future(
    make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    job = with_guard(make_job(num_steps=8), every_steps=4, nonfinite="rewind")
    make_trainer(job).run()  # leaves one of step 8, which training came back from
    trainer = make_trainer(job)
    trainer.step = 8
    trainer._rewind()
    assert "weights are those after step 4" in caplog.text


def test_rewinding_without_a_checkpoint_stops(make_job: MakeJob) -> None:
    job = with_guard(make_job(), every_steps=4, nonfinite="rewind")
    with pytest.raises(TrainingError, match="no checkpoint to rewind to yet"):
        make_trainer(job, NAN, [1]).run()


def test_interventions_have_a_budget(make_job: MakeJob) -> None:
    job = with_guard(make_job(), nonfinite="skip", max_interventions=2)
    assert make_trainer(job, NAN, [1, 2]).run()["interventions"] == 2
    job = with_guard(make_job("more"), nonfinite="skip", max_interventions=2)
    with pytest.raises(TrainingError, match=r"step 5: .*max_interventions is used up"):
        make_trainer(job, NAN, [1, 2, 4]).run()


@pytest.mark.parametrize("action", ["skip", "rewind"])
def test_a_run_with_interventions_resumes_bit_for_bit(make_job: MakeJob, action: str) -> None:
    undisturbed = with_guard(make_job("whole"), every_steps=2, nonfinite=action)
    expected = make_trainer(undisturbed, NAN, [2, 4])
    expected.run()
    for killed_after in (2, 4):
        job = with_guard(make_job(f"killed-{killed_after}"), every_steps=2, nonfinite=action)
        shutil.copytree(undisturbed.folder, job.folder)
        for path in (job.folder / CHECKPOINTS).iterdir():
            if int(path.name.removeprefix("step-")) > killed_after:
                shutil.rmtree(path)
        again = make_trainer(job, NAN, [2, 4])
        summary = again.run()
        assert_equal(weights_of(again), weights_of(expected))
        assert summary["interventions"] == 2
        assert again.guard.state() == expected.guard.state()
        assert (job.folder / METRICS / GUARD).read_text() == (
            undisturbed.folder / METRICS / GUARD
        ).read_text()


def test_evidence_is_json_that_any_reader_takes(make_job: MakeJob) -> None:
    job = with_guard(make_job(), nonfinite="skip")
    make_trainer(job, math.inf, [0]).run()
    text = (job.folder / METRICS / EVIDENCE / "step-00000001.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
