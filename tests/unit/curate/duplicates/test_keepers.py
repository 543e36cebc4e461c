"""Which document is kept is a matter of the documents, in one total order."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.storage import write_table
from bessemer.curate.duplicates.keepers import (
    NO_SCORE,
    RANKED,
    order_best_first,
    order_sources,
    read_scores,
    source_places,
)

# shingles, score, bytes, place of the source; few values, so that most comparisons are ties
DOCUMENTS = st.lists(
    st.tuples(
        *(st.integers(0, 2), st.sampled_from([-math.inf, 0.25, 0.5])),
        *(st.integers(0, 2), st.integers(0, 2)),
    ),
    max_size=12,
)


def ranked(rows: list[tuple[Any, ...]]) -> pa.Table:
    return pa.table(
        {name: [row[at] for row in rows] for at, name in enumerate(RANKED.names)}, schema=RANKED
    )


@given(DOCUMENTS, st.randoms())
def test_the_order_is_score_length_source_id_however_they_come(
    documents: list[tuple[Any, ...]], random: object
) -> None:
    rows = [(doc_id, *document) for doc_id, document in enumerate(documents)]
    best = sorted(rows, key=lambda row: (-row[2], -row[3], row[4], row[0]))
    largest = sorted(best, key=lambda row: -row[1])
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert [rows[place] for place in order_best_first(ranked(rows))] == best
    order = order_best_first(ranked(rows), containers_first=True)
    assert [rows[place] for place in order] == largest


def test_sources_without_a_priority_come_behind_in_their_order() -> None:
    names = ["web", "books", "wiki", "code"]
    assert order_sources(names, ()) == ("web", "books", "wiki", "code")
    assert order_sources(names, ("code", "books")) == ("code", "books", "web", "wiki")


def test_places_of_sources() -> None:
    column = pa.chunked_array([["b", "a"], [], ["a", "c", "b"]])
    assert source_places(column, ("c", "b", "a")).tolist() == [1, 2, 2, 0, 1]
    assert source_places(pa.chunked_array([], pa.string()), ("a",)).tolist() == []


def test_a_document_without_a_score_comes_last(tmp_path: Path) -> None:
    table = pa.table(
        {
            "doc_id": np.array([3, 5, 8, 9, 12]),
            "quality_score": pa.array([0.5, None, math.nan, 0.0, 1.0], pa.float32()),
        }
    )
    write_table(tmp_path / "signals" / "00000.parquet", table)
    scores = read_scores(tmp_path, "00000.parquet", np.array([3, 5, 8, 9]))
    assert (scores.dtype, scores.tolist()) == (np.float32, [0.5, -math.inf, -math.inf, 0.0])
    table = ranked([(at, 1, score, 1, 0) for at, score in enumerate(scores)])
    assert order_best_first(table).tolist() == [0, 3, 1, 2]
    assert read_scores(None, "00000.parquet", np.array([3, 5])).tolist() == [NO_SCORE] * 2
