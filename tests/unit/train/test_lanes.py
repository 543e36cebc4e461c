"""Lanes give the gradients of one after the other, bit for bit, and report what fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, permutations
from threading import Event, Semaphore, Thread

import pytest
import torch
from torch import nn

from bessemer.config.cluster import ClusterConfig
from bessemer.config.microbatch import num_lanes
from bessemer.train.job import TrainingJob
from bessemer.train.lanes import Lanes, _Sum
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.objective import accumulate_gradients
from bessemer.train.trainer import Trainer

MakeJob = Callable[..., TrainingJob]
LONE = Launch()


def first_step(
    job: TrainingJob, **cluster: object
) -> tuple[torch.Tensor, dict[str, torch.Tensor], Trainer]:
    config = ClusterConfig.model_validate({"device": "cpu", **cluster})
    with process_group(config, LONE, torch.device("cpu")):
        trainer = Trainer(replace(job, cluster=config), LONE)
        nats, _ = accumulate_gradients(trainer.learner.lanes, list(trainer.loader.microbatches(0)))
        assert torch.get_num_threads() == config.threads
    grads = {name: each.grad for name, each in trainer.learner.decoder.named_parameters()}
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
    assert len(lone.learner.lanes.twins) == 0
    assert len(trainer.learner.lanes.twins) == lanes
    assert torch.equal(again, nats)
    for name, grad in expected.items():
        assert torch.equal(found[name], grad), name


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_gradients_are_added_in_turn_whoever_is_faster(order: tuple[int, ...]) -> None:
    """1e8 + 1 - 1e8 + 1 is 1 in float32; added up as they come, it is 0, 1 or 2."""
    module, ended = nn.Linear(1, 1, bias=False), [Event() for _ in order]
    awaited = {turn: before for before, turn in pairwise(order)}

    def compute(twin: nn.Module, batch: tuple[int, float]) -> None:
        turn, value = batch
        if turn in awaited:
            assert ended[awaited[turn]].wait(10)
        twin(torch.tensor([value])).sum().backward()
        ended[turn].set()

    Lanes(module, 4).map(compute, list(enumerate([1e8, 1.0, -1e8, 1.0])))
    assert module.weight.grad.item() == 1.0


def test_a_microbatch_without_gradient_is_passed_over() -> None:
    module = nn.ModuleList([nn.Linear(1, 1, bias=False) for _ in range(2)])
    batches = [(0, 1.0), (1, 2.0), (0, 4.0), (0, 8.0), (1, 16.0)]
    Lanes(module, 2).map(lambda twin, it: twin[it[0]](torch.tensor([it[1]])).backward(), batches)
    assert [each.weight.grad.item() for each in module] == [13.0, 18.0]


def test_twins_share_weights_and_buffers_and_ties_and_keep_no_gradient() -> None:
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    module[1].bias.requires_grad_(False)
    twin = Lanes(module, 2).twins[1]
    for ours, theirs in zip(module.state_dict().values(), twin.state_dict().values(), strict=True):
        assert ours.data_ptr() == theirs.data_ptr()
    assert twin[2].weight is twin[0].weight
    assert not twin[1].bias.requires_grad
    lanes = Lanes(module, 2)
    lanes.map(lambda each, x: each[0](x).sum().backward(), [torch.eye(3)] * 3)
    assert torch.equal(module[0].weight.grad, torch.full((3, 3), 3.0))
    assert all(each.grad is None for twin in lanes.twins for each in twin.parameters())


def test_who_comes_too_early_leaves_one_gradient_and_waits_with_the_next() -> None:
    parameters, room = [torch.zeros(1), torch.zeros(1)], Semaphore(1)
    first, second = (_Sum(parameter, room) for parameter in parameters)
    has_left, is_done = Event(), Event()

    def hurry() -> None:
        first.add(1, torch.tensor([1.0]))
        has_left.set()
        second.add(1, torch.tensor([2.0]))
        is_done.set()

    thread = Thread(target=hurry, daemon=True)
    thread.start()
    assert has_left.wait(30)
    assert not is_done.wait(0.2)
    second.add(0, torch.tensor([4.0]))
    assert is_done.wait(30)
    assert parameters[0].grad is None  # its turn 0 is still to come
    first.add(0, torch.tensor([8.0]))
    assert [each.grad.item() for each in parameters] == [9.0, 6.0]
    thread.join()


@pytest.mark.parametrize("slow", [0, 1])
def test_a_lane_that_is_far_ahead_waits_and_order_stays(slow: int) -> None:
    """More parameters than may be left by one that comes too early."""
    torch.manual_seed(0)
    module = nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(20)))
    batches = list(torch.randn(6, 3, 8))

    def compute(twin: nn.Module, number: int) -> None:
        y = twin(batches[number])
        if number % 2 == slow:
            time.sleep(0.05)
        y.square().sum().backward()

    Lanes(module, 2).map(compute, range(6))
    found = [each.grad.clone() for each in module.parameters()]
    module.zero_grad()
    Lanes(module, 1).map(compute, range(6))
    assert all(
        torch.equal(each, other.grad)
        for each, other in zip(found, module.parameters(), strict=True)
    )


@pytest.mark.parametrize("lane", [0, 1])
def test_nobody_waits_for_a_lane_that_has_failed(lane: int) -> None:
    module = nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(20)))

    def compute(twin: nn.Module, number: int) -> None:
        if number == 2 + lane:
            raise RuntimeError(f"lane {lane}")
        twin(torch.ones(1, 8)).sum().backward()

    with pytest.raises(RuntimeError, match=f"lane {lane}"):
        Lanes(module, 2).map(compute, range(8))


@pytest.mark.parametrize("lane", [0, 1])
def test_what_a_lane_raises_is_raised_when_all_have_ended(lane: int) -> None:
    threads, done = torch.get_num_threads(), []

    def compute(_: nn.Module, number: int) -> None:
        if number == lane:
            raise RuntimeError(f"lane {lane}")
        done.append(number)

    with pytest.raises(RuntimeError, match=f"lane {lane}"):
        Lanes(nn.Linear(1, 1), 2).map(compute, [0, 1, 2, 3])
    assert done == [1 - lane, 3 - lane]
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
