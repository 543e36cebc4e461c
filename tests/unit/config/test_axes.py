"""Axes are as the run file has them, or what the ranks that were started leave open."""

from __future__ import annotations

import pytest

from bessemer.config.axes import Axes, axes_of_launch, planned_axes
from bessemer.config.cluster import ClusterConfig
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
    ],
)
def test_what_is_not_said_follows_from_the_ranks(
    cluster: dict[str, int], num_ranks: int, axes: Axes
) -> None:
    found = axes_of_launch(ClusterConfig(**cluster), num_ranks)
    assert found == axes
    assert found.num_ranks == found.num_data_ranks * found.tp == num_ranks


@pytest.mark.parametrize(
    ("cluster", "num_ranks", "message"),
    [
        (
            {"dp_replicate": 4},
            2,
            "cluster.dp_replicate: dp_replicate x dp_shard x tp is 4 x 1 x 1 = 4 ranks, and 2 were",
        ),
        (
            {"dp_shard": 4},
            6,
            "cluster.dp_shard: dp_replicate x dp_shard x tp is 1 x 4 x 1 = 4 ranks, and 6 were",
        ),
        ({"dp_replicate": 2, "dp_shard": 4}, 6, "set 6 x 1 x 1, 3 x 2 x 1, 2 x 3 x 1, 1 x 6 x 1"),
        ({"dp_shard": 3}, 1, "torchrun --nproc-per-node 3"),
        ({"dp_replicate": 1}, 2, "cluster.dp_replicate: dp_replicate x dp_shard x tp is 1 x 1 x 1"),
        ({"tp": 2}, 3, "cluster.tp: dp_replicate x dp_shard x tp is 1 x 1 x 2 = 2 ranks"),
    ],
)
def test_a_layout_for_other_ranks_is_refused_with_those_that_are_possible(
    cluster: dict[str, int], num_ranks: int, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        axes_of_launch(ClusterConfig(**cluster), num_ranks)
    assert message in str(refused.value)


def test_a_plan_has_one_replica_unless_it_says_more() -> None:
    assert planned_axes(ClusterConfig(dp_shard=8)).num_data_ranks == 8
    assert planned_axes(ClusterConfig(dp_replicate=2, dp_shard=8)).num_data_ranks == 16
