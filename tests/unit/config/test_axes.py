"""Axes are as the run file has them, or what the ranks that were started leave open."""

from __future__ import annotations

from typing import Any

import pytest

from bessemer.config.axes import Axes, axes_of_launch, planned_axes
from bessemer.config.check import axes_of_run, faults_with_replicas
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.core.errors import ConfigError


@pytest.mark.parametrize(
    ("cluster", "num_ranks", "axes"),
    [
        ({}, 1, Axes()),
        ({}, 4, Axes(dp_replicate=4)),
        ({"dp_shard": 4}, 4, Axes(dp_shard=4)),
        ({"dp_shard": 2}, 8, Axes(dp_replicate=4, dp_shard=2)),
        ({"dp_replicate": 2, "dp_shard": 2}, 4, Axes(dp_replicate=2, dp_shard=2)),
        ({"tp": 2}, 4, Axes(dp_replicate=2, tp=2)),
        ({"pp": 2, "cp": 2, "tp": 2}, 16, Axes(dp_replicate=2, pp=2, cp=2, tp=2)),
        ({"dp_shard": 4, "ep": 2}, 8, Axes(dp_replicate=2, dp_shard=4, ep=2)),
    ],
)
def test_what_is_not_said_follows_from_the_ranks(
    cluster: dict[str, int], num_ranks: int, axes: Axes
) -> None:
    found = axes_of_launch(ClusterConfig(**cluster), num_ranks)
    assert found == axes
    assert found.num_ranks == num_ranks


@pytest.mark.parametrize(
    ("cluster", "num_ranks", "message"),
    [
        (
            {"dp_replicate": 4},
            2,
            "cluster.dp_replicate: the layout is dp_replicate 4 = 4 ranks, and 2 ",
        ),
        ({"dp_shard": 4}, 6, "cluster.dp_shard: the layout is dp_shard 4 = 4 ranks, and 6 were"),
        ({"dp_shard": 3}, 1, "torchrun --nproc-per-node 3"),
        ({"dp_shard": 3}, 1, "for 1, set dp_replicate = 1"),
        ({"dp_replicate": 1}, 2, "the layout is one rank = 1 ranks, and 2 were started"),
        ({"tp": 2}, 3, "cluster.tp: the layout is tp 2 = 2 ranks"),
        (
            {"dp_shard": 4, "tp": 2},
            4,
            "set dp_shard = 2, tp = 2; or dp_shard = 4; or dp_replicate = 2, tp = 2; or ",
        ),
        ({"pp": 2, "cp": 2}, 6, "set dp_replicate = 3, pp = 2; or dp_replicate = 3, cp = 2; or"),
        ({"dp_shard": 4, "ep": 2}, 2, "for 2, set dp_shard = 2, ep = 2"),
    ],
)
def test_a_layout_for_other_ranks_is_refused_with_those_that_are_possible(
    cluster: dict[str, int], num_ranks: int, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        axes_of_launch(ClusterConfig(**cluster), num_ranks)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("cluster", "num_ranks", "expected"),
    [
        # Of 8 sequences 16 ranks along dp_shard could not have one each.
        (
            {"tp": 3},
            16,
            "; or dp_shard = 8, tp = 2; or dp_replicate = 4, dp_shard = 2, tp = 2; or ",
        ),
        ({"dp_shard": 16}, 8, "set dp_shard = 8; or "),
        ({"tp": 4}, 2, "set tp = 2; or dp_replicate = 2; or dp_shard = 2"),
        ({"dp_shard": 2}, 7, "RUN.toml; this run cannot be shared out among 7"),
    ],
)
def test_proposed_layouts_pass_the_checks(
    cluster: dict[str, int], num_ranks: int, expected: str
) -> None:
    model = ModelConfig(num_layers=4, hidden_dim=48, num_heads=6, num_kv_heads=6, ffn_dim=96)
    train = TrainConfig(seq_len=48, global_batch_tokens=8 * 48, total_tokens=8 * 48)
    with pytest.raises(ConfigError) as refused:
        axes_of_run(model, train, ClusterConfig(**cluster), num_ranks)
    message = str(refused.value)
    assert expected in message
    for proposal in message.partition(", set ")[2].split("; or ") if "set" in message else ():
        settings = dict(setting.split(" = ") for setting in proposal.split(", "))
        there = ClusterConfig(**{name: int(size) for name, size in settings.items()})
        assert planned_axes(there).num_ranks == num_ranks
        assert not faults_with_replicas(model, train, there, there.dp_replicate or 1)


@pytest.mark.parametrize(
    ("cluster", "is_sharded"),
    [
        ({"dp_replicate": 4}, False),
        ({"tp": 2, "pp": 2}, False),
        ({"dp_shard": 2}, True),
        ({"cp": 2}, True),
        ({"dp_replicate": 2, "tp": 2}, True),  # DDP takes no parts of matrices
        ({"dp_replicate": 2, "pp": 2}, True),  # nor of layers
    ],
)
@pytest.mark.parametrize("setting", [{"offload": True}, {"gather": "bf16"}])
def test_only_what_fsdp_keeps_can_be_offloaded_or_gathered_in_less(
    cluster: dict[str, int], is_sharded: bool, setting: dict[str, Any]
) -> None:
    there = ClusterConfig(**cluster, **setting)
    assert planned_axes(there).is_sharded == is_sharded
    model = ModelConfig(num_layers=4, hidden_dim=64, num_heads=4, num_kv_heads=4, ffn_dim=64)
    train = TrainConfig(seq_len=64, global_batch_tokens=512, total_tokens=512, precision="bf16")
    faults = faults_with_replicas(model, train, there, there.dp_replicate or 1)
    assert [each.where for each in faults] == [f"cluster.{name}" for name in setting] * (
        not is_sharded
    )


def test_a_plan_has_one_replica_unless_it_says_more() -> None:
    assert planned_axes(ClusterConfig(dp_shard=8)).num_data_ranks == 8
    assert planned_axes(ClusterConfig(dp_replicate=2, dp_shard=8)).num_data_ranks == 16
