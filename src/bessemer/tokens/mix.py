"""Stage `mix`: how many samples of which source a run sees, exactly, and how often it repeats them.

Planned over token shards, so a new mixture costs seconds and moves no data. Output: `plan.parquet`,
a row per source; `phases.parquet`, the same for each phase, with where every source stands as it
begins; `turns.parquet`, from which the source of any sample is worked out.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.config.timetable import PhaseSamples, make_timetable, mixed_tokens
from bessemer.config.tokens import MixConfig
from bessemer.config.train import TrainConfig
from bessemer.core.errors import DataError
from bessemer.core.layout import PHASES, PLAN, TURNS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import MIX_PHASE, MIX_PLAN, MIX_TURNS, TRAIN
from bessemer.core.storage import write_table
from bessemer.tokens.chunks import Chunks, open_chunks, required_packs
from bessemer.tokens.interleave import SHARE_UNITS, count_turns
from bessemer.tokens.shares import Shares, apportion, exact, mix_shares, weighted_shares
from bessemer.tokens.stream import TokenStream, open_streams

_LOG = logging.getLogger(__name__)

REPEAT_DECAY_EPOCHS = 15.387756  # R*_D, Muennighoff et al. 2023 (arXiv 2305.16264), appendix A


def mix(
    encoded: Path,
    sources: Sequence[str],
    config: MixConfig,
    train: TrainConfig,
    seed: int,
    folder: Path,
    packed: Path | None = None,
) -> StageResult:
    """Apportion the samples of every phase to the sources and write the plan.

    `packed` is what the stage pack wrote; best-fit packing needs it. Raises DataError if a source
    lacks text or would be repeated too often.
    """
    streams = open_streams(encoded, TRAIN)
    available = {name: streams[name].num_tokens if name in streams else 0 for name in sources}
    phases = make_timetable(train).phases
    shares = _shares_of_phases(config, train, phases, available)
    chunk_tokens = max(phase.seq_len for phase in phases)
    packs = required_packs(train.packing, packed)
    chunks = {
        name: open_chunks(
            streams.get(name, TokenStream(encoded, [])), packs, chunk_tokens, seed, name
        )
        for name in sources
    }
    warned = _check_epochs(config, phases, shares, chunks)
    units = [apportion(SHARE_UNITS, of_phase) for of_phase in shares]
    turns = [
        count_turns(list(of_phase.values()), phase.num_samples)
        for phase, of_phase in zip(phases, units, strict=True)
    ]
    rows, plan = [], []
    for index, name in enumerate(sources):
        samples, parts = [int(table[-1, index]) for table in turns], [each[name] for each in shares]
        of_source = _plan_source(
            name, phases, parts, [each[name] for each in units], samples, chunks[name]
        )
        rows += [{"packing": train.packing, **row} for row in of_source]
        plan.append(_sum_phases(name, phases, parts, of_source, chunks[name]))
    rows.sort(key=lambda row: row["phase"])  # sources stay in their order
    write_table(folder / PLAN, pa.Table.from_pylist(plan, schema=MIX_PLAN))
    write_table(folder / PHASES, pa.Table.from_pylist(rows, schema=MIX_PHASE))
    blocks = [
        {"phase": phase.phase, "turns": block}
        for phase, table in zip(phases, turns, strict=True)
        for block in table.tolist()
    ]
    write_table(folder / TURNS, pa.Table.from_pylist(blocks, schema=MIX_TURNS))
    return StageResult(
        summary={"epochs": {row["source"]: row["epochs"] for row in plan}, "repeated": warned}
    )


def effective_tokens(unique_tokens: int, epochs: float) -> float:
    """What repeated tokens are worth in fresh ones: U + U R* (1 - exp(-R / R*)), R = epochs - 1.

    Muennighoff et al. 2023, equation 5. Up to one epoch, the tokens seen.
    """
    if epochs <= 1:
        return unique_tokens * epochs
    repeats = epochs - 1
    return unique_tokens * (1 + REPEAT_DECAY_EPOCHS * -math.expm1(-repeats / REPEAT_DECAY_EPOCHS))


def _shares_of_phases(
    config: MixConfig,
    train: TrainConfig,
    phases: Sequence[PhaseSamples],
    available: Mapping[str, int],
) -> list[Shares]:
    """The shares of each phase: by its own weights, or as `[mix]` says."""
    weights = [train.phases[phase.phase].weights for phase in phases]
    budget = mixed_tokens(train)
    return [
        mix_shares(config, available, budget) if own is None else weighted_shares(own, available)
        for own in weights
    ]


def _check_epochs(
    config: MixConfig,
    phases: Sequence[PhaseSamples],
    shares: Sequence[Shares],
    chunks: Mapping[str, Chunks],
) -> list[str]:
    """The sources that are repeated so often that it is warned of; DataError if it is too often.

    Judged by the exact shares: rounding to whole samples breaks no limit.
    """
    warned = []
    for name, of_source in chunks.items():
        epochs = sum(
            (
                of_source.epochs_of(
                    of_phase[name] * phase.num_samples * phase.seq_len, phase.seq_len
                )
                for phase, of_phase in zip(phases, shares, strict=True)
            ),
            Fraction(0),
        )
        size = of_source.stream.num_tokens
        if epochs > exact(config.max_epochs) and not config.force:
            raise DataError(
                f"source {name!r} would be repeated {float(epochs):.1f} times "
                f"(mix.max_epochs = {config.max_epochs:g}): {float(epochs * size):,.0f} tokens are "
                f"planned, {size:,} are there; lower its weight or train.total_tokens, add text, "
                "raise the limit, or say mix.force = true"
            )
        if epochs > exact(config.warn_epochs):
            warned.append(name)
            _LOG.warning(
                "source %r is repeated %.1f times (mix.warn_epochs = %g): its %s planned tokens "
                "are worth %s fresh ones",
                name,
                float(epochs),
                config.warn_epochs,
                f"{float(epochs * size):,.0f}",
                f"{effective_tokens(size, float(epochs)):,.0f}",
            )
    return warned


def _plan_source(
    source: str,
    phases: Sequence[PhaseSamples],
    shares: Sequence[Fraction],
    units: Sequence[int],
    samples: Sequence[int],
    chunks: Chunks,
) -> list[dict[str, Any]]:
    """One source's row of every phase: it goes on where the phase before left it."""
    rows = []
    position = 0
    for phase, share, unit, num_samples in zip(phases, shares, units, samples, strict=True):
        first = -(-position // phase.seq_len) * phase.seq_len if num_samples else position
        end = first + num_samples * phase.seq_len
        rows.append(
            {
                "phase": phase.phase,
                "seq_len": phase.seq_len,
                "first_sample": phase.first_sample,
                "source": source,
                "weight": float(share),
                "share_units": unit,
                "planned_samples": num_samples,
                "first_position": first,
                "skipped_tokens": first - position,
                "padded_tokens": chunks.padded(first, end, phase.seq_len),
                "wrapped_tokens": chunks.wrapped(first, end, phase.seq_len),
            }
        )
        position = end
    return rows


def _sum_phases(
    source: str,
    phases: Sequence[PhaseSamples],
    shares: Sequence[Fraction],
    rows: Sequence[Mapping[str, Any]],
    chunks: Chunks,
) -> dict[str, Any]:
    """One source's row of the plan."""
    sizes = [phase.num_samples * phase.seq_len for phase in phases]
    asked = sum(share * size for share, size in zip(shares, sizes, strict=True))
    sums = {
        name: sum(row[name] for row in rows)
        for name in ("planned_samples", "padded_tokens", "wrapped_tokens", "skipped_tokens")
    }
    tokens = [(row["planned_samples"] * row["seq_len"], row["seq_len"]) for row in rows]
    epochs = float(sum(chunks.epochs_of(Fraction(number), length) for number, length in tokens))
    available = chunks.stream.num_tokens
    return sums | {
        "source": source,
        "weight": float(asked / sum(sizes)),
        "available_tokens": available,
        "planned_tokens": sum(number for number, _ in tokens),
        "epochs": epochs,
        "effective_tokens": effective_tokens(available, epochs),
    }
