"""The stage: rows of the ledger with spans and counts, drops above a bound, exact sums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ledgers import read_decisions

from bessemer.config.curate import PiiConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.manifest import StageResult
from bessemer.core.storage import read_table
from bessemer.curate.ledger import list_shards, read_survivors
from bessemer.curate.mask import kinds_for, mask
from bessemer.engine.tasks import Engine
from bessemer.tokens.edits import apply_edits, read_edits

TEXTS = [
    "Nothing of anybody.",
    "Größe: anna@post.de, berta@post.de, +41 69 979 80 58.",
    "Card 4111 1111 1111 1111.",
    "dropped@post.de",
]


def source(name: str, kind: str = "web") -> SourceConfig:
    return SourceConfig.model_validate({"name": name, "kind": kind, "path": "*"})


def run(
    ingested: Path, folder: Path, pii: PiiConfig, ledgers: list[Path], *sources: SourceConfig
) -> tuple[StageResult, list[dict[str, Any]]]:
    result = mask(ingested, ledgers, sources, pii, folder, Engine())
    for sums in result.conservation:
        sums.check("mask")
    return result, read_decisions([folder]).to_pylist()


def test_edits_carry_spans_placeholders_and_counts(
    ingest_texts: Callable[..., Path], drop: Callable[..., Path], tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", TEXTS))
    earlier = drop(ingested, [3])
    result, rows = run(ingested, tmp_path / "mask", PiiConfig(), [earlier], source("web"))
    names = ("doc_id", "rule", "action", "decisive", "value", "bound", "num_bytes", "evidence")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (1, "email", "edit", False, 2.0, None, 25, "2 x <EMAIL>"),
        (1, "phone", "edit", False, 1.0, None, 16, "1 x <PHONE>"),
        (2, "card", "edit", False, 1.0, None, 19, "1 x <CARD>"),
    ]
    assert rows[0]["spans"] == [
        {"start_byte": 9, "end_byte": 21, "replacement": "<EMAIL>"},
        {"start_byte": 23, "end_byte": 36, "replacement": "<EMAIL>"},
    ]
    assert result.summary == {"masked": {"card": 1, "email": 2, "phone": 1}}
    [sums] = result.conservation
    assert (sums.docs_in, sums.docs_out, sums.docs_dropped) == (3, 3, 0)
    assert sums.bytes_in == sums.bytes_out  # what is replaced is counted when it is
    [shard] = list_shards(ingested / "documents")
    edits = read_edits([tmp_path / "mask"], shard)
    texts = read_table(ingested / "documents" / shard)["text"].to_pylist()
    assert [apply_edits(n, texts[n], edits[n]).text for n in (1, 2)] == [
        "Größe: <EMAIL>, <EMAIL>, <PHONE>.",
        "Card <CARD>.",
    ]


def test_above_the_bound_a_document_is_dropped_and_its_row_says_of_what(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    ingested = ingest_texts(("web", TEXTS))
    pii = PiiConfig(max_per_document=2)
    result, rows = run(ingested, tmp_path / "mask", pii, [], source("web"))
    [lost] = [row for row in rows if row["action"] == "drop"]
    assert (lost["doc_id"], lost["rule"], lost["decisive"]) == (1, "pii_count", True)
    assert (lost["value"], lost["bound"]) == (3.0, 2.0)
    assert lost["evidence"] == "2 x <EMAIL>, 1 x <PHONE>"
    assert lost["num_bytes"] == len(TEXTS[1].encode())
    assert [row["doc_id"] for row in rows] == [1, 2, 3]
    [sums] = result.conservation
    assert (sums.docs_in, sums.docs_out, sums.docs_dropped) == (4, 3, 1)
    [shard] = list_shards(ingested / "documents")
    left = read_survivors(ingested, [tmp_path / "mask"], shard)["doc_id"].to_pylist()
    assert left == [0, 2, 3]
    result, rows = run(
        ingested, tmp_path / "none", PiiConfig(max_per_document=0), [], source("web")
    )
    assert [row["action"] for row in rows] == ["drop"] * 3


def test_each_kind_of_source_has_its_own_kinds_of_data(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    ingested = ingest_texts(("pages", TEXTS), ("novels", TEXTS), ("tools", TEXTS))
    sources = (source("pages"), source("novels", "books"), source("tools", "code"))
    pii = PiiConfig(web=("card",), code=())
    assert [kinds_for(each, pii) for each in sources] == [("card",), pii.books, ()]
    _, rows = run(ingested, tmp_path / "mask", pii, [], *sources)
    assert [(row["source"], row["rule"]) for row in rows] == [
        ("pages", "card"),
        ("novels", "email"),
        ("novels", "phone"),
        ("novels", "card"),
        ("novels", "email"),
    ]
