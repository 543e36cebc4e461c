"""What is on and what is off, what is looked for and held out: before a run, and as it runs."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from bessemer.core.errors import ConfigError, MachineError
from bessemer.core.events import Silent
from bessemer.core.layout import SPLITS
from bessemer.core.storage import read_table
from bessemer.line import api, show, show_check
from bessemer.line.runner import run_stages
from bessemer.line.workspace import plan_workspace

QUESTION = "which of the men who stood by the mould was the first to see that iron was short"
OFF = ["lines", "substrings", "decontaminate"]


def states(table: str, column: str) -> dict[str, str]:
    """stage -> what `check` or `status` printed of it."""
    head, *rows = table[table.index("stage ") :].splitlines()
    at = head.index(column)
    return {row.split()[0]: row[at:].split()[0] for row in rows if row.strip()}


def test_what_a_run_is_held_against_is_shown(
    run_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"question": QUESTION}, {"qq": 1}]
    (run_file.parent / "half.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run_file.parent / "one.jsonl").write_text(json.dumps(rows[0]) + "\n")
    sets = '{name="m", path="half.jsonl"}, {name="n", path="one.jsonl"}'
    overrides = [f"decontaminate.eval=[{sets}]", "curate.lines.enabled=true"]
    show_check.check(plan_workspace(run_file, overrides))
    printed = capsys.readouterr().out
    assert (
        "evaluation sets  m, 2 items (1 without question, choices or answer, the first: '1'); "
        'n, 1 item; action = "drop"\n'
    ) in re.sub(" +\n", "\n", printed)
    told = states(printed, "would be")
    assert [told[stage] for stage in OFF] == ["run", "off", "run"]


def test_a_line_of_a_stage_says_what_it_did(
    run_file: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    workspace = plan_workspace(run_file)
    for spent in (r"[\d.]+ s", "reused"):
        caplog.clear()
        outcomes = run_stages(workspace, Silent(), last="split")
        lines = [each.getMessage() for each in caplog.records if each.levelno == logging.INFO]
        assert [line[:14].rstrip() for line in lines] == [each.stage for each in outcomes]
        assert all(re.fullmatch(spent, line[14:24].rstrip()) for line in lines)
        flows = {line[:14].rstrip(): line[24:] for line in lines}
        assert {flows[stage] for stage in OFF} == {"off"}
        paths = (workspace.folder("split") / SPLITS).iterdir()
        sides = [side for path in paths for side in read_table(path)["split"].to_pylist()]
        train, heldout = sides.count("train"), sides.count("heldout")
        assert min(train, heldout) > 0
        assert re.fullmatch(
            rf"{len(sides)} of \d+ documents, .*B: {train} to train on, {heldout} held out",
            flows["split"],
        )
        assert re.fullmatch(r"\d+ of \d+ documents, .*B", flows["exact"])
    show.status(workspace)
    told = states(capsys.readouterr().out, "state")
    assert [told[stage] for stage in (*OFF, "exact", "train")] == ["off"] * 3 + ["done", "open"]


def test_a_root_folder_that_cannot_be_made_is_told_before_anything_runs(run_file: Path) -> None:
    (run_file.parent / "taken").write_text("a file")
    for root in ("taken", "taken/below/run"):
        override = [f'run.root="{root}"']
        for ask in (api.check, api.run):
            with pytest.raises(
                MachineError, match=r"taken \(Not a directory\).*; set run\.root to"
            ):
                ask(run_file, override)
    before = sorted(run_file.parent.rglob("*"))
    api.check(run_file, ['run.root="some/new/folder"'])
    assert sorted(run_file.parent.rglob("*")) == before


def test_a_target_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"/none\.toml: no such file or folder$"):
        api.status(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"neither a run file nor a run's folder \(no run\.json"):
        api.status(tmp_path)
