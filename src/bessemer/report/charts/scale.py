"""From values to places on a picture: linear and logarithmic scales, round ticks, their labels."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from bessemer.core.units import format_count

LINEAR, LOG, LOG1P = "linear", "log", "log1p"
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Maps [low, high] onto [start, end]; LOG1P is for counts that may be 0."""

    low: float
    high: float
    start: float
    end: float
    kind: str = LINEAR

    def __call__(self, value: float) -> float:
        """The place of `value`; outside of the domain it lies on the nearer end."""
        value = min(max(value, self.low), self.high)
        low, high, at = _bend(self.low, self.kind), _bend(self.high, self.kind), value
        share = (_bend(at, self.kind) - low) / (high - low) if high > low else 0.0
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """About `count` round values within the domain, ascending."""
        if self.kind == LINEAR:
            return round_ticks(self.low, self.high, count)
        decades = [0.0] if self.kind == LOG1P and self.low <= 0 else []
        first = math.floor(math.log10(self.low)) if self.low > 0 else 0
        last = math.ceil(math.log10(self.high)) if self.high > 0 else 0
        within = [10.0**power for power in range(first, last + 1)]
        within = [value for value in within if self.low <= value <= self.high]
        if len(within) < 2 and self.kind == LOG:
            return round_ticks(self.low, self.high, count)
        every = max(1, math.ceil(len(within) / count))
        return decades + within[::-every][::-1]


def nice_scale(low: float, high: float, start: float, end: float, count: int = 4) -> Scale:
    """A linear scale whose domain is widened to round ticks."""
    if high <= low:
        low, high = low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5
    step = round_step(high - low, count)
    return Scale(
        low=math.floor(low / step + 1e-9) * step,
        high=math.ceil(high / step - 1e-9) * step,
        start=start,
        end=end,
    )


def round_step(span: float, count: int) -> float:
    """The step of 1, 2, 2.5 or 5 times a power of ten that cuts `span` into about `count`."""
    rough = span / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * step for step in _STEPS if power * step >= rough * (1 - 1e-9))


def round_ticks(low: float, high: float, count: int) -> list[float]:
    """Multiples of a round step in [low, high]."""
    if high <= low:
        return [low]
    step = round_step(high - low, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def tick_labels(ticks: list[float], style: str = "") -> list[str]:
    """Labels with as many digits as tell the ticks apart. Styles: "", "percent", "bytes"."""
    if style == "percent":
        return [f"{label}%" for label in tick_labels([100 * tick for tick in ticks])]
    if style == "bytes":
        largest = max((abs(tick) for tick in ticks), default=0)
        power = 0
        while largest >= 1000 and power < 4:
            largest, power = largest / 1000, power + 1
        unit = ("B", "kB", "MB", "GB", "TB")[power]
        return [f"{label} {unit}" for label in tick_labels([t / 1000**power for t in ticks])]
    if any(abs(tick) >= 1000 for tick in ticks):
        return [format_count(tick) for tick in ticks]
    step = min((b - a for a, b in itertools.pairwise(ticks)), default=abs(ticks[0]))
    if 0 < step < 1e-4:
        return [
            f"{tick:.1e}".replace(".0e", "e").replace("e-0", "e-") if tick else "0"
            for tick in ticks
        ]
    digits = next((n for n in range(6) if abs(step * 10**n - round(step * 10**n)) < 1e-6), 6)
    return [f"{tick:.{digits}f}" for tick in ticks]


def _bend(value: float, kind: str) -> float:
    if kind == LOG:
        return math.log(value)
    return math.log1p(value) if kind == LOG1P else value
