"""The gap between text that training saw and text that it never saw, per source, with an interval.

The interval is a bootstrap over documents: tokens of one document are not independent. Where there
are too few documents for that, it is over chunks of text, and said to be too narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bessemer.core.keyed import derive_key, uniform
from bessemer.train.evaluate import TextLosses

MIN_DOCUMENTS = 10
_LOW, _HIGH = 0.025, 0.975


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Bits per byte on both sides of the split and their difference, held-out minus train."""

    source: str
    train: float
    heldout: float
    gap: float
    low: float  # 95 % interval of the gap
    high: float
    unit: str  # "documents" or "chunks": what the bootstrap drew
    train_units: int
    heldout_units: int


def measure_gap(
    source: str, train: TextLosses, heldout: TextLosses, bootstrap_samples: int, seed: int
) -> Gap:
    """The gap of one source and its percentile bootstrap interval (Efron 1979)."""
    enough = min(len(np.unique(side.doc_id)) for side in (train, heldout)) >= MIN_DOCUMENTS
    unit = "documents" if enough else "chunks"
    sides = [_by_unit(side, unit) for side in (train, heldout)]
    draws = [
        _bootstrap(nats, num_bytes, bootstrap_samples, derive_key(seed, "gap", source, side))
        for side, (nats, num_bytes) in enumerate(sides)
    ]
    low, high = np.quantile(draws[1] - draws[0], [_LOW, _HIGH])
    return Gap(
        source=source,
        train=train.bits_per_byte,
        heldout=heldout.bits_per_byte,
        gap=heldout.bits_per_byte - train.bits_per_byte,
        low=float(low),
        high=float(high),
        unit=unit,
        train_units=len(sides[0][0]),
        heldout_units=len(sides[1][0]),
    )


def _by_unit(losses: TextLosses, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Nats and bytes of each document, or of each chunk."""
    names = losses.doc_id if unit == "documents" else losses.chunk
    _, place = np.unique(names, return_inverse=True)
    return np.bincount(place, losses.nats), np.bincount(place, losses.num_bytes)


def _bootstrap(nats: np.ndarray, num_bytes: np.ndarray, samples: int, key: int) -> np.ndarray:
    """float64 [samples]: bits per byte of units drawn with replacement."""
    size = len(nats)
    draws = uniform(key, np.arange(samples * size)).reshape(samples, size)
    chosen = (draws * size).astype(np.int64)
    bits: np.ndarray = nats[chosen].sum(1) / num_bytes[chosen].sum(1) / math.log(2)
    return bits
