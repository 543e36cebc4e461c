"""Which bounds the documents of a source are held to: presets, then the rules of the run file.

A rule bounds one signal from below, above, or both. The presets of a source come first (that of its
kind, if it names none), of which the stricter bound counts; rules of the run file replace those of
the same name, end by end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate.dialects import DIALECTS, Bounds
from bessemer.curate.presets import PRESETS

NO_PRESET = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Documents whose signal `name` lies outside [min, max] are dropped."""

    name: str
    min: float | None = None
    max: float | None = None


def rules_for(source: SourceConfig, curate: CurateConfig) -> tuple[Rule, ...]:
    """The source's presets, with the run file's rules for this source applied in their order."""
    bounds: Bounds = {}
    for name in source.presets or (source.kind,):
        for signal, ends in preset_bounds(name).items():
            bounds[signal] = _stricter(bounds.get(signal, {}), ends)
    for rule in curate.rule:
        if not rule.sources or source.name in rule.sources:
            if rule.off:
                bounds.pop(rule.name, None)
            own = {"min": rule.min, "max": rule.max}
            given = {end: bound for end, bound in own.items() if bound is not None}
            if given:
                bounds[rule.name] = bounds.get(rule.name, {}) | given
    return tuple(Rule(name=name, **ends) for name, ends in bounds.items())


def preset_bounds(name: str) -> Bounds:
    """The bounds of one preset or published dialect; KeyError if there is none of that name."""
    return {} if name == NO_PRESET else (DIALECTS | PRESETS)[name]


def preset_names() -> list[str]:
    """What `source.presets` may name."""
    return [*PRESETS, *DIALECTS, NO_PRESET]


def _stricter(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The bounds that keep what both keep."""
    both = one | other
    for end, choose in (("min", max), ("max", min)):
        if end in one and end in other:
            both[end] = choose(one[end], other[end])
    return both


def broken_bound(rule: Rule, value: float) -> float | None:
    """The bound of `rule` that an outlying value breaks; compared in float32, as signals are."""
    below = rule.min is not None and np.float32(value) < np.float32(rule.min)
    return rule.min if below else rule.max
