"""Stage `mix`: how many tokens of which source a run sees, exactly, and how often it repeats them.

Planned over token shards, so a new mixture costs seconds and moves no data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import pyarrow as pa

from bessemer.core.errors import DataError
from bessemer.core.layout import PLAN, SHARDS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import MIX_PLAN, TRAIN
from bessemer.core.storage import read_json, write_table
from bessemer.tokens.corpus import WHERE_IT_WENT

REPEAT_DECAY_EPOCHS = 15.387756  # R*_D, Muennighoff et al. 2023 (arXiv 2305.16264), appendix A


def mix(
    encoded: Path,
    sources: Sequence[str],
    weights: Mapping[str, float] | None,
    num_samples: int,
    seq_len: int,
    max_epochs: float,
    folder: Path,
) -> StageResult:
    """Apportion the run's samples to the sources and write the plan."""
    available = dict.fromkeys(sources, 0)
    for shard in read_json(encoded / SHARDS):
        if shard["side"] == TRAIN:
            available[shard["source"]] += shard["tokens"]
    shares = _shares(available, weights)
    samples = apportion(num_samples, shares)
    rows = []
    for source in sources:
        planned = samples[source] * seq_len
        epochs = planned / available[source] if available[source] else 0.0
        if epochs > max_epochs:
            raise DataError(
                f"source {source!r} would be repeated {epochs:.1f} times (mix.max_epochs = "
                f"{max_epochs:g}): {planned:,} tokens are planned, {available[source]:,} are "
                "there; lower its weight or train.total_tokens, add text, or raise the limit"
            )
        rows.append(
            {
                "source": source,
                "weight": float(shares[source]),
                "available_tokens": available[source],
                "planned_samples": samples[source],
                "planned_tokens": planned,
                "epochs": epochs,
                "effective_tokens": effective_tokens(available[source], epochs),
            }
        )
    write_table(folder / PLAN, pa.Table.from_pylist(rows, schema=MIX_PLAN))
    return StageResult(summary={"epochs": {row["source"]: row["epochs"] for row in rows}})


def apportion(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Integers that sum to `total` and are nearest to `shares` of it: the largest remainders
    are rounded up (ties: the earlier source). Exact: shares are fractions that sum to one."""
    exact = {name: share * total for name, share in shares.items()}
    counts = {name: math.floor(quota) for name, quota in exact.items()}
    names = list(shares)
    by_remainder = sorted(names, key=lambda name: (counts[name] - exact[name], names.index(name)))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def effective_tokens(unique_tokens: int, epochs: float) -> float:
    """What repeated tokens are worth in fresh ones: U + U R* (1 - exp(-R / R*)), R = epochs - 1.

    Muennighoff et al. 2023, equation 5. Up to one epoch, the tokens seen.
    """
    if epochs <= 1:
        return unique_tokens * epochs
    repeats = epochs - 1
    return unique_tokens * (1 + REPEAT_DECAY_EPOCHS * -math.expm1(-repeats / REPEAT_DECAY_EPOCHS))


def _shares(
    available: Mapping[str, int], weights: Mapping[str, float] | None
) -> dict[str, Fraction]:
    """The weights as fractions that sum to one; without weights, as much as there is."""
    raw = {
        name: Fraction(available[name] if weights is None else weights[name]) for name in available
    }
    for name, weight in raw.items():
        if weight and not available[name]:
            raise DataError(
                f"source {name!r} has weight {float(weight):g} but no training text is left of "
                f"it: {WHERE_IT_WENT}; or set its weight to 0"
            )
    total = sum(raw.values())
    if not total:
        raise DataError(f"no training text is left: {WHERE_IT_WENT}")
    return {name: weight / total for name, weight in raw.items()}
