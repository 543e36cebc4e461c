"""Training is exact: microbatches do not matter, runs repeat bit for bit, resume is seamless."""

from __future__ import annotations

import json
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bessemer.config.cluster import ClusterConfig
from bessemer.config.train import EmaConfig
from bessemer.core.errors import IntegrityError, RequeueError, TrainingError
from bessemer.core.layout import CHECKPOINTS, EVALUATIONS, METRICS, STATE_DIGESTS, STEPS
from bessemer.core.schema import HELDOUT
from bessemer.core.storage import read_jsonl
from bessemer.model.transformer import Decoder
from bessemer.tokens.stream import open_streams
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.train.checkpoints.checkpoint import load_model, read_manifests, sound
from bessemer.train.checkpoints.store import DiskStore
from bessemer.train.evaluate import bits_per_byte_of_sets, make_evaluation_sets, measure
from bessemer.train.interrupt import Interruption, noticed
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.objective import accumulate_gradients
from bessemer.train.trainer import Trainer, TrainingJob

MakeJob = Callable[..., TrainingJob]
TIMES = ("step_s", "tokens_per_s", "mfu", "peak_bytes")


def train(job: TrainingJob) -> Trainer:
    with process_group(job.cluster, Launch(), torch.device("cpu")):
        trainer = Trainer(job, Launch())
        trainer.run()
    return trainer


def with_optimizer(job: TrainingJob, kind: str, ema: bool = False) -> TrainingJob:
    optimizer = job.train.optimizer.model_copy(update={"kind": kind})
    average = EmaConfig(half_life_tokens=200) if ema else None
    train = job.train.model_copy(update={"optimizer": optimizer, "ema": average})
    return replace(job, train=train)


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainer.learner.decoder.named_parameters()}


def steps_of(job: TrainingJob) -> list[dict[str, float]]:
    rows = read_jsonl(job.folder / METRICS / STEPS)
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def test_two_runs_are_bit_identical(make_job: MakeJob) -> None:
    first, second = make_job("a"), make_job("b")
    one, two = weights_of(train(first)), weights_of(train(second))
    assert steps_of(first) == steps_of(second)
    assert len(steps_of(first)) == 6
    for name, weight in one.items():
        assert torch.equal(weight, two[name]), name


@pytest.mark.parametrize(("kind", "ema"), [("adamw", False), ("muon", True)])
def test_resume_after_any_step_is_bit_identical(make_job: MakeJob, kind: str, ema: bool) -> None:
    undisturbed = with_optimizer(make_job("whole"), kind, ema)
    expected = weights_of(train(undisturbed))
    for killed_after in range(1, 6):
        job = with_optimizer(make_job(f"killed-{killed_after}"), kind, ema)
        shutil.copytree(undisturbed.folder, job.folder)
        for path in (job.folder / CHECKPOINTS).iterdir():
            if int(path.name.removeprefix("step-")) > killed_after:
                shutil.rmtree(path)
        found = weights_of(train(job))
        for name, weight in expected.items():
            assert torch.equal(weight, found[name]), (killed_after, name)
        assert steps_of(job) == steps_of(undisturbed)
        digests = (job.folder / STATE_DIGESTS).read_bytes()  # of moments and averages too
        assert digests == (undisturbed.folder / STATE_DIGESTS).read_bytes()
        evaluations = read_jsonl(job.folder / METRICS / EVALUATIONS)
        assert evaluations == read_jsonl(undisturbed.folder / METRICS / EVALUATIONS)


def test_the_average_is_what_is_evaluated_and_loaded(make_job: MakeJob) -> None:
    job = with_optimizer(make_job(), "adamw", ema=True)
    trainer = train(job)
    weights, averages = weights_of(trainer), trainer.learner.average.tensors()
    loaded = Decoder(job.model, Tokenizer.load(job.tokenizer).vocab_size)
    load_model(job.folder / CHECKPOINTS, loaded)
    for name, parameter in loaded.named_parameters():
        assert torch.equal(parameter, averages[name]), name
        assert not torch.equal(parameter, weights[name]), name
    last = {
        row["source"]: row["bits_per_byte"]
        for row in read_jsonl(job.folder / METRICS / EVALUATIONS)
        if row["step"] == 6
    }
    found = bits_per_byte_of_sets(loaded, trainer.heldout, trainer.token_bytes, job.train)
    assert found == last


def test_who_is_asked_to_leave_saves_at_once_and_evaluates_when_it_goes_on(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    interruptions = []

    @contextmanager
    def noticed_here(grace_s: float) -> Iterator[Interruption]:
        with noticed(grace_s) as interruption:
            interruptions.append(interruption)
            yield interruption

    monkeypatch.setattr("bessemer.train.trainer.noticed", noticed_here)
    undisturbed, job = make_job("whole"), make_job("asked")
    train(undisturbed)
    expected = read_jsonl(undisturbed.folder / METRICS / EVALUATIONS)
    assert {row["step"] for row in expected} == {0, 3, 6}
    trainer = Trainer(job, Launch())
    weight = next(trainer.learner.decoder.parameters())

    def ask(_: torch.Tensor) -> None:
        if trainer.step == 2 and not interruptions[-1].is_asked:
            signal.raise_signal(signal.SIGTERM)
            while not interruptions[-1].is_asked:
                time.sleep(0.01)

    weight.register_hook(ask)
    with pytest.raises(RequeueError):
        trainer.run()
    assert {row["step"] for row in read_jsonl(job.folder / METRICS / EVALUATIONS)} == {0}
    train(job)
    assert read_jsonl(job.folder / METRICS / EVALUATIONS) == expected


@pytest.mark.parametrize("micro", [1, 2, 4])
def test_accumulated_microbatches_equal_the_whole_batch(make_job: MakeJob, micro: int) -> None:
    job = make_job(cluster=ClusterConfig(device="cpu", threads=1, microbatch_tokens=16 * 8))
    parts = replace(
        job, cluster=ClusterConfig(device="cpu", threads=1, microbatch_tokens=16 * micro)
    )
    whole, split = Trainer(job, Launch()), Trainer(parts, Launch())
    nats = [
        torch.cat(
            accumulate_gradients(trainer.learner.lanes, list(trainer.loader.microbatches(0)))[0]
        )
        for trainer in (whole, split)
    ]
    # Sums of float32 in another order: a few units in the last place.
    torch.testing.assert_close(nats[0], nats[1], atol=1e-6, rtol=1e-6)
    for (name, a), (_, b) in zip(
        whole.learner.decoder.named_parameters(),
        split.learner.decoder.named_parameters(),
        strict=True,
    ):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-7, rtol=1e-5, msg=name)


def test_the_recorded_loss_is_the_mean_over_predicted_tokens(make_job: MakeJob) -> None:
    job = make_job(num_steps=1)
    trainer = Trainer(job, Launch())
    (batch,) = trainer.loader.microbatches(0)
    with torch.no_grad():
        log_probabilities = trainer.learner.decoder(
            batch.input_ids_BT, batch.documents_BT
        ).log_softmax(-1)
    nats, text_nats, num_bytes = [], [], 0
    for row in range(batch.labels_BT.shape[0]):
        for place in range(batch.labels_BT.shape[1]):
            label = int(batch.labels_BT[row, place])
            if label >= 0:
                nats.append(-float(log_probabilities[row, place, label]))
                if trainer.token_bytes[label]:
                    text_nats.append(nats[-1])
                    num_bytes += int(trainer.token_bytes[label])
    trainer.run()
    record = read_jsonl(job.folder / METRICS / STEPS)[0]
    assert record["loss"] == pytest.approx(sum(nats) / len(nats), rel=1e-6)
    assert record["bits_per_byte"] == pytest.approx(
        sum(text_nats) / math.log(2) / num_bytes, rel=1e-6
    )


def test_held_out_bits_per_byte_equal_a_document_by_document_count(make_job: MakeJob) -> None:
    job = make_job(num_steps=1)
    trainer = Trainer(job, Launch())
    (part, _) = make_evaluation_sets(job.encoded, HELDOUT, 1024, 1 << 20, job.seed)
    losses = measure(
        trainer.learner.decoder, part, trainer.token_bytes, document_mask=True, microbatch_samples=2
    )
    tokenizer = Tokenizer.load(job.tokenizer)
    bits, num_bytes = 0.0, 0
    stream = open_streams(job.encoded, HELDOUT)[part.source]
    for shard in map(stream.shard, stream.names):
        for row in shard.documents().to_pylist():
            ids = shard.tokens[row["token_start"] :][: row["num_tokens"]].astype(int)
            with torch.no_grad():
                logits = trainer.learner.decoder(torch.tensor(ids[:-1])[None])[0].double()
            nats = -logits.log_softmax(-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
            bits += float(nats[:-1].sum()) / math.log(2)  # all but the END token
            num_bytes += len(tokenizer.decode(ids.tolist()).encode())
    assert losses.bits_per_byte == pytest.approx(bits / num_bytes, rel=1e-5)
    assert int(losses.num_bytes.sum()) == num_bytes


def test_training_learns(make_job: MakeJob) -> None:
    job = make_job(num_steps=40)
    train(job)
    rows = steps_of(job)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]


def test_an_update_that_is_not_finite_stops_training(make_job: MakeJob) -> None:
    job = make_job()
    job = replace(
        job,
        train=job.train.model_copy(
            update={"optimizer": job.train.optimizer.model_copy(update={"lr": 1e38})}
        ),
    )
    with pytest.raises(TrainingError, match=r"step \d: .* is (inf|nan).*evidence/step-"):
        train(job)


def test_a_damaged_checkpoint_is_passed_over(
    make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job()
    train(job)
    folder = job.folder / CHECKPOINTS
    newest, second = sorted(folder.iterdir())[-1], sorted(folder.iterdir())[-2]
    victim = next(newest.glob("*.safetensors"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1  # one flipped bit, same size
    victim.write_bytes(data)
    store = DiskStore(folder)
    found = next(sound((store, manifest) for manifest in read_manifests(store)), None)
    assert found is not None
    assert found[1].folder == second.name
    assert "passing over checkpoint" in caplog.text
    assert "step-00000006: " in caplog.text
    for path in folder.iterdir():
        (path / "checkpoint.json").unlink()
    trainer = Trainer(job, Launch())
    with pytest.raises(IntegrityError, match="no sound checkpoint"):
        load_model(folder, trainer.learner.decoder)


def test_old_checkpoints_go_and_the_latest_stay(make_job: MakeJob) -> None:
    job = make_job()
    checkpoint = job.train.checkpoint.model_copy(update={"keep": 2})
    job = replace(job, train=job.train.model_copy(update={"checkpoint": checkpoint}))
    train(job)
    names = sorted(path.name for path in (job.folder / CHECKPOINTS).iterdir())
    assert names == ["step-00000005", "step-00000006"]


def test_metrics_cut_short_by_a_kill_are_mended(make_job: MakeJob) -> None:
    job = make_job()
    train(job)
    path: Path = job.folder / METRICS / STEPS
    expected = steps_of(job)
    shutil.rmtree(job.folder / CHECKPOINTS / "step-00000006")
    text = path.read_text()
    path.write_text(text[:-30])  # the last line is half a line
    train(job)
    assert steps_of(job) == expected
    assert all(json.loads(line) for line in path.read_text().splitlines())
