"""Lines of several documents: what the page tells of them, and that it tells nothing unasked."""

from __future__ import annotations

from pathlib import Path

from bessemer.report.collect import collect
from bessemer.report.facts import Reason
from bessemer.report.render import render
from bessemer.report.repeats import LineCounts, RepeatedLine, Repeats

from .curated import Doc
from .pages import Page
from .runs import Run, write_run

DOCS = [
    Doc(text="kept one two three"),
    Doc(text="held out", fate="heldout"),
    Doc(text="Home - About\nx", fate="lines", like=0),
]
COUNTS = {
    "lines": 1234, "compared": 999, "distinct": 700, "repeated": 56, "kept": 13, "cut": 30,
    "protected": 6, "dropped": 7,
}  # fmt: skip
LINES = {
    "distinct": 700,
    "repeated": 13,
    "sources": {"web": COUNTS},
    "most_frequent": [
        {"text": "<b>Home</b> - About", "docs": 4321, "copies": 5432, "doc_id": "0:2"}
    ],
}


def test_counts_and_the_most_frequent_lines_are_shown(tmp_path: Path) -> None:
    run = Run(sources={"web": DOCS}, lines=LINES)
    report = collect(write_run(tmp_path / "run", run), tmp_path / "report")
    assert report.repeats == Repeats(
        unit="line",
        max_docs=1,
        is_cut=True,
        keeps_first=True,
        sources=(LineCounts(source="web", **COUNTS),),
        most_frequent=(
            RepeatedLine(text="<b>Home</b> - About", docs=4321, copies=5432, doc_id="0:2"),
        ),
    )
    page = Page(render(report)).text
    assert "Lines of several documents" in page
    assert "it stands in more than 1 document;" in page
    assert "The first copy of each line is kept" in page
    cells = "".join(f"{count:,}" for count in COUNTS.values())
    assert f"web{cells}" in page
    assert "4,3215,432<b>Home</b> - About0:2" in page  # as text: nothing of it became an element


def test_a_document_of_lines_of_others_is_shown_beside_no_other(tmp_path: Path) -> None:
    run = Run(sources={"web": DOCS})
    report = collect(write_run(tmp_path / "run", run), tmp_path / "report")
    reason = Reason(stage="lines", rule="repeated_lines_frac", action="drop", bound=0.5)
    (sample,) = report.samples["web", reason]
    assert (sample.doc_id, sample.kept, sample.evidence) == ("0:2", None, "Home - About")
    assert report.repeats is None
    page = Page(render(report)).text
    assert "more than 50% of the text would be cut" in page
    assert "Lines of several documents" not in page
