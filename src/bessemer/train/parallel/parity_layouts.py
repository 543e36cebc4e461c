"""On what layouts, and on how small a model, ranks are compared with one process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.pipeline import (
    SCHEDULES,
    fewest_microbatches,
    obstacles_to_two_passes,
    shards_what_two_stages_have,
)
from bessemer.config.train import OptimizerConfig, TrainConfig

VOCAB_SIZE = 67  # which no number of ranks divides
SEQ_LEN, MICROBATCH = 16, 2
_FEWEST_SAMPLES = 16
_FEWEST_MICROBATCHES = 2  # so that sums over several of them are compared, too
_MOST_ALONG_AXIS = 4
_NUM_LAYERS = 4  # two stages for each of two ranks

_EXCHANGES = ("all-gather", "ulysses")
_LAYOUTS: tuple[dict[str, Any], ...] = (
    {"tp": 2},
    {"dp_shard": 2},
    {"dp_replicate": 2},
    *({"pp": 2, "pp_schedule": kind} for kind in SCHEDULES),
    {"tp": 4},
    {"dp_shard": 4},
    {"dp_replicate": 4},
    {"dp_shard": 2, "tp": 2},
    {"dp_replicate": 2, "tp": 2},
    {"dp_replicate": 2, "dp_shard": 2},
    {"pp": 4, "pp_schedule": "1f1b"},
    {"pp": 2, "dp_replicate": 2},
    *({"pp": 2, "dp_shard": 2, "pp_schedule": kind} for kind in SCHEDULES),
    {"pp": 2, "tp": 2, "pp_schedule": "interleaved"},
    {"dp_shard": 2, "ep": 2},
    {"dp_shard": 4, "ep": 2},
    {"dp_shard": 4, "ep": 4},
    {"dp_replicate": 2, "dp_shard": 2, "ep": 2},
    {"dp_shard": 2, "ep": 2, "tp": 2},
    {"pp": 2, "dp_shard": 2, "ep": 2, "pp_schedule": "zero-bubble"},
    *({"cp": 2, "cp_exchange": kind} for kind in _EXCHANGES),
    *({"cp": 4, "cp_exchange": kind} for kind in _EXCHANGES),
    *({"cp": 2, "dp_shard": 2, "cp_exchange": kind} for kind in _EXCHANGES),
    {"cp": 2, "tp": 2, "cp_exchange": "ulysses"},
    {"cp": 2, "pp": 2, "cp_exchange": "all-gather"},
    {"cp": 2, "dp_shard": 2, "ep": 2, "cp_exchange": "ulysses"},
)


def layouts_to_try(cluster: ClusterConfig, model: ModelConfig) -> list[ClusterConfig]:
    """The layout that a run asks for, its axes cut down to two ranks each; all layouts of two and
    four ranks if it asks for none."""
    axes = planned_axes(cluster)
    if axes.num_ranks > 1:
        cut = {name: min(size, 2) for name, size in asdict(axes).items()}
        if axes.dp_shard > axes.ep > 1:  # so that several ranks have the same experts
            cut["dp_shard"] = 4
        return [_lay_out(cluster, **cut)]
    layouts = [_lay_out(cluster, **axes) for axes in _LAYOUTS]
    return [
        layout
        for layout in layouts
        if not (layout.ep > 1 and model.experts is None)
        and not shards_what_two_stages_have(model, layout)
        and not obstacles_to_two_passes(layout)
    ]


def _lay_out(cluster: ClusterConfig, **changes: Any) -> ClusterConfig:
    """Of `cluster` what bears on how ranks share a model out, with changes. Not `gather`, by which
    numbers are rounded; nor `compile`: a drill, which has its layout from here, too, would take
    compilation for a hang."""
    kept = ("reshard", "offload", "recompute", "cp_exchange", "pp_schedule")
    return ClusterConfig(**{name: getattr(cluster, name) for name in kept} | changes)


def batch_samples(layouts: Iterable[ClusterConfig]) -> int:
    """Sequences of a batch that is large enough for each of these layouts. As axes have one, two or
    four ranks, all share it out evenly, and into microbatches that every schedule takes."""

    def least(layout: ClusterConfig) -> int:
        number = max(_FEWEST_MICROBATCHES, fewest_microbatches(layout))
        return planned_axes(layout).num_data_ranks * number * MICROBATCH

    return max(_FEWEST_SAMPLES, *map(least, layouts))


def scale_down(model: ModelConfig) -> ModelConfig:
    """The same kind of decoder, as small as four ranks can share: what is computed stays, how
    often and how wide does not."""
    is_grouped = model.num_kv_heads < model.num_heads
    experts = model.experts and {
        **model.experts.model_dump(),
        "num_experts": 2 * _MOST_ALONG_AXIS,
        "experts_per_token": min(model.experts.experts_per_token, 2),
        "ffn_dim": 16,
        "num_dense_layers": min(model.experts.num_dense_layers, 1),
    }
    small = {
        "num_layers": _NUM_LAYERS,
        "hidden_dim": 32,
        "num_heads": 2 * _MOST_ALONG_AXIS if is_grouped else _MOST_ALONG_AXIS,
        "num_kv_heads": _MOST_ALONG_AXIS,
        "head_dim": 8,
        "ffn_dim": 40,
        "vocab_rows": None,
        "sliding_window": model.sliding_window and min(model.sliding_window, SEQ_LEN // 2),
        "experts": experts,
        **dict.fromkeys(("size", "depth", "init_from", "init_digest")),
    }
    return ModelConfig.model_validate(model.model_dump() | small)


def scale_down_training(train: TrainConfig, num_samples: int) -> TrainConfig:
    """One step on so many sequences that has all terms of the loss and the same optimizer."""
    batch = num_samples * SEQ_LEN
    return TrainConfig(
        seq_len=SEQ_LEN,
        global_batch_tokens=batch,
        total_tokens=batch,
        document_mask=train.document_mask,
        z_loss=train.z_loss,
        label_smoothing=train.label_smoothing,
        routing=train.routing,
        # With a small eps the first step of AdamW is the sign of what may be rounding alone.
        optimizer=OptimizerConfig(
            kind=train.optimizer.kind, muon=train.optimizer.muon, lr=1e-2, eps=1e-3
        ),
    )


def name_layout(layout: ClusterConfig) -> str:
    """Its axes, and of those that have several kinds which one."""
    kinds = [layout.cp_exchange] * (layout.cp > 1) + [layout.pp_schedule] * (layout.pp > 1)
    axes = str(planned_axes(layout))
    return f"{axes} ({', '.join(kinds)})" if kinds else axes
