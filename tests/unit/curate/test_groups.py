"""A group begins where a row is another than the one before it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bessemer.curate.groups import begins_group

ROWS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 2**64 - 1])), max_size=20)


@given(ROWS)
def test_rows_are_compared_with_the_one_before(rows: list[tuple[int, int]]) -> None:
    columns = np.array([row[0] for row in rows], np.int8), np.array([row[1] for row in rows], "u8")
    expected = [at == 0 or rows[at] != rows[at - 1] for at in range(len(rows))]
    assert begins_group(*columns).tolist() == expected
    of_first = [at == 0 or rows[at][0] != rows[at - 1][0] for at in range(len(rows))]
    assert begins_group(columns[0]).tolist() == of_first
