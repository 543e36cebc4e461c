"""Training that goes on from another run's checkpoint, against the same run from its start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.unit.train.conftest import SEQ_LEN

from bessemer.config.timetable import make_timetable
from bessemer.config.tokens import MixConfig
from bessemer.config.train import CheckpointConfig, ScheduleConfig, TrainConfig
from bessemer.core.layout import CHECKPOINTS, METRICS, STATE_DIGESTS, STEPS
from bessemer.core.storage import read_json, read_jsonl, write_json
from bessemer.tokens.mix import mix
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.schedule import first_step_of_decay, rate_of_step
from bessemer.train.trainer import Trainer

BATCH_TOKENS = 8 * SEQ_LEN
MakeJob = Callable[..., TrainingJob]


def change(job: TrainingJob, num_steps: int, **train: Any) -> TrainingJob:
    """`job` with so many steps, the last two of them decaying, and a plan of its own."""
    schedule = {"kind": "wsd", "warmup_tokens": BATCH_TOKENS, "decay_tokens": 2 * BATCH_TOKENS}
    data = job.train.model_dump(mode="json") | {"schedule": schedule}
    data |= {"total_tokens": num_steps * BATCH_TOKENS, **train}
    name = f"{job.folder.name}-{num_steps}"
    plan, folder = job.plan.parent / f"plan-{name}", job.folder.parent / name
    return replace(job, train=TrainConfig.model_validate(data), plan=plan, folder=folder)


def train(job: TrainingJob, weights: tuple[float, float] = (2.0, 1.0)) -> Trainer:
    """Plan and train to the end."""
    by_source = dict(zip(("notes", "logs"), weights, strict=True))
    config = MixConfig(weights=by_source, max_epochs=1000)
    mix(Path(str(job.encoded)), [*by_source], config, job.train, job.seed, job.plan)
    with process_group(job.cluster, Launch(), torch.device("cpu")):
        trainer = Trainer(job, Launch())
        trainer.run()
    return trainer


def checkpoints(job: TrainingJob) -> list[int]:
    """After which steps there are checkpoints."""
    folder = job.folder / CHECKPOINTS
    return sorted(int(path.name.removeprefix("step-")) for path in folder.iterdir())


def losses(job: TrainingJob) -> list[tuple[int, float]]:
    rows = read_jsonl(job.folder / METRICS / STEPS)
    return [(row["step"], row["loss"]) for row in rows]


@pytest.fixture
def long_run(make_job: MakeJob) -> TrainingJob:
    """Eight steps, a checkpoint after each."""
    job = change(make_job("long"), 8)
    train(job)
    return job


@pytest.mark.parametrize(("num_steps", "shared"), [(5, 3), (8, 8), (12, 6)])
def test_a_branch_ends_with_the_bits_of_a_run_from_the_start(
    make_job: MakeJob, long_run: TrainingJob, num_steps: int, shared: int
) -> None:
    alone = change(make_job("alone"), num_steps)
    train(alone)
    branch = replace(change(make_job("branch"), num_steps), earlier=(long_run.folder,))
    train(branch)
    # Every step that was trained has its checkpoint; those before the last shared one were not.
    assert checkpoints(branch) == list(range(shared, num_steps + 1))
    digests = (alone.folder / STATE_DIGESTS).read_bytes()
    assert (branch.folder / STATE_DIGESTS).read_bytes() == digests
    assert losses(branch) == losses(alone)
    assert [step for step, _ in losses(branch)] == list(range(1, num_steps + 1))


@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        ({"evaluate": {"every_steps": 2, "tokens_per_source": 64}}, 3),
        ({"phase": [{"from_tokens": 2 * BATCH_TOKENS, "weights": {"notes": 0.0, "logs": 1.0}}]}, 2),
        ({"phase": [{"from_tokens": BATCH_TOKENS, "seq_len": SEQ_LEN // 2}]}, 1),
        ({"optimizer": {"lr": 2e-2}}, None),
        ({"z_loss": 1e-4}, None),
        ({"document_mask": False}, None),
        ({"ema": {"half_life_tokens": 100}}, None),
        ({"global_batch_tokens": 2 * BATCH_TOKENS, "total_tokens": 10 * BATCH_TOKENS}, None),
        ({"schedule": {"kind": "wsd", "warmup_tokens": 2 * BATCH_TOKENS}}, None),
        ({"schedule": {"kind": "cosine", "warmup_tokens": BATCH_TOKENS}}, 1),
        ({"schedule": {"kind": "constant", "warmup_tokens": BATCH_TOKENS}}, 5),
    ],
)
def test_runs_are_shared_as_far_as_they_are_the_same(
    make_job: MakeJob, long_run: TrainingJob, settings: dict[str, Any], shared: int | None
) -> None:
    branch = replace(change(make_job("branch"), 5, **settings), earlier=(long_run.folder,))
    train(branch)
    assert checkpoints(branch)[0] == (1 if shared is None else shared)


def test_another_seed_model_mixture_or_text_is_another_run(
    make_job: MakeJob, long_run: TrainingJob
) -> None:
    others = {
        "seed": {"seed": 6},
        "model": {"model": long_run.model.model_copy(update={"rope_theta": 100.0})},
        "text": {"inputs": {"encode": "0123456789abcdef"}},
        "mixture": {},
    }
    for name, changes in others.items():
        branch = replace(change(make_job(name, **changes), 5), earlier=(long_run.folder,))
        train(branch, weights=(1.0, 1.0) if name == "mixture" else (2.0, 1.0))
        assert checkpoints(branch) == [1, 2, 3, 4, 5], name


def test_a_damaged_checkpoint_is_not_adopted(make_job: MakeJob, long_run: TrainingJob) -> None:
    data = next((long_run.folder / CHECKPOINTS / "step-00000003").glob("*.safetensors"))
    data.write_bytes(data.read_bytes()[:-1])
    branch = replace(change(make_job("branch"), 5), earlier=(long_run.folder,))
    train(branch)
    assert checkpoints(branch)[0] == 2


def test_checkpoints_of_another_version_are_passed_over(
    make_job: MakeJob, long_run: TrainingJob
) -> None:
    record = long_run.folder / CHECKPOINTS / "step-00000003" / "checkpoint.json"
    write_json(record, read_json(record) | {"format": 2})
    branch = replace(change(make_job("branch"), 5), earlier=(long_run.folder,))
    train(branch)
    assert checkpoints(branch)[0] == 2


def test_a_run_with_checkpoints_of_its_own_adopts_none(
    make_job: MakeJob, long_run: TrainingJob
) -> None:
    branch = change(make_job("branch"), 5, checkpoint={"every_steps": 2, "keep": 9})
    train(branch)
    train(replace(branch, earlier=(long_run.folder,)))
    assert checkpoints(branch) == [2, 3, 4, 5]


def test_the_checkpoint_before_the_decay_and_multiples_are_kept_for_good(
    make_job: MakeJob,
) -> None:
    settings = CheckpointConfig(every_steps=1, keep=1, keep_every_steps=4)
    job = change(make_job(), 9, checkpoint=settings.model_dump())
    train(job)
    assert checkpoints(job) == [4, 7, 8, 9]


@pytest.mark.parametrize("kind", ["cosine", "linear", "wsd", "constant"])
@pytest.mark.parametrize("decay_tokens", [1, 128, 129, 500, 1024])
def test_the_first_step_of_decay_is_the_first_below_the_peak(kind: str, decay_tokens: int) -> None:
    data: dict[str, Any] = {"seq_len": 16, "global_batch_tokens": 128, "total_tokens": 1100}
    schedule = ScheduleConfig(kind=kind, warmup_frac=0.0)
    if kind == "wsd":
        schedule = ScheduleConfig(kind="wsd", warmup_frac=0.0, decay_tokens=decay_tokens)
    timetable = make_timetable(TrainConfig.model_validate(data))
    rates = [rate_of_step(step, timetable, schedule) for step in range(timetable.num_steps)]
    below = [step for step, rate in enumerate(rates) if rate < 1]
    expected = below[0] if below else timetable.num_steps
    assert first_step_of_decay(timetable, schedule) == expected
