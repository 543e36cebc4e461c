"""Groups of rows that are sorted by what makes a group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def begins_group(*columns: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Whether each row differs from the one before it in any of the columns; the first one does."""
    begins = np.ones(len(columns[0]), np.bool_)
    begins[1:] = False
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    return begins
