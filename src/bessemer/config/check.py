"""Cross-checks of a run file: rules that tie keys to each other. No data is read.

A check names the tables it needs and is skipped if one of them did not parse: its fault is
reported already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from bessemer.config.cluster import ClusterConfig
from bessemer.config.data import CurateConfig, MixConfig, SourceConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.core.errors import Fault

DEFAULT_MICROBATCH_TOKENS = 8192


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


def microbatch_samples(train: TrainConfig, cluster: ClusterConfig, num_ranks: int) -> int:
    """Sequences per forward pass of one rank; a divisor of the rank's share of the batch."""
    share = train.batch_samples // num_ranks
    if cluster.microbatch_tokens is not None:
        return cluster.microbatch_tokens // train.seq_len
    most = max(1, DEFAULT_MICROBATCH_TOKENS // train.seq_len)
    return max(size for size in range(1, min(most, share) + 1) if share % size == 0)


def _source_names(names: list[str]) -> Iterator[Fault]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Fault("source", f"the name {name!r} is used {count} times; names must differ")


def _sources(sources: tuple[SourceConfig, ...]) -> Iterator[Fault]:
    if not sources:
        yield Fault("source", "at least one [[source]] is required")


def _weights(names: list[str], mix: MixConfig) -> Iterator[Fault]:
    if mix.weights is None:
        return
    for name in mix.weights:
        if name not in names:
            yield Fault(f"mix.weights.{name}", f"no such source; sources: {', '.join(names)}")
    for name in names:
        if name not in mix.weights:
            yield Fault("mix.weights", f"source {name!r} has no weight; give one (0 leaves it out)")
    if not any(mix.weights.values()):
        yield Fault("mix.weights", "at least one weight must be above 0")


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
    if model.logit_softcap is not None:
        yield Fault(
            "model.logit_softcap",
            "no architecture of transformers that the export knows has it; leave it out "
            "(train.loss.z_loss keeps logits small too)",
        )


def _batches(train: TrainConfig) -> Iterator[Fault]:
    batch, seq_len = train.global_batch_tokens, train.seq_len
    if batch % seq_len:
        below = batch - batch % seq_len
        nearest = [size for size in (below, below + seq_len) if size]
        yield Fault(
            "train.global_batch_tokens",
            f"{batch} is no multiple of seq_len ({seq_len}); "
            f"nearest: {' or '.join(map(str, nearest))}",
        )
    if train.total_tokens < batch:
        yield Fault(
            "train.total_tokens",
            f"{train.total_tokens} is less than one batch (global_batch_tokens = {batch})",
        )


def _layout(train: TrainConfig, cluster: ClusterConfig) -> Iterator[Fault]:
    if train.global_batch_tokens % train.seq_len:
        return
    num_ranks = cluster.dp_replicate or 1
    if train.batch_samples % num_ranks:
        yield Fault(
            "cluster.dp_replicate",
            f"{num_ranks} ranks cannot share a batch of {train.batch_samples} sequences evenly",
        )
        return
    micro = cluster.microbatch_tokens
    if micro is None:
        return
    if micro % train.seq_len:
        yield Fault(
            "cluster.microbatch_tokens",
            f"{micro} is no multiple of train.seq_len ({train.seq_len})",
        )
    elif (train.batch_samples // num_ranks) % (micro // train.seq_len):
        yield Fault(
            "cluster.microbatch_tokens",
            f"{micro // train.seq_len} sequences do not divide a rank's share of the batch "
            f"({train.batch_samples // num_ranks} sequences)",
        )


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Fault]]], ...] = (
    (("source",), _sources),
    (("source_names",), _source_names),
    (("source_names", "mix"), _weights),
    (("source_names", "curate"), _rules),
    (("model",), _model_dims),
    (("train",), _batches),
    (("train", "cluster"), _layout),
)
