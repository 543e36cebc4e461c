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


def test_a_plan_has_one_replica_unless_it_says_more() -> None:
    assert planned_axes(ClusterConfig(dp_shard=8)).num_data_ranks == 8
    assert planned_axes(ClusterConfig(dp_replicate=2, dp_shard=8)).num_data_ranks == 16
