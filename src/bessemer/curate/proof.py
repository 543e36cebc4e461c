"""Proof of fire: every rule is shown to drop a text that was made to break it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bessemer.curate.canaries import canaries
from bessemer.curate.language import detect_languages
from bessemer.curate.signals import measure
from bessemer.text.urls import NO_LISTS

if TYPE_CHECKING:
    from bessemer.curate.rules import Rule


def find_canaries(rules: Iterable[Rule]) -> dict[tuple[str, str], str | None]:
    """(signal, "min" or "max") of each bound -> the canary that breaks it by most; None: none does.

    Bounds of signals that canaries are not measured by (those of a model or of lists that the user
    gives) are left out.
    """
    names = list(canaries())
    measures = _measure()
    found: dict[tuple[str, str], str | None] = {}
    for rule in rules:
        values = measures.get(rule.name)
        if values is None:
            continue
        for end, bound in (("min", rule.min), ("max", rule.max)):
            if bound is not None:
                excess = values - np.float32(bound) if end == "max" else np.float32(bound) - values
                most = int(np.nanargmax(excess))
                found[rule.name, end] = names[most] if excess[most] > 0 else None
    return found
