"""What the report tells of evaluation sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bessemer.curate.evals.disguises import CANARIES, CONTROLS
from bessemer.report.collect import collect
from bessemer.report.facts import Benchmark, Planted
from bessemer.report.leaks import make_benchmarks
from bessemer.report.render import render

from .curated import Doc
from .pages import Page
from .runs import Run, write_run

DOCS = [Doc(text="one"), Doc(text="two", fate="heldout")]


def summary(found: int = 20, wrong: int = 0) -> dict[str, Any]:
    """What the stage says of a benchmark <b>forge</b> of 80 items."""
    name = "<b>forge</b>"
    return {
        "benchmarks": {
            name: {
                "items": 80, "clean": 50, "dirty": 20, "untestable": 10, "answered": 7,
                "by_part": {"question": 12, "choices": 3, "answer": 4, "passage": 1},
                "sources": {"web": 18, "books": 4}, "untested": {"answer": 30},
            }
        },
        "docs": {"web": {name: 1500}, "books": {name: 4}, "code": {}},
        "canaries": {name: {kind: {"planted": 20, "found": found} for kind in CANARIES}},
        "controls": {name: {kind: {"planted": 20, "found": wrong} for kind in CONTROLS}},
    }  # fmt: skip


def test_one_item_in_one_document_is_said_so(tmp_path: Path) -> None:
    leaks = summary()
    told = leaks["benchmarks"]["<b>forge</b>"]
    told |= {"items": 4, "clean": 3, "dirty": 1, "untestable": 0, "sources": {"web": 1}}
    leaks["docs"] = {"web": {"<b>forge</b>": 1}}
    assert "web: 1 item (25%) in 1 document" in page_of(tmp_path, leaks)
    assert "1 items" not in page_of(tmp_path / "again", leaks)


def page_of(tmp_path: Path, leaks: dict[str, Any] | None) -> str:
    job = write_run(tmp_path / "run", Run(sources={"web": DOCS}, leaks=leaks))
    return Page(render(collect(job, tmp_path / "scratch"))).text


def test_benchmarks_are_told_as_the_stage_says(tmp_path: Path) -> None:
    text = page_of(tmp_path, summary())
    assert "<b>forge</b>" in text  # as text
    for said in (
        "20 25%",
        "web: 18 items (22%) in 1,500 documents",
        "books: 4 items (5.0%) in 4 documents",
        "20 of 20 100%",
        f"benchmarkprecision{''.join(CONTROLS)} <b>forge</b>100%",  # a table of their own
    ):
        assert said in text, said
    assert "Not every item" not in text


def test_recall_and_precision_are_of_what_was_planted(tmp_path: Path) -> None:
    (row,) = make_benchmarks(summary(found=15, wrong=10))
    right, wrong = len(CANARIES) * 15, len(CONTROLS) * 10
    assert row.precision == right / (right + wrong)
    assert row.misses_verbatim
    assert row.docs == {"web": 1500, "books": 4}
    assert "Not every item that was planted word by word was found" in page_of(
        tmp_path, summary(found=15, wrong=10)
    )


def test_nothing_planted_has_no_precision() -> None:
    none = (Planted(disguise="verbatim", planted=0, found=0),)
    row = Benchmark(
        name="e", items=1, clean=0, dirty=0, untestable=1, by_part={}, answered=0, sources={},
        docs={}, canaries=none, controls=none,
    )  # fmt: skip
    assert row.precision is None
    assert not row.misses_verbatim
    assert row.seen_frac == 0


def test_without_evaluation_sets_the_report_says_that_nothing_is_known(tmp_path: Path) -> None:
    for number, leaks in enumerate((None, {})):
        text = page_of(tmp_path / str(number), leaks)
        assert "No evaluation sets were given" in text
