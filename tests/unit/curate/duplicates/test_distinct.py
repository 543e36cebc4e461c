"""Distinct values of arrays are those of all of them together, however they are cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bessemer.curate.duplicates.distinct import distinct

ARRAYS = st.lists(st.lists(st.integers(-5, 30), max_size=12), max_size=12)


@given(ARRAYS)
def test_it_is_the_sorted_set_of_all(arrays: list[list[int]]) -> None:
    found = distinct(np.array(array, np.int64) for array in arrays)
    assert found.tolist() == sorted({value for array in arrays for value in array})
    assert found.dtype == np.int64
