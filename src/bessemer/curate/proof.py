"""Proof of fire: every rule is shown to drop a text that was made to break it."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from bessemer.config.curate import Family
from bessemer.curate.bounds import Rule
from bessemer.curate.canaries import canaries
from bessemer.curate.families import Batch, family_of, measure
from bessemer.curate.instruments import Instruments

_OF_THE_USER = ("urls", "model")  # families that measure by files of the user's


def find_canaries(rules: Iterable[Rule]) -> dict[tuple[str, str], str | None]:
    """(signal, "min" or "max") of each bound -> the canary that breaks it most; None: none does.

    What depends on files of the user's (a quality model, lists of URLs) no text of ours can show;
    those bounds are left out. Measured are the families that the rules need, as documents are.
    """
    names = list(canaries())
    found: dict[tuple[str, str], str | None] = {}
    for rule in rules:
        family = family_of(rule.name)
        if family in _OF_THE_USER:
            continue
        values = _measures(family)[rule.name]
        for end, excess in (
            ("min", None if rule.min is None else np.float32(rule.min) - values),
            ("max", None if rule.max is None else values - np.float32(rule.max)),
        ):
            if excess is not None:
                most = int(np.nanargmax(excess))
                found[rule.name, end] = names[most] if excess[most] > 0 else None
    return found


@functools.cache
def _measures(family: Family) -> dict[str, np.ndarray]:
    texts, urls = zip(*canaries().values(), strict=True)
    texts, urls = pa.array(texts, pa.large_string()), pa.array(urls)
    return measure(Batch(texts, urls, Instruments(), families=[family]))
