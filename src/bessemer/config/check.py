"""Cross-checks of a run file: rules that tie keys to each other. No data is read.

A check names the tables it needs and is skipped if one of them did not parse: its fault is
reported already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.data import CurateConfig, MixConfig, SourceConfig, TokenizerConfig
from bessemer.config.export import ExportConfig
from bessemer.config.hugging_face import obstacles
from bessemer.config.model import ExpertsConfig, ModelConfig
from bessemer.config.pipeline import (
    num_stages,
    obstacle_to_schedule,
    obstacles_to_two_passes,
    shards_what_two_stages_have,
)
from bessemer.config.timetable import Segment, list_changes, make_timetable
from bessemer.config.train import TrainConfig
from bessemer.core.errors import Fault


def cross_check(sections: dict[str, Any]) -> list[Fault]:
    """All faults between the tables in `sections` (name -> parsed table).

    `source_names` stands beside them: the names as written, so that a fault in one source does
    not hide a misspelt name elsewhere.
    """
    faults: list[Fault] = []
    for needs, check in _CHECKS:
        if all(name in sections for name in needs):
            faults += check(*(sections[name] for name in needs))
    return faults


def faults_with_replicas(
    model: ModelConfig, train: TrainConfig, cluster: ClusterConfig, dp_replicate: int
) -> list[Fault]:
    """All faults of a training on so many replicas: `cluster` may leave their number to what is
    there."""
    cluster = cluster.model_copy(update={"dp_replicate": dp_replicate})
    return cross_check({"model": model, "train": train, "cluster": cluster})


def _source_names(names: list[str]) -> Iterator[Fault]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Fault("source", f"the name {name!r} is used {count} times; names must differ")


def _sources(sources: tuple[SourceConfig, ...]) -> Iterator[Fault]:
    if not sources:
        yield Fault("source", "at least one [[source]] is required")


def _mix(names: list[str], mix: MixConfig) -> Iterator[Fault]:
    if mix.weights is not None:
        yield from _weights("mix.weights", names, mix.weights)
    for key, value in (("weights", mix.weights), ("temperature", mix.temperature)):
        if mix.method == key and value is None:
            yield Fault("mix.method", f"{key!r} needs mix.{key}")
        elif mix.method != key and value is not None and (mix.method or key != "weights"):
            given = f'is "{mix.method}"' if mix.method else "is not given"
            yield Fault(f"mix.{key}", f'goes with method = "{key}", and mix.method {given}')


def _phase_weights(names: list[str], train: TrainConfig) -> Iterator[Fault]:
    for index, phase in enumerate(train.phase):
        if phase.weights is not None:
            yield from _weights(f"train.phase[{index}].weights", names, phase.weights)


def _weights(where: str, names: list[str], weights: Mapping[str, float]) -> Iterator[Fault]:
    for name in weights:
        if name not in names:
            yield Fault(f"{where}.{name}", f"no such source; sources: {', '.join(names)}")
    for name in names:
        if name not in weights:
            yield Fault(where, f"source {name!r} has no weight; give one (0 leaves it out)")
    if not any(weights.values()):
        yield Fault(where, "at least one weight must be above 0")


def _rules(names: list[str], curate: CurateConfig) -> Iterator[Fault]:
    for index, rule in enumerate(curate.rule):
        where = f"curate.rule[{index}]"
        if rule.min is None and rule.max is None:
            yield Fault(where, f"rule for {rule.name!r} needs min or max")
        elif rule.min is not None and rule.max is not None and rule.min > rule.max:
            yield Fault(where, f"min {rule.min} is above max {rule.max}")
        for name in rule.sources:
            if name not in names:
                yield Fault(f"{where}.sources", f"no source {name!r}; sources: {', '.join(names)}")


def _tokenizer(tokenizer: TokenizerConfig) -> Iterator[Fault]:
    given = tokenizer.model_fields_set
    special = tokenizer.special_tokens
    for token in dict.fromkeys(special):
        if len(token) < 2:
            what = f"{token!r} is too short; a special token has two characters or more"
            yield Fault("tokenizer.special_tokens", what)
        if special.count(token) > 1:
            yield Fault("tokenizer.special_tokens", f"{token!r} is given twice")
    if tokenizer.path is None:
        for key in sorted(given & {"pattern", "begin_token", "end_token", "digest"}):
            yield Fault(f"tokenizer.{key}", "is for a tokenizer that is loaded; give path as well")
    else:
        for key in sorted(given & {"vocab_size", "sample_bytes"}):
            yield Fault(f"tokenizer.{key}", "is for a tokenizer that is trained; path loads one")


def _model_dims(model: ModelConfig) -> Iterator[Fault]:
    is_given = "head_dim" in model.model_fields_set
    if not is_given and model.hidden_dim % model.num_heads:
        yield Fault(
            "model.hidden_dim",
            f"{model.hidden_dim} is not a multiple of num_heads ({model.num_heads})",
        )
    elif model.head_dim % 2:
        here = f"{model.hidden_dim} over {model.num_heads} heads gives head width {model.head_dim}"
        yield Fault(
            "model.head_dim" if is_given else "model.hidden_dim",
            f"{model.head_dim if is_given else here}; rotary positions need an even one",
        )
    if model.num_heads % model.num_kv_heads:
        yield Fault(
            "model.num_kv_heads",
            f"{model.num_kv_heads} does not divide num_heads ({model.num_heads})",
        )
    if model.full_attention_every is not None and model.sliding_window is None:
        yield Fault("model.full_attention_every", "needs sliding_window beside it")
    if model.width_scaling == "mup" and model.base_width is None:
        yield Fault("model.base_width", 'is needed for width_scaling = "mup"')
    if model.width_scaling == "none":
        for key in sorted({"base_width", "base_head_dim"} & model.model_fields_set):
            if getattr(model, key) is not None:
                yield Fault(f"model.{key}", 'is for width_scaling = "mup"')
    if model.experts is not None:
        yield from _experts(model, model.experts)


def _expressible(model: ModelConfig, export: ExportConfig) -> Iterator[Fault]:
    for key, reason in obstacles(model) if export.transformers else ():
        yield Fault(
            key,
            f"no architecture of transformers computes this decoder: {reason}; or set "
            "export.transformers = false",
        )


def _experts(model: ModelConfig, experts: ExpertsConfig) -> Iterator[Fault]:
    if experts.experts_per_token > experts.num_experts:
        yield Fault(
            "model.experts.experts_per_token",
            f"{experts.experts_per_token} of {experts.num_experts} experts cannot be chosen",
        )
    if experts.num_dense_layers >= model.num_layers:
        yield Fault(
            "model.experts.num_dense_layers",
            f"{experts.num_dense_layers} leaves none of {model.num_layers} layers to the experts",
        )


def _phases(train: TrainConfig) -> Iterator[Fault]:
    longest = max(phase.seq_len for phase in train.phases)
    if train.packing == "best_fit" and any(each.seq_len != longest for each in train.phases):
        yield Fault(
            "train.packing",
            '"best_fit" packs for one seq_len, and the phases have several; use "concat"',
        )
    seq_lens = {"train.seq_len": train.seq_len}
    before = 0
    for index, phase in enumerate(train.phase):
        where = f"train.phase[{index}]"
        if phase.from_tokens <= before:
            yield Fault(
                f"{where}.from_tokens",
                f"{phase.from_tokens} is not above {before}: phases stand in their order, the "
                "first one begins with [train] itself",
            )
        elif phase.from_tokens >= train.total_tokens:
            yield Fault(
                f"{where}.from_tokens",
                f"{phase.from_tokens} is not below total_tokens ({train.total_tokens})",
            )
        before = max(before, phase.from_tokens)
        if phase.seq_len is not None:
            seq_lens[f"{where}.seq_len"] = phase.seq_len
    for where, seq_len in seq_lens.items():
        if longest % seq_len:
            yield Fault(where, f"{seq_len} does not divide the longest seq_len ({longest})")


def _ramp(train: TrainConfig) -> Iterator[Fault]:
    ramp, full = train.batch_ramp, train.global_batch_tokens
    if ramp is None:
        return
    if ramp.start_tokens >= full:
        yield Fault(
            "train.batch_ramp.start_tokens",
            f"{ramp.start_tokens} is not below global_batch_tokens ({full})",
        )
    elif (full - ramp.start_tokens) % ramp.increment_tokens:
        yield Fault(
            "train.batch_ramp.increment_tokens",
            f"{ramp.increment_tokens} does not lead from start_tokens ({ramp.start_tokens}) to "
            f"global_batch_tokens ({full}) in whole increments",
        )
    if ramp.over_tokens > train.total_tokens:
        yield Fault(
            "train.batch_ramp.over_tokens",
            f"{ramp.over_tokens} is above total_tokens ({train.total_tokens})",
        )


def _batches(train: TrainConfig) -> Iterator[Fault]:
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


def _schedule(train: TrainConfig) -> Iterator[Fault]:
    schedule, total = train.schedule, train.total_tokens
    warmup, decay = schedule.warmup_tokens_of(total), schedule.decay_tokens_of(total)
    if warmup > total:
        yield Fault(
            "train.schedule.warmup_tokens",
            f"{warmup} is more than train.total_tokens ({total}); give less, or warmup_frac",
        )
    elif warmup + decay > total:
        name = "warmup_frac" if schedule.decay_tokens is None else "decay_tokens"
        yield Fault(
            f"train.schedule.{name}",
            f"warm-up ({warmup} tokens) and decay ({decay} tokens) are more than "
            f"train.total_tokens ({total}); shorten one of them",
        )


def _best(train: TrainConfig) -> Iterator[Fault]:
    saved, measured = train.checkpoint.every_steps, train.evaluate.every_steps
    if train.checkpoint.keep_best and saved % measured:
        yield Fault(
            "train.checkpoint.keep_best",
            f"what is saved every {saved} steps must be measured then; make "
            f"train.checkpoint.every_steps a multiple of train.evaluate.every_steps ({measured})",
        )


def _muon(model: ModelConfig, train: TrainConfig) -> Iterator[Fault]:
    optimizer, is_mup = train.optimizer, model.width_scaling == "mup"
    if is_mup and optimizer.kind == "muon" and optimizer.muon.scale != "spectral":
        yield Fault(
            "train.optimizer.muon.scale",
            'must be "spectral" with model.width_scaling = "mup": only then are steps of Muon '
            "alike over widths",
        )


def _layout(train: TrainConfig, cluster: ClusterConfig) -> Iterator[Fault]:
    if any(_batches(train)):
        return
    num_ranks = planned_axes(cluster).num_data_ranks
    for segment in make_timetable(train).segments:
        for fault in _segment_layout(segment, cluster, num_ranks):
            since = f", from step {segment.first_step + 1} on" if segment.first_step else ""
            yield Fault(fault.where, fault.what + since)
            return  # those of later segments are its like


def _shared_weights(train: TrainConfig, cluster: ClusterConfig) -> Iterator[Fault]:
    is_shared = cluster.dp_shard * cluster.cp > 1
    for name, is_used in (("gather", cluster.gather == "bf16"), ("offload", cluster.offload)):
        if is_used and not is_shared:
            yield Fault(
                f"cluster.{name}",
                "is about weights that ranks share out; set cluster.dp_shard, or leave it out",
            )
    if cluster.gather == "bf16" and train.precision in ("fp32", "float8"):
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
        "ffn_dim": model.ffn_dim,
    }
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
    if any(_batches(train)) or any(_layout(train, cluster)):
        return
    num_ranks = planned_axes(cluster).num_data_ranks
    for segment in make_timetable(train).segments:
        share = segment.batch_samples // num_ranks
        size = (cluster.microbatch_tokens or segment.seq_len) // segment.seq_len
        if obstacle := obstacle_to_schedule(share // size, cluster):
            yield Fault(
                "cluster.pp_schedule",
                f'"{cluster.pp_schedule}" on {cluster.pp} ranks {obstacle} microbatches per step, '
                f"and a rank's share of the batch makes {share // size} (in train, a larger "
                "global_batch_tokens; in cluster, fewer microbatch_tokens)",
            )
            return


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


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Fault]]], ...] = (
    (("source",), _sources),
    (("source_names",), _source_names),
    (("source_names", "mix"), _mix),
    (("source_names", "train"), _phase_weights),
    (("source_names", "curate"), _rules),
    (("tokenizer",), _tokenizer),
    (("model",), _model_dims),
    (("model", "export"), _expressible),
    (("train",), _phases),
    (("train",), _ramp),
    (("train",), _batches),
    (("train",), _schedule),
    (("train",), _best),
    (("model", "train"), _muon),
    (("train", "cluster"), _layout),
    (("model", "cluster"), _expert_parallel),
    (("train", "cluster"), _shared_weights),
    (("model", "train", "cluster"), _tensor_parallel),
    (("model", "train", "cluster"), _pipeline),
    (("model", "train", "cluster"), _context_parallel),
)
