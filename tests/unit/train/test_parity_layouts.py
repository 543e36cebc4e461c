"""What parity compares with one process is what a run may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from bessemer.config.axes import Axes, planned_axes
from bessemer.config.check import faults_with_replicas
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.pipeline import SCHEDULES
from bessemer.config.train import TrainConfig
from bessemer.train.parallel.parity_layouts import (
    MICROBATCH,
    SEQ_LEN,
    batch_samples,
    layouts_to_try,
    scale_down,
    scale_down_training,
)

EXPERTS = {"num_experts": 8, "experts_per_token": 2, "ffn_dim": 64}


def test_a_layout_that_is_cut_down_is_else_the_run_s() -> None:
    given = {"offload": True, "reshard": False, "recompute": "full", "cp_exchange": "ulysses"}
    cluster = ClusterConfig(dp_shard=8, cp=4, **given)
    model = ModelConfig(num_layers=2, hidden_dim=64, num_heads=4, num_kv_heads=4, ffn_dim=64)
    (layout,) = layouts_to_try(cluster, model)
    assert planned_axes(layout) == Axes(dp_shard=2, cp=2)
    assert {name: getattr(layout, name) for name in given} == given


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("axes", "experts"),
    [
        ({"pp": 2}, None),
        ({"dp_replicate": 2, "dp_shard": 2, "pp": 2}, None),
        ({"dp_replicate": 2, "dp_shard": 8, "pp": 4, "ep": 4}, EXPERTS),
        ({"dp_replicate": 2, "dp_shard": 8, "cp": 2, "tp": 2, "pp": 4}, None),
    ],
)
def test_a_layout_that_is_cut_down_passes_the_checks_on_the_batch_it_gets(
    schedule: str, axes: dict[str, int], experts: dict[str, Any] | None
) -> None:
    assert_possible(ClusterConfig(pp_schedule=schedule, **axes), experts)


@pytest.mark.parametrize("experts", [None, EXPERTS])
def test_so_do_all_layouts_of_two_and_four_ranks(experts: dict[str, Any] | None) -> None:
    assert_possible(ClusterConfig(), experts)


def assert_possible(cluster: ClusterConfig, experts: dict[str, Any] | None) -> None:
    model = ModelConfig(
        num_layers=8,
        hidden_dim=64,
        num_heads=8,
        num_kv_heads=4,
        ffn_dim=64,
        tie_embeddings=False,
        experts=experts,
    )
    train = TrainConfig(seq_len=64, global_batch_tokens=64 * 256, total_tokens=64 * 256)
    assert not faults_with_replicas(model, train, cluster, cluster.dp_replicate or 1)
    layouts = layouts_to_try(cluster, model)
    small = scale_down_training(train, batch_samples(layouts))
    for each in layouts:
        layout = each.model_copy(update={"microbatch_tokens": MICROBATCH * SEQ_LEN})
        replicas = planned_axes(layout).dp_replicate
        assert not faults_with_replicas(scale_down(model), small, layout, replicas), layout
