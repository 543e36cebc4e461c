"""Along which axes ranks lie, and how many along each.

Data-parallel ranks read different samples. Those along `dp_replicate` hold the same weights, those
along `dp_shard` share weights, gradients and moments out among themselves. Ranks along `tp` compute
the same samples, each with its part of every matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.core.errors import ConfigError, Fault

_MOST_PROPOSALS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Ranks along each axis; their product is the number of ranks."""

    dp_replicate: int = 1
    dp_shard: int = 1
    tp: int = 1

    @property
    def num_ranks(self) -> int:
        """All ranks."""
        return self.num_data_ranks * self.tp

    @property
    def num_data_ranks(self) -> int:
        """Ranks that read different samples."""
        return self.dp_replicate * self.dp_shard

    @property
    def shares_weights(self) -> bool:
        """Whether no rank holds all weights."""
        return self.dp_shard > 1 or self.tp > 1


def planned_axes(cluster: ClusterConfig) -> Axes:
    """As the run file has them; one replica if it does not say how many."""
    return Axes(dp_replicate=cluster.dp_replicate or 1, dp_shard=cluster.dp_shard, tp=cluster.tp)


def obstacles_to_tp(model: ModelConfig) -> list[str]:
    """Keys of what a model has that ranks along `tp` cannot share out yet."""
    used = {"model.experts": model.experts is not None, "model.dropout": model.dropout > 0}
    return [key for key, is_used in used.items() if is_used]


def axes_of_launch(cluster: ClusterConfig, num_ranks: int) -> Axes:
    """The axes of ranks that were started; as many replicas as there are ranks for, if the run file
    does not say how many.

    Raises ConfigError, with layouts that are possible, if the axes need another number of ranks.
    """
    axes = planned_axes(cluster)
    if cluster.dp_replicate is None and num_ranks % axes.num_ranks == 0:
        return replace(axes, dp_replicate=num_ranks // axes.num_ranks)
    if axes.num_ranks == num_ranks:
        return axes
    given = {"dp_replicate": cluster.dp_replicate, "dp_shard": cluster.dp_shard, "tp": cluster.tp}
    key = next((name for name, size in given.items() if size and size > 1), "dp_replicate")
    sizes = [size for size in range(1, num_ranks + 1) if num_ranks % size == 0]
    layouts = [
        f"{num_ranks // dp_shard // tp} x {dp_shard} x {tp}"
        for tp in sizes
        for dp_shard in sizes
        if num_ranks % (dp_shard * tp) == 0 and (tp == 1 or cluster.tp > 1)
    ]
    raise ConfigError(
        [
            Fault(
                f"cluster.{key}",
                f"dp_replicate x dp_shard x tp is {axes.dp_replicate} x {axes.dp_shard} x "
                f"{axes.tp} = {axes.num_ranks} ranks, and {num_ranks} were started. Start as many: "
                f"torchrun --nproc-per-node {axes.num_ranks} -m bessemer run RUN.toml; or, for "
                f"{num_ranks}, set {', '.join(layouts[:_MOST_PROPOSALS])}",
            )
        ]
    )
