"""What a stage found is warned of whenever the line runs, by the settings of that start."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

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
    assert often.startswith("rules      warning: ")
    assert "of 'notes' (100%) break the rule 'word_count'" in often
    assert never.endswith("breaks the rule 'digit_frac' of the run file: it does nothing there")
    assert warnings(0.5, reused=True) == [often, never]
    assert warnings(1.0, reused=True) == [never]
