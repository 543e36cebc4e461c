"""Pairs are drawn by what they are, whatever the parts they come in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.schema import PAIR
from bessemer.curate.duplicates.pair_sample import (
    COMPARED,
    NUM_BANDS,
    PAIRS_PER_BAND,
    count_bands,
    draw_pairs,
    name_pairs,
)


def band(similarity: float) -> int:
    """The tenth that a similarity lies in; 1 is in the last."""
    return next(n for n in range(NUM_BANDS) if similarity < (n + 1) / 10 or n == NUM_BANDS - 1)


def make_pairs(seed: int, count: int) -> pa.Table:
    random = np.random.default_rng(seed)
    left = np.arange(count)
    return pa.table(
        {
            "left": left,
            "right": left + random.integers(1, 2**40, count),
            "similarity": random.integers(0, 101, count) / 100,  # edges of bands among them
            "is_duplicate": random.random(count) < 0.5,
        },
        schema=COMPARED,
    )


def test_each_band_gives_as_many_as_it_has_up_to_the_bound() -> None:
    pairs = make_pairs(0, 400)
    counts = np.bincount([band(s) for s in pairs["similarity"].to_pylist()], minlength=NUM_BANDS)
    assert count_bands(pairs["similarity"].to_numpy()) == counts.tolist()
    drawn = draw_pairs(pairs)
    found = np.bincount([band(s) for s in drawn["similarity"].to_pylist()], minlength=NUM_BANDS)
    assert found.tolist() == np.minimum(counts, PAIRS_PER_BAND).tolist()
    assert {tuple(row.values()) for row in drawn.to_pylist()} <= {
        tuple(row.values()) for row in pairs.to_pylist()
    }


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 3), min_size=1, max_size=500))
def test_the_draw_of_parts_is_the_draw_of_all(seed: int, part_of: list[int]) -> None:
    pairs = make_pairs(seed, len(part_of))
    part = np.array(part_of)
    draws = [draw_pairs(pairs.filter(part == number)) for number in (3, 1, 0, 2)]
    assert draw_pairs(pa.concat_tables(draws)).equals(draw_pairs(pairs))


def test_pairs_with_known_documents_are_drawn_beside_those_of_own_ones() -> None:
    own, known = make_pairs(1, 400), make_pairs(2, 400)
    known = known.set_column(0, "left", pa.array(np.arange(-400, 0)))
    drawn = draw_pairs(pa.concat_tables([own, known]))
    is_known = np.array(drawn["left"]) < 0
    assert drawn.filter(~is_known).equals(draw_pairs(own))
    assert drawn.filter(is_known).equals(draw_pairs(known))


def test_no_pairs_give_none() -> None:
    assert draw_pairs(COMPARED.empty_table()).equals(COMPARED.empty_table())
    assert name_pairs(COMPARED.empty_table(), []).equals(PAIR.empty_table())
    assert count_bands(np.empty(0)) == [0] * NUM_BANDS
