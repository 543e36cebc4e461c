"""How a rank's share of a batch is cut: into microbatches, which lanes compute side by side.

A lane is a thread. On a CPU each multiplies its own matrices instead of all threads sharing one
product: nobody waits for the others after every operation.
"""

from __future__ import annotations

from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.pipeline import possible_microbatches
from bessemer.config.timetable import Segment
from bessemer.core.hardware import num_usable_cores

# On a CPU activations of more do not stay in its cache, and the memory of more in a wide model buys
# 3 % of time; a GPU is not filled by less (docs/log.md).
_MOST_TOKENS = {"cpu": 512, "cuda": 8192}
_MOST_NUMBERS_CPU = 256 * 320  # tokens times width
# Times as many where ranks talk to each other in every layer of each (docs/log.md).
_MORE_IF_SHARED = 4
_MOST_LANES = 4  # of those that nobody asked for: each holds the activations of a microbatch
# Of a pipeline, per rank: at its begin and end, each rank waits for as long as one takes, times the
# ranks less one (Narayanan et al. 2021, arXiv 2104.04473, section 2.2): so a fifth of the time.
_MICROBATCHES_PER_STAGE = 4


def num_lanes(cluster: ClusterConfig, num_ranks: int, device_type: str) -> int:
    """Microbatches that one rank computes side by side; 1 on a GPU, beside other ranks (each is a
    lane by itself), and for compiled layers, whose code is made for all threads."""
    if device_type != "cpu" or num_ranks > 1 or cluster.compile:
        return 1
    threads = cluster.threads or num_usable_cores()
    if cluster.lanes is not None:
        return min(cluster.lanes, threads)
    return max(lanes for lanes in range(1, _MOST_LANES + 1) if threads % lanes == 0)


def default_microbatch_tokens(hidden_dim: int, device_type: str) -> int:
    """Tokens per forward pass of a model that is `hidden_dim` wide, if nobody asked for a number
    and sequences are no longer."""
    most = _MOST_TOKENS[device_type]
    return min(most, _MOST_NUMBERS_CPU // hidden_dim) if device_type == "cpu" else most


def microbatch_samples(
    segment: Segment, hidden_dim: int, cluster: ClusterConfig, axes: Axes, device_type: str
) -> int:
    """Sequences per forward pass of one rank; a divisor of the rank's share of the batch. If nobody
    asked for a number: no more than give every lane one; for a pipeline microbatches that its
    schedule takes, and if possible so many that its ranks seldom wait; else the smallest."""
    share = segment.batch_samples // axes.num_data_ranks
    if cluster.microbatch_tokens is not None:
        return cluster.microbatch_tokens // segment.seq_len
    tokens = default_microbatch_tokens(hidden_dim, device_type)
    if device_type == "cpu" and axes.dp_shard * axes.cp * axes.tp > 1:
        tokens *= _MORE_IF_SHARED
    most = max(1, tokens // segment.seq_len)
    most = min(most, max(1, share // num_lanes(cluster, axes.num_ranks, device_type)))
    if axes.pp == 1:
        return max(size for size in range(1, most + 1) if share % size == 0)
    most = min(most, share // (_MICROBATCHES_PER_STAGE * axes.pp))
    possible = possible_microbatches(share, cluster)
    return max((size for size in possible if size <= most), default=possible[0])
