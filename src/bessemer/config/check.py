"""Cross-checks of a run file: rules that tie keys to each other. No data is read.

A check names the tables it needs and is skipped if one of them did not parse: its fault is
reported already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from bessemer.config.axes import Axes, axes_of_launch
from bessemer.config.check_curation import CURATION_CHECKS
from bessemer.config.check_layout import LAYOUT_CHECKS, uneven_batches
from bessemer.config.cluster import ClusterConfig
from bessemer.config.export import ExportConfig
from bessemer.config.hugging_face import obstacles
from bessemer.config.model import ExpertsConfig, ModelConfig
from bessemer.config.sources import SourceConfig
from bessemer.config.tokens import MixConfig, TokenizerConfig
from bessemer.config.train import TrainConfig
from bessemer.core.errors import ConfigError, Fault


def cross_check(sections: dict[str, Any]) -> list[Fault]:
    """All faults between the tables in `sections` (name -> parsed table).

    Beside them stand `source_names`, the names as written, so that a fault in one source does not
    hide a misspelt name elsewhere, and `written`, all tables as they were before they were parsed.
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


def axes_of_run(
    model: ModelConfig, train: TrainConfig, cluster: ClusterConfig, num_ranks: int
) -> Axes:
    """The axes of ranks that were started for a training.

    Raises ConfigError if the layout needs another number of ranks, with layouts that pass all
    checks; or with every fault of a training on so many replicas.
    """

    def is_possible(axes: Axes) -> bool:
        there = cluster.model_copy(update=asdict(axes))
        return not cross_check({"model": model, "train": train, "cluster": there})

    axes = axes_of_launch(cluster, num_ranks, is_possible)
    if faults := faults_with_replicas(model, train, cluster, axes.dp_replicate):
        raise ConfigError(faults)
    return axes


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


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Fault]]], ...] = (
    (("source",), _sources),
    (("source_names",), _source_names),
    (("source_names", "mix"), _mix),
    (("source_names", "train"), _phase_weights),
    *CURATION_CHECKS,
    (("tokenizer",), _tokenizer),
    (("model",), _model_dims),
    (("model", "export"), _expressible),
    (("train",), _phases),
    (("train",), _ramp),
    (("train",), uneven_batches),
    (("train",), _schedule),
    (("train",), _best),
    (("model", "train"), _muon),
    *LAYOUT_CHECKS,
)
