"""Cross-checks of a run file: how `[cluster]` lays a training out over ranks.

What does not go together is refused with the reason; all else runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.pipeline import (
    fewest_microbatches,
    num_stages,
    obstacle_to_schedule,
    obstacles_to_two_passes,
    possible_microbatches,
    shards_what_two_stages_have,
)
from bessemer.config.timetable import Segment, list_changes, make_timetable
from bessemer.config.train import TrainConfig
from bessemer.core.errors import Fault


def uneven_batches(train: TrainConfig) -> Iterator[Fault]:
    """Batches that are no whole number of sequences, or larger than the training."""
    changes = list_changes(train)
    for batch, seq_len in dict.fromkeys((each.batch_tokens, each.seq_len) for each in changes):
        if batch % seq_len:
            below = batch - batch % seq_len
            nearest = [size for size in (below, below + seq_len) if size]
            is_full = batch == train.global_batch_tokens
            yield Fault(
                "train.global_batch_tokens" if is_full else "train.batch_ramp",
                f"{batch} is no multiple of seq_len ({seq_len}); "
                f"nearest: {' or '.join(map(str, nearest))}",
            )
    if train.total_tokens < changes[0].batch_tokens:
        yield Fault(
            "train.total_tokens",
            f"{train.total_tokens} is less than one batch ({changes[0].batch_tokens} tokens)",
        )


def _layout(train: TrainConfig, cluster: ClusterConfig) -> Iterator[Fault]:
    if any(uneven_batches(train)):
        return
    num_ranks = planned_axes(cluster).num_data_ranks
    for segment in make_timetable(train).segments:
        for fault in _segment_layout(segment, cluster, num_ranks):
            since = f", from step {segment.first_step + 1} on" if segment.first_step else ""
            yield Fault(fault.where, fault.what + since)
            return  # those of later segments are its like


def _shared_weights(train: TrainConfig, cluster: ClusterConfig) -> Iterator[Fault]:
    is_sharded = planned_axes(cluster).is_sharded
    for name, is_used in (("gather", cluster.gather == "bf16"), ("offload", cluster.offload)):
        if is_used and not is_sharded:
            yield Fault(
                f"cluster.{name}",
                "is about weights that ranks share out; set cluster.dp_shard, or leave it out",
            )
    if cluster.gather == "bf16" and train.precision != "bf16":
        yield Fault(
            "cluster.gather",
            f'"bf16" is for train.precision = "bf16", not "{train.precision}"; leave it out',
        )


def _tensor_parallel(
    model: ModelConfig, train: TrainConfig, cluster: ClusterConfig
) -> Iterator[Fault]:
    tp = cluster.tp
    if tp == 1:
        return
    divided = {
        "num_heads": model.num_heads,
        "num_kv_heads": model.num_kv_heads,
    }
    if model.experts is None or model.experts.num_dense_layers:
        divided["ffn_dim"] = model.ffn_dim
    if model.experts is not None:
        divided["experts.num_shared x ffn_dim"] = model.experts.num_shared * model.experts.ffn_dim
    for name, size in divided.items():
        if size % tp:
            yield Fault("cluster.tp", f"{tp} ranks cannot share model.{name} ({size}) evenly")
    for seq_len in sorted({phase.seq_len for phase in train.phases}):
        if seq_len % tp:
            yield Fault("cluster.tp", f"{tp} ranks cannot share a seq_len of {seq_len} evenly")
    obstacles = ["cluster.compile"] * cluster.compile
    obstacles += ['train.precision = "float8"'] * (train.precision == "float8")
    for key in obstacles:
        yield Fault("cluster.tp", f"does not go with {key} yet; leave one of them out")


def _pipeline(model: ModelConfig, train: TrainConfig, cluster: ClusterConfig) -> Iterator[Fault]:
    if cluster.pp == 1:
        return
    stages = num_stages(cluster.pp, cluster.pp_schedule)
    if model.num_layers < stages:
        yield Fault(
            "cluster.pp",
            f'"{cluster.pp_schedule}" on {cluster.pp} ranks has {stages} stages, more than '
            f"model.num_layers ({model.num_layers})",
        )
    for setting in obstacles_to_two_passes(cluster):
        yield Fault(
            "cluster.pp_schedule",
            f'"{cluster.pp_schedule}" puts off gradients of weights, which cluster.{setting} does '
            f'not allow; take "interleaved", or leave cluster.{setting} out',
        )
    if shards_what_two_stages_have(model, cluster):
        yield Fault(
            "cluster.pp_schedule",
            '"dualpipe-v" has both ends of the model on one rank, and FSDP2 cannot share out a '
            'weight that two stages have: take "zero-bubble", or model.tie_embeddings = false',
        )
    if any(uneven_batches(train)) or any(_layout(train, cluster)):
        return
    num_ranks = planned_axes(cluster).num_data_ranks
    segments = make_timetable(train).segments
    shares = [segment.batch_samples // num_ranks for segment in segments]
    needs, least = f'"{cluster.pp_schedule}" on {cluster.pp} ranks ', fewest_microbatches(cluster)
    for segment, share in zip(segments, shares, strict=True):
        if share < least:
            yield Fault(
                "cluster.pp_schedule",
                f"{needs}needs at least {least} microbatches per step, and of a batch of "
                f"{segment.batch_samples} sequences a rank has {share}; batches must be of "
                f"{least * num_ranks * segment.seq_len} tokens or more",
            )
            return
    if cluster.microbatch_tokens is None:
        return
    for segment, share in zip(segments, shares, strict=True):
        number = share * segment.seq_len // cluster.microbatch_tokens
        if obstacle := obstacle_to_schedule(number, cluster):
            sizes = [size * segment.seq_len for size in possible_microbatches(share, cluster)]
            nearest = _nearest(cluster.microbatch_tokens, sizes)
            yield Fault(
                "cluster.microbatch_tokens",
                f"{needs}{obstacle} microbatches per step, and {cluster.microbatch_tokens} tokens "
                f"in each make {number}; leave it out, or nearest: {nearest}",
            )
            return


def _nearest(given: int, allowed: Sequence[int]) -> str:
    """The next smaller and the next larger number, as far as there are any."""
    below = [max(each for each in allowed if each < given)] if min(allowed) < given else []
    above = [min(each for each in allowed if each > given)] if max(allowed) > given else []
    return " or ".join(map(str, below + above))


def _without_ranks(cluster: ClusterConfig) -> Iterator[Fault]:
    """What is said of an axis along which there is one rank."""
    for axis, name in (("pp", "pp_schedule"), ("cp", "cp_exchange")):
        is_default = getattr(cluster, name) == ClusterConfig.model_fields[name].default
        if getattr(cluster, axis) == 1 and not is_default:
            yield Fault(
                f"cluster.{name}",
                f"is about ranks along {axis}; set cluster.{axis}, or leave it out",
            )


def _expert_parallel(model: ModelConfig, cluster: ClusterConfig) -> Iterator[Fault]:
    ep, experts = cluster.ep, model.experts
    if cluster.dp_shard % ep:
        yield Fault("cluster.ep", f"{ep} does not divide cluster.dp_shard ({cluster.dp_shard})")
    if experts is None:
        if ep > 1:
            yield Fault("cluster.ep", "shares experts out; leave it out, or give model.experts")
        return
    spread = ep * cluster.tp  # ranks along tp have different experts, too
    if spread == 1:
        return
    key = "cluster.ep" if ep > 1 else "cluster.tp"
    if experts.num_experts % spread:
        yield Fault(
            key,
            f"{spread} ranks cannot share model.experts.num_experts ({experts.num_experts}) evenly",
        )
    alike = max(1, cluster.dp_shard // ep) * cluster.cp  # ranks that have the same experts
    if cluster.offload and ep > 1 and alike * (cluster.dp_replicate or 1) == 1:
        yield Fault(
            "cluster.offload",
            f"keeps what ranks share out, and with ep = {ep} none shares the experts of another; "
            "lower cluster.ep, or leave one of them out",
        )
    for name, size in (
        ("model.hidden_dim", model.hidden_dim),
        ("model.experts.ffn_dim", experts.ffn_dim),
    ):
        if size % alike:
            yield Fault(
                key,
                f"{spread} leaves {alike} ranks with the same experts, which cannot share {name} "
                f"({size}) evenly",
            )


def _context_parallel(
    model: ModelConfig, train: TrainConfig, cluster: ClusterConfig
) -> Iterator[Fault]:
    cp, tp = cluster.cp, cluster.tp
    if cp == 1:
        return
    for seq_len in sorted({phase.seq_len for phase in train.phases}):
        if seq_len % (2 * cp):
            yield Fault(
                "cluster.cp",
                f"{cp} ranks, which take two chunks of a sequence each, cannot share a seq_len of "
                f"{seq_len} evenly",
            )
        elif seq_len // cp % tp:
            yield Fault(
                "cluster.tp",
                f"{tp} ranks cannot share the {seq_len // cp} tokens evenly that cluster.cp leaves "
                f"them of a seq_len of {seq_len}",
            )
    if cluster.cp_exchange == "ulysses":
        for name in ("num_heads", "num_kv_heads"):
            heads = getattr(model, name)
            if heads % (cp * tp):
                among = f"{cp} ranks" if tp == 1 else f"{cp} x {tp} ranks along cp and tp"
                yield Fault(
                    "cluster.cp_exchange",
                    f'"ulysses": {among} cannot share model.{name} ({heads}) evenly; use '
                    '"all-gather"',
                )


def _segment_layout(segment: Segment, cluster: ClusterConfig, num_ranks: int) -> Iterator[Fault]:
    share, uneven = divmod(segment.batch_samples, num_ranks)
    if uneven:
        yield Fault(
            "cluster.dp_shard" if cluster.dp_replicate is None else "cluster.dp_replicate",
            f"{num_ranks} ranks cannot share a batch of {segment.batch_samples} sequences evenly",
        )
        return
    if cluster.microbatch_tokens is None:
        return
    size, uneven = divmod(cluster.microbatch_tokens, segment.seq_len)
    if uneven:
        yield Fault(
            "cluster.microbatch_tokens",
            f"{cluster.microbatch_tokens} is no multiple of seq_len ({segment.seq_len})",
        )
    elif share % size:
        yield Fault(
            "cluster.microbatch_tokens",
            f"{size} sequences do not divide a rank's share of the batch ({share} sequences)",
        )


LAYOUT_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Fault]]], ...] = (
    (("train", "cluster"), _layout),
    (("model", "cluster"), _expert_parallel),
    (("train", "cluster"), _shared_weights),
    (("model", "train", "cluster"), _tensor_parallel),
    (("model", "train", "cluster"), _pipeline),
    (("cluster",), _without_ranks),
    (("model", "train", "cluster"), _context_parallel),
)
