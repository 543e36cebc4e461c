"""Which rank has which stage, and how many microbatches pass through them."""

from __future__ import annotations

import pytest
from torch.distributed.pipelining._utils import generate_stage_to_rank_mapping

from bessemer.config.axes import planned_axes
from bessemer.config.check import faults_with_replicas
from bessemer.config.cluster import ClusterConfig
from bessemer.config.microbatch import microbatch_samples
from bessemer.config.model import ModelConfig
from bessemer.config.pipeline import (
    SCHEDULES,
    num_stages,
    obstacle_to_schedule,
    possible_microbatches,
    stages_of_rank,
)
from bessemer.config.timetable import make_timetable
from bessemer.config.train import TrainConfig


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("pp", [2, 3, 8])
def test_stages_lie_on_ranks_as_the_schedules_of_torch_have_them(schedule: str, pp: int) -> None:
    style = "v" if schedule == "dualpipe-v" else "loop"
    expected = generate_stage_to_rank_mapping(pp, num_stages(pp, schedule), style=style)
    found = {stage: rank for rank in range(pp) for stage in stages_of_rank(rank, pp, schedule)}
    assert found == expected


@pytest.mark.parametrize(
    ("schedule", "num_microbatches", "obstacle"),
    [
        ("1f1b", 3, "needs at least 4"),
        ("1f1b", 4, ""),
        ("dualpipe-v", 7, "needs at least 8"),
        ("dualpipe-v", 9, ""),
        ("interleaved", 3, ""),
        ("interleaved", 10, ""),
        ("interleaved", 9, "needs a multiple of 2, or fewer"),
        ("zero-bubble", 13, "needs a multiple of 3, or fewer"),
    ],
)
def test_a_schedule_of_four_ranks_takes_some_numbers_of_microbatches(
    schedule: str, num_microbatches: int, obstacle: str
) -> None:
    cluster = ClusterConfig(pp=4, pp_schedule=schedule)
    assert obstacle_to_schedule(num_microbatches, cluster) == obstacle


@pytest.mark.parametrize(
    ("schedule", "share", "size"),
    [
        ("1f1b", 48, 3),
        ("1f1b", 36, 2),
        ("interleaved", 36, 1),  # of 18 microbatches four rounds cannot be made
        ("dualpipe-v", 8, 1),
        ("1f1b", 8, 1),  # there are not enough
        ("interleaved", 9, 3),  # of 9 microbatches two rounds cannot be made
        ("interleaved", 13, 13),  # of 13 neither three
    ],
)
def test_four_microbatches_per_rank_are_made_if_they_can_be(
    schedule: str, share: int, size: int
) -> None:
    train = TrainConfig(seq_len=64, global_batch_tokens=64 * share, total_tokens=64 * share)
    (segment,) = make_timetable(train).segments
    cluster = ClusterConfig(pp=4, pp_schedule=schedule)
    assert microbatch_samples(segment, 64, cluster, planned_axes(cluster), "cuda") == size


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("pp", [2, 3, 4])
@pytest.mark.parametrize("seq_len", [64, 8192])  # of which a GPU takes many at a time, and one
def test_what_the_checks_let_pass_can_be_cut_into_microbatches(
    schedule: str, pp: int, seq_len: int
) -> None:
    model = ModelConfig(
        num_layers=8, hidden_dim=64, num_heads=4, num_kv_heads=4, ffn_dim=64, tie_embeddings=False
    )
    cluster = ClusterConfig(pp=pp, pp_schedule=schedule)
    for share in range(1, 33):
        tokens = seq_len * share
        train = TrainConfig(seq_len=seq_len, global_batch_tokens=tokens, total_tokens=tokens)
        possible = possible_microbatches(share, cluster)
        assert bool(faults_with_replicas(model, train, cluster, 1)) == (not possible)
        if possible:
            (segment,) = make_timetable(train).segments
            size = microbatch_samples(
                segment, model.hidden_dim, cluster, planned_axes(cluster), "cuda"
            )
            assert share % size == 0
            assert not obstacle_to_schedule(share // size, cluster)
        for size in (size for size in range(1, share + 1) if share % size == 0):
            given = cluster.model_copy(update={"microbatch_tokens": size * seq_len})
            faults = faults_with_replicas(model, train, given, 1)
            assert bool(faults) == (size not in possible)
            if faults and possible:
                *_, nearest = faults[0].what.partition("nearest: ")
                assert {int(each) // seq_len for each in nearest.split(" or ")} <= {*possible}
