"""The ledger says who was lost to which stage, and a loss that it does not say is found out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledgers import write_by_shard

from bessemer.core.errors import DataError
from bessemer.core.manifest import Conservation
from bessemer.core.schema import DECISION
from bessemer.core.storage import read_table
from bessemer.curate.ledger import (
    count_drops,
    decision,
    list_shards,
    lost_doc_ids,
    read_survivors,
    shard_name,
    shard_of,
    sum_shards,
    sum_up,
    write_decisions,
)

IngestTexts = Callable[..., Path]


def row(doc_id: int, action: str = "drop", **rest: object) -> dict[str, object]:
    about = {"source": "web", "stage": "rules", "rule": "r", "num_bytes": 10}
    return decision(doc_id=doc_id, action=action, **(about | rest))  # type: ignore[arg-type]


def test_a_row_is_decisive_if_it_loses_the_document_and_null_where_nothing_is_said() -> None:
    found = row(7, value=0.5)
    assert found == dict.fromkeys(DECISION.names) | {
        "doc_id": 7, "source": "web", "stage": "rules", "rule": "r", "action": "drop",
        "decisive": True, "value": 0.5, "num_bytes": 10,
    }  # fmt: skip
    decisive = {action: row(1, action)["decisive"] for action in ("drop", "edit", "quarantine")}
    assert decisive == {"drop": True, "edit": False, "quarantine": True}
    assert row(1, decisive=False)["decisive"] is False


def test_survivors_are_the_documents_without_a_decisive_drop(
    ingest_texts: IngestTexts, tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", [f"text {n}" for n in range(6)]), ("web", ["other"]))
    first, second = tmp_path / "first", tmp_path / "second"
    write_by_shard(ingested, first, [row(1), row(3, "edit"), row(4, decisive=False), row(1)])
    write_by_shard(ingested, second, [row(5), row(1 << 32)])
    shards = list_shards(ingested / "documents")
    assert shards == ["00000.parquet", "00001.parquet"]
    assert list_shards(first / "decisions") == shards  # a shard without a row has its file too
    assert lost_doc_ids([first, second], shards[0]).tolist() == [1, 5]
    found = [read_survivors(ingested, [first, second], shard, ["doc_id"]) for shard in shards]
    assert [table["doc_id"].to_pylist() for table in found] == [[0, 2, 3, 4], []]
    whole = read_survivors(ingested, [], shards[0])
    assert whole.equals(read_table(ingested / "documents" / shards[0]))
    assert lost_doc_ids([tmp_path / "none"], shards[0]).tolist() == []


def test_rows_are_kept_in_the_order_of_ids_and_within_one_as_given(tmp_path: Path) -> None:
    rows = [row(5, rule="b"), row(2), row(5, rule="a"), row(5, rule="c")]
    write_decisions(tmp_path, shard_name(12), rows)
    table = read_table(tmp_path / "decisions" / "00012.parquet")
    assert table.schema == DECISION
    assert [(r["doc_id"], r["rule"]) for r in table.to_pylist()] == [
        (2, "r"), (5, "b"), (5, "a"), (5, "c"),
    ]  # fmt: skip


def test_the_shard_of_a_document_is_that_of_its_file(ingest_texts: IngestTexts) -> None:
    ingested = ingest_texts(("a", ["x", "y"]), ("a", ["z"]), ("b", ["w"]))
    ids = np.array([[0, 2 << 32], [1, 1 << 32]])
    assert shard_of(ingested, ids).tolist() == [[0, 2], [0, 1]]


SUMS = {"web": (3, 30), "books": (1, 5)}


@pytest.mark.parametrize(
    ("dropped", "is_sound"),
    [
        ([row(0), row(1)], True),
        ([row(0), row(1, decisive=False), row(1, decisive=True)], True),
        ([row(0)], False),  # a document vanished without a row
        ([row(0), row(1), row(2)], False),  # a row for a document that is still there
        ([row(0), row(1), row(1)], False),  # one document counted twice
        ([row(0), row(1, num_bytes=9)], False),  # a byte vanished
        ([row(0), row(1, source="books")], False),  # the loss is put on another source
    ],
)
def test_drops_are_conserved_or_found_out(
    tmp_path: Path, dropped: Sequence[dict[str, object]], is_sound: bool
) -> None:
    write_decisions(tmp_path, shard_name(0), dropped)
    results = [
        {"before": {"web": (2, 20)}, "after": {"web": (1, 10)}, "dropped": {}},
        {
            "before": {"web": [1, 10], "books": [1, 5]},
            "after": {"books": [1, 5]},
            "dropped": count_drops(tmp_path, shard_name(0)),
        },
    ]
    web, books = sum_shards(["web", "books"], results)
    assert (web.docs_in, web.docs_out, web.bytes_in, web.bytes_out) == (3, 1, 30, 10)
    if is_sound:
        assert (web.docs_dropped, web.bytes_dropped) == (2, 20)
        web.check("rules")
        books.check("rules")
    else:
        with pytest.raises(DataError, match="this is a bug of bessemer"):
            for sums in (web, books):
                sums.check("rules")


COUNTS = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(0, 9), st.integers(0, 99))),
    max_size=4,
)


@given(COUNTS, COUNTS, COUNTS)
def test_sums_are_those_of_the_parts_source_by_source(
    before: list[dict[str, tuple[int, int]]],
    after: list[dict[str, tuple[int, int]]],
    dropped: list[dict[str, tuple[int, int]]],
) -> None:
    def total(parts: list[dict[str, tuple[int, int]]], source: str, at: int) -> int:
        return sum(part.get(source, (0, 0))[at] for part in parts)

    assert sum_up("abd", before, after, dropped) == tuple(
        Conservation(
            source=source,
            docs_in=total(before, source, 0),
            docs_out=total(after, source, 0),
            docs_dropped=total(dropped, source, 0),
            bytes_in=total(before, source, 1),
            bytes_out=total(after, source, 1),
            bytes_dropped=total(dropped, source, 1),
        )
        for source in "abd"
    )
