"""Lanes give the gradients of one after the other, on the same weights, and report what fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from bessemer.config.cluster import ClusterConfig
from bessemer.config.microbatch import num_lanes
from bessemer.train.lanes import Lanes
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.objective import accumulate_gradients
from bessemer.train.trainer import Trainer, TrainingJob

MakeJob = Callable[..., TrainingJob]
LONE = Launch()


def first_step(
    job: TrainingJob, **cluster: object
) -> tuple[torch.Tensor, dict[str, torch.Tensor], Trainer]:
    config = ClusterConfig.model_validate({"device": "cpu", **cluster})
    with process_group(config, LONE, torch.device("cpu")):
        trainer = Trainer(replace(job, cluster=config), LONE)
        nats, _ = accumulate_gradients(trainer.lanes, list(trainer.loader.microbatches(0)))
        assert torch.get_num_threads() == config.threads
    grads = {name: each.grad for name, each in trainer.decoder.named_parameters()}
    return torch.cat(nats), grads, trainer


@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
@pytest.mark.parametrize("lanes", [2, 3])
def test_lanes_sum_what_one_after_the_other_sums(
    make_job: MakeJob, lanes: int, recompute: str
) -> None:
    job = make_job()
    more = {"microbatch_tokens": 2 * job.train.seq_len, "recompute": recompute}  # four microbatches
    nats, expected, lone = first_step(job, threads=1, **more)
    again, found, trainer = first_step(job, threads=3, lanes=lanes, **more)
    assert len(lone.lanes.modules) == 1
    assert len(trainer.lanes.modules) == lanes
    # Sums of float32 in another order: a few units in the last place.
    torch.testing.assert_close(again, nats, atol=1e-6, rtol=1e-6)
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, atol=1e-7, rtol=1e-5, msg=name)
    _, once_more, _ = first_step(job, threads=3, lanes=lanes, **more)
    for name, grad in found.items():
        assert torch.equal(once_more[name], grad), name  # whoever is faster


def test_twins_share_weights_and_buffers_and_ties_and_keep_no_gradient() -> None:
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    module[1].bias.requires_grad_(False)
    twin = Lanes(module, 2).modules[1]
    for ours, theirs in zip(module.state_dict().values(), twin.state_dict().values(), strict=True):
        assert ours.data_ptr() == theirs.data_ptr()
    assert twin[2].weight is twin[0].weight
    assert not twin[1].bias.requires_grad
    lanes = Lanes(module, 2)
    lanes.map(lambda each, x: each[0](x).sum().backward(), [torch.eye(3)] * 3)
    assert torch.equal(module[0].weight.grad, torch.full((3, 3), 3.0))
    assert lanes.modules[1][0].weight.grad is None


def test_what_a_lane_raises_is_raised_when_all_have_ended() -> None:
    threads, done = torch.get_num_threads(), []

    def compute(_: nn.Module, number: int) -> None:
        if number == 0:
            raise RuntimeError("lane 0")
        done.append(number)

    with pytest.raises(RuntimeError, match="lane 0"):
        Lanes(nn.Linear(1, 1), 2).map(compute, [0, 1, 2, 3])
    assert done == [1, 3]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("cluster", "num_ranks", "device", "lanes"),
    [
        ({"threads": 1}, 1, "cpu", 1),
        ({"threads": 2}, 1, "cpu", 2),
        ({"threads": 6}, 1, "cpu", 3),
        ({"threads": 7}, 1, "cpu", 1),
        ({"threads": 64}, 1, "cpu", 4),
        ({"threads": 64, "lanes": 16}, 1, "cpu", 16),
        ({"threads": 2, "lanes": 16}, 1, "cpu", 2),
        ({"threads": 8}, 2, "cpu", 1),
        ({"threads": 8}, 1, "cuda", 1),
        ({"threads": 8, "compile": True}, 1, "cpu", 1),
    ],
)
def test_lanes_share_the_threads(
    cluster: dict[str, object], num_ranks: int, device: str, lanes: int
) -> None:
    assert num_lanes(ClusterConfig.model_validate(cluster), num_ranks, device) == lanes
