"""The verdict on a training run: underfitting, overfitting, data-limited, unstable or healthy.

A pure function of measured numbers. Each finding says what was measured, the bound it was held
against and why the bound, and what to change. The bounds are our own judgement where no source is
named; they are kept in one place, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bessemer.core.units import format_count
from bessemer.diagnose.gap import Gap

UNSTABLE, OVERFITTING, DATA_LIMITED = "unstable", "overfitting", "data-limited"
UNDERFITTING, HEALTHY = "underfitting", "healthy"

SPIKE_DEVIATIONS = 6.0  # of the step-to-step noise above the level of the loss
SPIKE_WINDOW_STEPS = 64  # over which the noise is taken
SPIKE_LEVEL_STEPS = 8  # over which the level is taken
RISE_FRAC = 0.01  # held-out loss above its own minimum
GAP_FRAC = 0.10  # gap as a share of held-out bits per byte
# Text read less often is hardly known by heart: its gap says that the two sides differ. In the demo
# that of code is 0.52 bits per byte after a quarter of an epoch, and 0.58 after more than one.
MEMORY_EPOCHS = 2.0
FRESH_EPOCHS = 4.0  # up to here repetition is nearly as good as fresh text (arXiv 2305.16264)
STILL_FALLING_FRAC = 0.01  # held-out improvement over the last fifth of training
COMPUTE_OPTIMAL_TOKENS = 20.0  # per parameter (Hoffmann et al. 2022, arXiv 2203.15556)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that the numbers say."""

    kind: str
    evidence: str
    advice: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The word, and the findings behind it, gravest first."""

    word: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Held-out bits per byte of one source by step, from before the first step to the last."""

    source: str
    steps: Sequence[int]
    bits_per_byte: Sequence[float]


def judge(
    gaps: Sequence[Gap],
    curves: Sequence[Curve],
    losses: Sequence[float],
    epochs: Mapping[str, float],
    num_parameters: int,
    tokens_seen: int,
) -> Verdict:
    """Weigh the evidence; `losses` are the training losses of all steps, in nats per token."""
    findings = [
        *_find_spikes(losses),
        *_find_rises(curves, epochs),
        *_find_gaps(gaps, epochs),
        *_find_repetition(epochs),
        *_find_room(curves, num_parameters, tokens_seen),
    ]
    if not findings:
        findings = [
            Finding(
                kind=HEALTHY,
                evidence="no spike, no rise of held-out loss, no gap beyond its bound, and the "
                "held-out loss has levelled off",
                advice="nothing to mend; a better model needs more parameters and more text",
            )
        ]
    order = (UNSTABLE, OVERFITTING, DATA_LIMITED, UNDERFITTING, HEALTHY)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return Verdict(word=findings[0].kind, findings=tuple(findings))


def find_spikes(losses: Sequence[float]) -> list[int]:
    """Steps (from 1) whose loss stands far above the level of the steps before it.

    The level is the median of the last few steps. The noise is the median absolute deviation of
    the change from step to step, so that a loss that falls steadily does not hide a spike; for
    independent noise it is 0.95 of its standard deviation.
    """
    values = np.asarray(losses, np.float64)
    spikes = []
    for index in range(SPIKE_WINDOW_STEPS // 2, len(values)):
        level = np.median(values[index - SPIKE_LEVEL_STEPS : index])
        changes = np.diff(values[max(0, index - SPIKE_WINDOW_STEPS) : index])
        noise = np.median(np.abs(changes - np.median(changes)))
        if values[index] > level + SPIKE_DEVIATIONS * max(noise, 1e-3 * level):
            spikes.append(index + 1)
    return spikes


def _find_spikes(losses: Sequence[float]) -> list[Finding]:
    spikes = find_spikes(losses)
    if not spikes:
        return []
    shown = ", ".join(map(str, spikes[:5])) + (", ..." if len(spikes) > 5 else "")
    return [
        Finding(
            kind=UNSTABLE,
            evidence=f"the loss spiked at {len(spikes)} of {len(losses)} steps ({shown}): more "
            f"than {SPIKE_DEVIATIONS:g} times its step-to-step noise above its level",
            advice=f"see the documents of that batch (`bessemer trace RUN --step {spikes[0]}`); if "
            "they are sound, lower train.optimizer.lr or lengthen the warm-up",
        )
    ]


def _find_rises(curves: Sequence[Curve], epochs: Mapping[str, float]) -> list[Finding]:
    findings = []
    for curve in curves:
        best = int(np.argmin(curve.bits_per_byte))
        low, last = curve.bits_per_byte[best], curve.bits_per_byte[-1]
        if last > low * (1 + RISE_FRAC) and epochs.get(curve.source, 0) > 1:
            findings.append(
                Finding(
                    kind=OVERFITTING,
                    evidence=f"held-out {curve.source} was best at step {curve.steps[best]} "
                    f"({low:.3f} bits per byte) and has risen to {last:.3f} since, while the "
                    f"source was repeated {epochs[curve.source]:.1f} times",
                    advice=f"train up to step {curve.steps[best]}, give {curve.source} a smaller "
                    "weight or more text, or raise train.optimizer.weight_decay",
                )
            )
    return findings


def _find_gaps(gaps: Sequence[Gap], epochs: Mapping[str, float]) -> list[Finding]:
    return [
        Finding(
            kind=OVERFITTING,
            evidence=f"{gap.source}: held-out text costs {gap.gap:.3f} bits per byte more than "
            f"trained text (95 % interval {gap.low:.3f} to {gap.high:.3f} over {gap.unit}), above "
            f"{GAP_FRAC:.0%} of {gap.heldout:.3f}; it was repeated {epochs[gap.source]:.1f} times",
            advice=f"more text for {gap.source}, a smaller weight, or stronger regularisation",
        )
        for gap in gaps
        if epochs.get(gap.source, 0) >= MEMORY_EPOCHS and gap.low > GAP_FRAC * gap.heldout
    ]


def _find_repetition(epochs: Mapping[str, float]) -> list[Finding]:
    return [
        Finding(
            kind=DATA_LIMITED,
            evidence=f"{source} was repeated {times:.1f} times; beyond {FRESH_EPOCHS:g}, "
            "repetitions add less and less (arXiv 2305.16264)",
            advice=f"more text for {source}, or a smaller weight in [mix]",
        )
        for source, times in epochs.items()
        if times > FRESH_EPOCHS
    ]


def _find_room(curves: Sequence[Curve], num_parameters: int, tokens_seen: int) -> list[Finding]:
    """Held-out loss that still falls at the end: training stopped too early."""
    falling = []
    for curve in curves:
        last_step = curve.steps[-1]
        earlier = [
            value
            for step, value in zip(curve.steps, curve.bits_per_byte, strict=True)
            if step <= 0.8 * last_step
        ]
        if earlier and curve.bits_per_byte[-1] < earlier[-1] * (1 - STILL_FALLING_FRAC):
            change = 1 - curve.bits_per_byte[-1] / earlier[-1]
            falling.append(f"{curve.source} by {change:.1%}")
    ratio = tokens_seen / num_parameters
    if not falling or ratio >= COMPUTE_OPTIMAL_TOKENS:
        return []
    return [
        Finding(
            kind=UNDERFITTING,
            evidence=f"held-out loss still fell over the last fifth of training "
            f"({', '.join(falling)}), at {format_count(ratio)} tokens per parameter "
            f"(compute-optimal is about {COMPUTE_OPTIMAL_TOKENS:g}, arXiv 2203.15556)",
            advice="raise train.total_tokens: this model can still learn",
        )
    ]
