"""The guard: notices a spike or a non-finite number, and says what becomes of the batch.

Each step gives three numbers: loss, gradient norm, and update norm over the learning rate. Each is
held against the median and the median absolute deviation of the last steps, which a spike that
slips in does not move (as it would move a mean and a standard deviation; and one NaN in those
would blind them as long as it stays in the window). All ranks see the same reduced numbers, unless
one computes wrongly: alarms are shared before they are acted on, see train/evidence.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bessemer.config.train import GuardAction, GuardConfig

_MAD_TO_SIGMA = 1.4826  # of a normal distribution: 1 / Phi^-1(3/4)
# A window of nearly equal numbers has no spread to speak of: a deviation counts from 1 % on.
_LEAST_SPREAD_FRAC = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """One signal of one step that is out of bounds."""

    signal: str
    value: float
    median: float | None  # of the window; None where the value is not finite
    deviations: float | None  # robust standard deviations above the median

    @property
    def is_finite(self) -> bool:
        """Whether it is a spike, not a number that no arithmetic survives."""
        return math.isfinite(self.value)

    def __str__(self) -> str:
        if not self.is_finite:
            return f"{self.signal} is {self.value}"
        return (
            f"{self.signal} {self.value:.4g} is {self.deviations:.1f} deviations above the median "
            f"{self.median:.4g} of the last steps"
        )


@dataclass(kw_only=True, slots=True)
class Guard:
    """The windows of the last steps, and how often the guard has intervened."""

    config: GuardConfig
    windows: dict[str, list[float]] = field(default_factory=dict)
    interventions: int = 0

    def examine(self, signals: Mapping[str, float]) -> list[Alarm]:
        """What is out of bounds among one step's signals, some or all.

        Numbers that the model learns from join their window; those that are acted on do not.
        """
        alarms = []
        for name, value in signals.items():
            alarm = self._judge(name, value)
            if alarm is not None:
                alarms.append(alarm)
            if math.isfinite(value) and (alarm is None or self.config.spike == "record"):
                window = self.windows.setdefault(name, [])
                window.append(value)
                del window[: -self.config.window_steps]
        return alarms

    def forget(self) -> None:
        """Begin anew: the numbers to come are not like those before."""
        self.windows.clear()

    def action(self, alarms: Sequence[Alarm], is_applied: bool = False) -> GuardAction | None:
        """What to do about the alarms of a step; None if there are none.

        The policy for what is not finite goes first. A batch that is applied already cannot be
        skipped any more: then weights and optimizer are taken back instead.
        """
        if not alarms:
            return None
        is_spike = all(alarm.is_finite for alarm in alarms)
        action = self.config.spike if is_spike else self.config.nonfinite
        return "rewind" if is_applied and action == "skip" else action

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: plain JSON."""
        return {"windows": self.windows, "interventions": self.interventions}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.windows = {name: list(values) for name, values in state["windows"].items()}
        self.interventions = int(state["interventions"])

    def _judge(self, name: str, value: float) -> Alarm | None:
        if not math.isfinite(value):
            return Alarm(signal=name, value=value, median=None, deviations=None)
        window = self.windows.get(name, [])
        if len(window) < self.config.min_steps:
            return None
        median = statistics.median(window)
        spread = _MAD_TO_SIGMA * statistics.median(abs(each - median) for each in window)
        deviations = (value - median) / max(spread, _LEAST_SPREAD_FRAC * abs(median), 1e-30)
        if deviations <= self.config.max_deviations:
            return None
        return Alarm(signal=name, value=value, median=median, deviations=deviations)
