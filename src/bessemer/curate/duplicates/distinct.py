"""Distinct values of many arrays, whose repeats are too many to be held."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def distinct(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """The distinct values (int64) of all arrays, sorted.

    What came is merged with what is held when it is as much: so no more than twice the result and
    one array is in memory, and the time does not grow with the number of arrays.
    """
    held, fresh, num_fresh = np.empty(0, np.int64), [], 0
    for array in arrays:
        fresh.append(np.unique(array))
        num_fresh += len(fresh[-1])
        if num_fresh > len(held):
            held, fresh, num_fresh = np.unique(np.concatenate([held, *fresh])), [], 0
    return np.unique(np.concatenate([held, *fresh]))
