"""The learning rate as a pure function of tokens: the same however steps and batches are cut.

A run warms up along a line, stays at its peak if the schedule has a stable phase, and decays.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from bessemer.config.timetable import Timetable
from bessemer.config.train import ScheduleConfig


def rate_of_step(step: int, timetable: Timetable, schedule: ScheduleConfig) -> float:
    """The share of the peak rate at which the batch of `step` is trained on: that in its middle, so
    neither a warm-up from 0 nor a decay to 0 wastes a step."""
    return rate_factor(_twice_middle(timetable, step) / 2, timetable.num_tokens, schedule)


def first_step_of_decay(timetable: Timetable, schedule: ScheduleConfig) -> int:
    """The first step whose rate depends on where the run ends; the number of steps if none does."""
    num_tokens = timetable.num_tokens
    stable_tokens = num_tokens - schedule.decay_tokens_of(num_tokens)
    steps = range(timetable.num_steps)
    return bisect_right(steps, 2 * stable_tokens, key=lambda step: _twice_middle(timetable, step))


def rate_factor(tokens_seen: float, total_tokens: int, schedule: ScheduleConfig) -> float:
    """The share of the peak rate once `tokens_seen` of `total_tokens` are trained on.

    Before the decay `total_tokens` has no influence (save on a warm-up that is given as a share of
    it): runs of different lengths begin alike, bit for bit.
    """
    warmup_tokens = schedule.warmup_tokens_of(total_tokens)
    if tokens_seen < warmup_tokens:
        return tokens_seen / warmup_tokens
    decay_tokens = schedule.decay_tokens_of(total_tokens)
    decaying_tokens = tokens_seen - (total_tokens - decay_tokens)
    if decaying_tokens <= 0 or not decay_tokens:
        return 1.0
    left = _decay(schedule.shape_of_decay, min(1.0, decaying_tokens / decay_tokens))
    return schedule.final_lr_frac + (1 - schedule.final_lr_frac) * left


def _decay(shape: str, done: float) -> float:
    """From 1 to 0 as `done` goes from 0 to 1.

    Half a cosine: Loshchilov and Hutter 2017, arXiv 1608.03983. 1-sqrt, which they found best after
    a stable phase: Hägele et al. 2024, arXiv 2405.18392.
    """
    if shape == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - (math.sqrt(done) if shape == "1-sqrt" else done)


def _twice_middle(timetable: Timetable, step: int) -> int:
    """Twice the tokens seen once half of the batch of `step` is."""
    return timetable.tokens_before(step) + timetable.tokens_before(step + 1)
