"""What a stage found is warned of whenever the line runs, by the settings of that start."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from tests.conftest import prose

from bessemer.core.events import Silent
from bessemer.line.runner import run_stages
from bessemer.line.workspace import plan_workspace


def test_rules_are_warned_of_even_where_they_are_reused(
    run_file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessemer.curate.alarms.FEWEST_DOCS", 1)
    all_fall = '{name="word_count", min=1e9, sources=["notes"]}'
    rules = f'curate.rule=[{all_fall}, {{name="digit_frac", max=0.99}}]'

    def warnings(max_rule_frac: float, *, reused: bool) -> list[str]:
        workspace = plan_workspace(run_file, [rules, f"curate.max_rule_frac={max_rule_frac}"])
        caplog.clear()
        outcomes = run_stages(workspace, Silent(), last="rules")
        assert [each.reused for each in outcomes] == [reused] * 3
        return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]

    often, never = warnings(0.5, reused=False)
    assert often.startswith("rules         warning: ")
    assert "of 'notes' (100%) break the rule 'word_count'" in often
    assert never.endswith("breaks the rule 'digit_frac' of the run file: it does nothing there")
    assert warnings(0.5, reused=True) == [often, never]
    assert warnings(1.0, reused=True) == [never]


def warned(run_file: Path, caplog: pytest.LogCaptureFixture, last: str, *given: str) -> list[str]:
    """The warnings of a run of the line up to a stage, without the stage's name."""
    caplog.clear()
    run_stages(plan_workspace(run_file, given), Silent(), last=last)
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    return [each.partition(" warning: ")[2] for each in told]


def test_what_duplicates_take_is_warned_of_when_they_are_dropped(
    run_file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """marin issues 6854 and 6851: a source lost all but two of 859,092 documents, and 743,779 pages
    of a template were one cluster, which was seen late."""
    monkeypatch.setattr("bessemer.curate.duplicates.alarms.FEWEST_DOCS", 1)
    with (run_file.parent / "notes" / "2.jsonl").open("a") as file:
        file.write(json.dumps({"text": prose(1) + " Once more, for the third time."}) + "\n")
    assert warned(run_file, caplog, "fuzzy") == []
    strict = ("curate.max_source_loss_frac=0.04", "curate.max_cluster_docs=2")
    lost, nearly, cluster = warned(run_file, caplog, "fuzzy", *strict)
    # Of 60 notes, three are there twice and three nearly so, one of these a third time.
    assert lost.startswith("3 of 67 documents of 'notes' (4%) are dropped as duplicates")
    assert nearly.startswith("4 of 64 documents of 'notes' (6%) are dropped as duplicates")
    assert cluster.startswith("3 documents are near-duplicates of each other, as 0:1 is")


def test_an_evaluation_set_that_nothing_can_be_found_of_is_warned_of(
    run_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """dolma issue 174: decontamination that never flags anything, and nothing says so."""
    rows = [{"question": "Why?", "answer": "So."}, {"question": "Who?", "answer": "He."}]
    path = run_file.with_name("short.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = 'decontaminate.eval=[{name="short", path="short.jsonl"}]'
    [told] = warned(run_file, caplog, "decontaminate", given)
    assert told == "short: 2 of 2 items are too short or too common to be looked for"
