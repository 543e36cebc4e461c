"""Edited texts are those that are encoded, and their places are found in the documents' bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.ledgers import write_by_shard

from bessemer.core.schema import EDIT
from bessemer.curate.edited import Origin, _origin, read_edited
from bessemer.curate.ledger import decision, shard_name
from bessemer.tokens.edits import Edit, apply_edits, merge_edits

NUM_BYTES = 12
PLACES = st.tuples(st.integers(0, NUM_BYTES), st.integers(0, NUM_BYTES)).filter(
    lambda place: place[0] < place[1]
)
EDITS = st.lists(
    st.builds(
        lambda place, replacement: Edit(
            start_byte=place[0], end_byte=place[1], replacement=replacement
        ),
        PLACES,
        st.sampled_from([None, "", "<x>", "é"]),
    ),
    max_size=5,
)


def origins_of_bytes(edits: list[Edit]) -> list[tuple[int, int]]:
    """For each byte of the edited text what it stands for, edit by edit."""
    found, done = [], 0
    for edit in merge_edits(edits):
        found += [(at, at + 1) for at in range(done, edit.start_byte)]
        hidden = edit.start_byte, edit.end_byte
        found += [hidden] * len((edit.replacement or "").encode())
        done = edit.end_byte
    return found + [(at, at + 1) for at in range(done, NUM_BYTES)]


@given(EDITS)
def test_every_span_is_where_its_first_and_last_byte_come_from(edits: list[Edit]) -> None:
    origin: Origin = _origin(edits, NUM_BYTES)
    by_byte = origins_of_bytes(edits)
    edited = apply_edits(0, "abcdefghijkl", edits).text.encode()
    assert len(by_byte) == len(edited)
    spans = [(a, b) for a in range(len(edited)) for b in range(a + 1, len(edited) + 1)]
    found = origin.locate(np.array(spans, np.int64).reshape(-1, 2)).tolist()
    assert found == [[by_byte[a][0], by_byte[b - 1][1]] for a, b in spans]


def test_a_shard_is_read_as_earlier_stages_left_it(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", ["plain text", "write to me@x.org now", "lost", "é cut é"]))
    first, second = tmp_path / "first", tmp_path / "second"

    def row(doc_id: int, action: str, *spans: tuple[int, int, str | None]) -> dict[str, object]:
        names = ("start_byte", "end_byte", "replacement")
        told = [dict(zip(names, span, strict=True)) for span in spans] or None
        return decision(
            doc_id=doc_id, source="web", stage="x", rule="r", action=action, num_bytes=1, spans=told
        )

    write_by_shard(ingested, first, [row(1, EDIT, (9, 17, "<EMAIL>")), row(2, "drop")])
    write_by_shard(ingested, second, [row(3, EDIT, (3, 7, None))])
    shard = read_edited(ingested, [first, second], shard_name(0))
    assert shard.documents["doc_id"].to_pylist() == [0, 1, 3]
    assert shard.documents["text"].to_pylist() == ["plain text", "write to <EMAIL> now", "é é"]
    assert shard.documents["num_bytes"].to_pylist() == [10, 21, 9]
    spans = np.array([[6, 10]])
    assert shard.locate(0, spans).tolist() == [[6, 10]]
    assert shard.locate(1, spans).tolist() == [[6, 17]]  # "to <" takes the whole address
    assert shard.locate(2, np.array([[0, 5]])).tolist() == [[0, 9]]  # across the cut
    assert read_edited(ingested, [], shard_name(0)).documents["text"][2].as_py() == "lost"
