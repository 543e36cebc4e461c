"""Proof of fire: every rule is shown to drop a text that was made to break it."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from bessemer.curate.bounds import Rule
from bessemer.curate.canaries import canaries
from bessemer.curate.families import FAMILIES, LANGUAGE, Batch
from bessemer.curate.instruments import Instruments
from bessemer.curate.signals import measure

_OF_THE_USER = ("urls", "model")  # families that measure by files of the user's


def find_canaries(rules: Iterable[Rule]) -> dict[tuple[str, str], str | None]:
    """(signal, "min" or "max") of each bound -> the canary that breaks it most; None: none does.

    What depends on files of the user's (a quality model, lists of URLs) no text of ours can show;
    those bounds are left out.
    """
    names, measures = list(canaries()), _measures()
    found: dict[tuple[str, str], str | None] = {}
    for rule in rules:
        if rule.name not in measures:
            continue
        values = measures[rule.name]
        for end, excess in (
            ("min", None if rule.min is None else np.float32(rule.min) - values),
            ("max", None if rule.max is None else values - np.float32(rule.max)),
        ):
            if excess is not None:
                most = int(np.nanargmax(excess))
                found[rule.name, end] = names[most] if excess[most] > 0 else None
    return found


@functools.cache
def _measures() -> dict[str, np.ndarray]:
    texts, urls = zip(*canaries().values(), strict=True)
    batch = Batch(pa.array(texts, pa.large_string()), pa.array(urls), Instruments())
    measures = measure(batch, [family for family in FAMILIES if family not in _OF_THE_USER])
    del measures[LANGUAGE]
    return measures
