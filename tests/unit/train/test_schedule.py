"""Learning-rate schedules against closed forms and against those of transformers."""

from __future__ import annotations

import math

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bessemer.config.check import cross_check
from bessemer.config.train import ScheduleConfig, TrainConfig
from bessemer.train.schedule import rate_factor

TOTAL = 1000


def rates(total: int = TOTAL, **settings: object) -> list[float]:
    schedule = ScheduleConfig.model_validate({"warmup_frac": 0.0} | settings)
    return [rate_factor(tokens, total, schedule) for tokens in range(total + 1)]


def theirs(name: str, **settings: object) -> list[float]:
    """What a scheduler of transformers gives at each of TOTAL + 1 steps, with a peak of 1."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = getattr(transformers, name)(optimizer, **settings)
    found = []
    for _ in range(TOTAL + 1):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


def test_cosine_and_linear_are_those_of_transformers() -> None:
    settings = {"num_warmup_steps": 100, "num_training_steps": TOTAL}
    cosine = theirs("get_cosine_schedule_with_warmup", **settings)
    assert rates(kind="cosine", warmup_tokens=100, final_lr_frac=0.0) == pytest.approx(cosine)
    linear = theirs("get_linear_schedule_with_warmup", **settings)
    assert rates(kind="linear", warmup_frac=0.1, final_lr_frac=0.0) == pytest.approx(linear)


@pytest.mark.parametrize("shape", ["linear", "cosine", "1-sqrt"])
def test_wsd_is_that_of_transformers(shape: str) -> None:
    """From the end of the warm-up on: theirs begins at the floor, not at 0."""
    expected = theirs(
        "get_wsd_schedule",
        num_warmup_steps=50,
        num_stable_steps=700,
        num_decay_steps=250,
        decay_type=shape,
        min_lr_ratio=0.2,
    )
    found = rates(
        kind="wsd", warmup_tokens=50, decay_tokens=250, decay_shape=shape, final_lr_frac=0.2
    )
    assert found[50:] == pytest.approx(expected[50:])


def test_decays_are_their_closed_forms() -> None:
    done = [tokens / TOTAL for tokens in range(TOTAL + 1)]
    expected = {
        "cosine": [0.1 + 0.9 * math.cos(math.pi * x / 2) ** 2 for x in done],
        "linear": [1 - 0.9 * x for x in done],
        "1-sqrt": [1 - 0.9 * x**0.5 for x in done],
        "constant": [1.0 for _ in done],
    }
    for kind, values in expected.items():
        assert rates(kind=kind, final_lr_frac=0.1) == pytest.approx(values, abs=1e-12), kind


@pytest.mark.parametrize("kind", ["cosine", "linear", "1-sqrt", "constant", "wsd"])
def test_warm_up_is_a_line_to_the_peak(kind: str) -> None:
    found = rates(kind=kind, warmup_frac=0.2)
    assert found[:201] == pytest.approx([tokens / 200 for tokens in range(201)])
    assert max(found) == 1.0


def test_a_run_that_is_all_warm_up_or_all_decay() -> None:
    assert rates(kind="linear", warmup_frac=1.0)[-2:] == [0.999, 1.0]
    whole = rates(kind="wsd", decay_frac=1.0, decay_shape="linear", final_lr_frac=0.0)
    assert whole == pytest.approx([1 - tokens / TOTAL for tokens in range(TOTAL + 1)])
    assert rates(kind="wsd", decay_frac=0.0) == [1.0] * (TOTAL + 1)


@given(st.integers(500, 10**12), st.integers(500, 10**12), st.data())
def test_runs_of_different_lengths_share_their_stable_phase(
    one: int, other: int, data: st.DataObject
) -> None:
    """Bit for bit, so that a run may branch off from a longer one's checkpoint."""
    schedule = ScheduleConfig(kind="wsd", warmup_tokens=100, decay_tokens=300)
    tokens = data.draw(st.integers(0, min(one, other) - 300))
    assert rate_factor(tokens, one, schedule) == rate_factor(tokens, other, schedule)


def faults(**schedule: object) -> list[str]:
    train = TrainConfig.model_validate(
        {"seq_len": 10, "global_batch_tokens": 100, "total_tokens": 1000, "schedule": schedule}
    )
    return [str(fault) for fault in cross_check({"train": train})]


def test_warm_up_and_decay_must_fit_into_the_run() -> None:
    assert not faults(kind="wsd", warmup_tokens=700, decay_tokens=300)
    assert "warmup_tokens" in faults(warmup_tokens=1001)[0]
    (fault,) = faults(kind="wsd", warmup_tokens=701, decay_tokens=300)
    assert "decay_tokens" in fault
    assert "701" in fault
    (fault,) = faults(kind="wsd", warmup_frac=0.5, decay_frac=0.6)
    assert "warmup_frac" in fault
