"""Passages that stand elsewhere: counted from the ledger, and told on the page."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.core.manifest import StageManifest
from bessemer.core.schema import DECISION, SHARD_RANGE, SOURCE_FILE
from bessemer.core.storage import write_table
from bessemer.report.collect import collect
from bessemer.report.passages import Passages, tell_passages
from bessemer.report.render import render
from bessemer.report.tables import open_tables

from .curated import Doc
from .pages import Page
from .runs import Run, write_run

BEGINNINGS = [
    "Copyright <b>notice</b>",
    "Home - About",
    "To whom it may concern",
    "Chapter the first",
]


def manifest(**settings: Any) -> StageManifest:
    given = {"enabled": True, "unit": "bytes", "min_length": 200, "action": "cut"} | settings
    return StageManifest(
        stage="substrings", version=1, fingerprint="0", inputs={}, settings=given, files={},
        conservation=(), summary={}, started="", seconds=0.0, peak_bytes=0, argv=[], commit=None,
    )  # fmt: skip


def make_rows(draw: random.Random, shard: int) -> list[dict[str, Any]]:
    """What the stage says of some documents of one shard: edits, notes and drops."""
    rows = []
    for row in range(draw.randrange(30)):
        action = draw.choice(["edit", "edit", "note", "drop"])
        ends = [1000 * place + draw.randrange(200, 900) for place in range(draw.randrange(1, 4))]
        spans = [
            {"start_byte": 1000 * place, "end_byte": end, "replacement": None}
            for place, end in enumerate(ends)
        ]
        rows.append(
            dict.fromkeys(DECISION.names)
            | {
                "doc_id": (shard << 32) + row,
                "source": "ab"[shard % 2],
                "stage": draw.choice(["substrings", "substrings", "lines"]),
                "rule": "repeated_text_frac" if action == "drop" else "repeated_text",
                "action": action,
                "decisive": action == "drop",
                "value": 0.9 if action == "drop" else float(draw.randrange(200, 5000)),
                "num_bytes": 0 if action == "note" else draw.randrange(200, 5000),
                "evidence_doc_id": draw.randrange(9),
                "evidence": draw.choice(BEGINNINGS),
                "spans": None if action == "drop" else spans,
            }
        )
    return rows


def test_passages_are_those_of_the_rows(tmp_path: Path) -> None:
    draw = random.Random(3)
    everything = []
    for shard in range(6):
        rows = make_rows(draw, shard)
        everything += [row for row in rows if row["stage"] == "substrings"]
        for stage in ("lines", "substrings"):
            mine = [row for row in rows if row["stage"] == stage]
            path = tmp_path / stage / "decisions" / f"{shard:05d}.parquet"
            write_table(path, pa.Table.from_pylist(mine, schema=DECISION))
    write_table(tmp_path / "ingest" / "files.parquet", SOURCE_FILE.empty_table())
    write_table(tmp_path / "ingest" / "shards.parquet", SHARD_RANGE.empty_table())
    folders = {stage: tmp_path / stage for stage in ("ingest", "lines", "substrings")}
    with open_tables(folders, tmp_path / "scratch") as tables:
        found = tell_passages(tables, manifest())
        assert tell_passages(tables, manifest(enabled=False)) is None
        assert tell_passages(tables, None) is None
    assert found is not None
    assert (found.unit, found.min_length, found.is_cut) == ("bytes", 200, True)
    assert [row.source for row in found.sources] == ["a", "b"]
    for told in found.sources:
        mine = [row for row in everything if row["source"] == told.source]
        stay, gone = (
            [row for row in mine if (row["action"] == "drop") == is_drop]
            for is_drop in (False, True)
        )
        assert told.docs == len(stay) > 5
        assert told.passages == sum(len(row["spans"]) for row in stay)
        assert told.num_bytes == sum(
            row["num_bytes"] if row["action"] == "edit" else row["value"] for row in stay
        )
        assert told.dropped_docs == len(gone) > 0
        assert told.dropped_bytes == sum(row["num_bytes"] for row in gone)
    stay = [row for row in everything if row["action"] != "drop"]
    assert {row.text: row.docs for row in found.most_frequent} == Counter(
        row["evidence"] for row in stay
    )
    docs = [row.docs for row in found.most_frequent]
    assert docs == sorted(docs, reverse=True)
    for row in found.most_frequent:
        alike = [each for each in stay if each["evidence"] == row.text]
        assert row.doc_id == f"0:{min(each['evidence_doc_id'] for each in alike)}"
        assert row.num_bytes == max(
            span["end_byte"] - span["start_byte"] for each in alike for span in each["spans"]
        )
    page = page_of(tmp_path, found)
    assert "Passages that stand elsewhere" in page
    assert "all its bytes, 200 or more in a row" in page
    assert "here it is cut" in page
    first = found.most_frequent[0]
    assert f"{first.docs}{first.num_bytes:,}{first.text} …{first.doc_id}" in page  # all as text


def page_of(tmp_path: Path, passages: Passages | None) -> str:
    docs = [Doc(text="one"), Doc(text="two", fate="heldout")]
    job = write_run(tmp_path / "run", Run(sources={"web": docs}))
    report = collect(job, tmp_path / "report")
    assert report.passages is None  # the stage is not in this run
    return Page(render(replace(report, passages=passages))).text


def test_a_stage_that_was_not_asked_for_is_not_told_of(tmp_path: Path) -> None:
    assert "Passages" not in page_of(tmp_path, None)


def test_a_stage_that_found_nothing_says_so(tmp_path: Path) -> None:
    none = Passages(unit="words", min_length=50, is_cut=False, sources=(), most_frequent=())
    page = page_of(tmp_path, none)
    assert "all its words, 50 or more in a row" in page
    assert "They were counted only: nothing is cut." in page
    assert "There is none in the sources that were compared." in page
