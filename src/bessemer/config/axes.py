"""Along which axes ranks lie, and how many along each.

Data-parallel ranks read different samples. Those along `dp_replicate` hold the same weights, those
along `dp_shard` share weights, gradients and moments out among themselves. Ranks along `cp` compute
different parts of the same sequences, ranks along `tp` the same samples, each with its part of
every matrix, ranks along `pp` different layers. `ep` is no axis beside the others: so many
neighbours along `dp_shard` have different experts instead of a share of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice, product

from bessemer.config.cluster import ClusterConfig
from bessemer.core.errors import ConfigError, Fault

_MOST_PROPOSALS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Ranks along each axis; their product, without `ep`, is the number of ranks."""

    dp_replicate: int = 1
    dp_shard: int = 1
    cp: int = 1
    tp: int = 1
    pp: int = 1
    ep: int = 1

    @property
    def num_ranks(self) -> int:
        """All ranks."""
        return self.num_data_ranks * self.cp * self.tp * self.pp

    @property
    def num_data_ranks(self) -> int:
        """Ranks that read different samples."""
        return self.dp_replicate * self.dp_shard

    @property
    def shares_weights(self) -> bool:
        """Whether no rank holds all weights."""
        return self.num_ranks > self.dp_replicate

    @property
    def is_sharded(self) -> bool:
        """Whether FSDP2 keeps the weights: also of replicas that are parts of matrices or of
        layers, as DDP knows no such parameters and no pipelines. Ranks along "cp" could all hold
        them whole, but need not."""
        is_replicated_part = self.dp_replicate > 1 and self.tp * self.pp > 1
        return self.dp_shard * self.cp > 1 or is_replicated_part

    def __str__(self) -> str:
        used = [f"{name} {size}" for name, size in asdict(self).items() if size > 1]
        return " x ".join(used) or "one rank"


def planned_axes(cluster: ClusterConfig) -> Axes:
    """As the run file has them; one replica if it does not say how many."""
    return Axes(
        dp_replicate=cluster.dp_replicate or 1,
        dp_shard=cluster.dp_shard,
        cp=cluster.cp,
        tp=cluster.tp,
        pp=cluster.pp,
        ep=cluster.ep,
    )


def axes_of_launch(
    cluster: ClusterConfig, num_ranks: int, is_possible: Callable[[Axes], bool] = lambda _: True
) -> Axes:
    """The axes of ranks that were started; as many replicas as there are ranks for, if the run file
    does not say how many.

    Raises ConfigError if the axes need another number of ranks, with layouts for these ranks of
    which `is_possible` is true.
    """
    axes = planned_axes(cluster)
    if cluster.dp_replicate is None and num_ranks % axes.num_ranks == 0:
        return replace(axes, dp_replicate=num_ranks // axes.num_ranks)
    if axes.num_ranks == num_ranks:
        return axes
    given = {name: size for name, size in asdict(replace(axes, ep=1)).items() if size > 1}
    key = next(iter(given), "dp_replicate")
    possible = islice(filter(is_possible, _proposals(axes, num_ranks)), _MOST_PROPOSALS)
    proposals = "; or ".join(_as_settings(each) for each in possible)
    if proposals:
        instead = f"; or, for {num_ranks}, set {proposals}"
    else:
        instead = f"; this run cannot be shared out among {num_ranks}"
    raise ConfigError(
        [
            Fault(
                f"cluster.{key}",
                f"the layout is {' x '.join(f'{k} {v}' for k, v in given.items()) or 'one rank'} = "
                f"{axes.num_ranks} ranks, and {num_ranks} were started. Start as many: torchrun "
                f"--nproc-per-node {axes.num_ranks} -m bessemer run RUN.toml{instead}",
            )
        ]
    )


def _proposals(axes: Axes, num_ranks: int) -> list[Axes]:
    """Layouts for so many ranks, those that keep most of `axes` first. Of axes that not every model
    can be shared out along, none is longer than asked for."""
    sizes = [size for size in range(1, num_ranks + 1) if num_ranks % size == 0]
    shorter = ([size for size in sizes if size <= most] for most in (axes.cp, axes.tp, axes.pp))
    found = []
    for dp_shard, cp, tp, pp in product(sizes, *shorter):
        replicas, rest = divmod(num_ranks, dp_shard * cp * tp * pp)
        if not rest:
            ep = math.gcd(dp_shard, axes.ep)
            found.append(Axes(dp_replicate=replicas, dp_shard=dp_shard, cp=cp, tp=tp, pp=pp, ep=ep))

    def changes(other: Axes) -> int:
        before, after = asdict(axes), asdict(other)
        return sum(before[name] != after[name] for name in before)

    return sorted(found, key=changes)


def _as_settings(axes: Axes) -> str:
    given = {name: size for name, size in asdict(axes).items() if size > 1}
    return ", ".join(f"{name} = {size}" for name, size in given.items()) or "dp_replicate = 1"
