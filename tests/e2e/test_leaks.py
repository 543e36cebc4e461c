"""The page on evaluation sets, done on the demo corpus as it says: what it shows happens."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.e2e.test_docs import ROOT, _bare, blocks, edited, steps
from tests.ledgers import read_decisions

from bessemer.core.layout import CONTAMINATION, EVALS
from bessemer.core.schema import DROP, NOTE
from bessemer.core.storage import read_table
from bessemer.line.workspace import open_workspace

PAGE = "docs/leaks.md"
Bessemer = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, bessemer: Bessemer) -> tuple[Path, list[str]]:
    """A folder like the checkout in which all was done, and what each command printed."""
    folder = tmp_path_factory.mktemp("leaks")
    for name in ("runs", "recipes"):
        (folder / name).mkdir()
    (folder / "samples").symlink_to(ROOT / "samples")
    shutil.copy(ROOT / "recipes" / "quickstart.toml", folder / "recipes")
    mine, printed = folder / "recipes" / "mine.toml", []
    for kind, step in steps(PAGE):
        if kind == "edit":
            mine.write_text(edited(mine.read_text(), step))
        elif step.startswith("bessemer "):
            words = shlex.split(step)[1:]
            alone = ["--set", "cluster.engine.workers=1"] if words[0] == "run" else []
            found = bessemer(*words, *alone, cwd=folder)  # no other process has to start
            assert found.returncode == 0, (step, found.stderr)
            printed.append(found.stdout + found.stderr)
        else:
            shown = subprocess.run(
                step, shell=True, check=True, cwd=folder, capture_output=True, text=True
            )
            printed.append(shown.stdout)
    return folder, printed


def test_the_page_shows_what_its_commands_print(done: tuple[Path, list[str]]) -> None:
    answers, wrong, shown = iter(done[1]), [], 0
    for _, lines in (block for block in blocks(PAGE) if block[0] == "console"):
        printed = ""
        for line in lines:
            if line.startswith("$ "):
                printed = _bare(next(answers))
            elif line.strip():
                shown += 1
                if any(part.strip() not in printed for part in _bare(line).split("...")):
                    wrong.append(line)
    assert wrong == []
    assert shown > 8


def test_what_holds_an_item_is_dropped_or_noted(done: tuple[Path, list[str]]) -> None:
    workspace = open_workspace(done[0] / "runs" / "mine")
    lists = workspace.root / EVALS
    assert lists.is_symlink()
    rows = {row["item_id"]: row for row in read_table(lists / CONTAMINATION).to_pylist()}
    assert {name: (row["status"], row["part"]) for name, row in rows.items()} == {
        "carbuncle-passage": ("dirty", "passage"),
        "drive": ("dirty", "question"),
        "pours": ("clean", None),
        "quench": ("clean", None),
        "author": ("untestable", None),
    }
    clean = (lists / "demo.clean.jsonl").read_text().splitlines()
    assert [json.loads(line)["item_id"] for line in clean] == ["pours", "quench"]
    manifest = workspace.manifest("decontaminate")
    assert manifest is not None
    for kind in ("verbatim", "reformatted", "split over lines", "answer only", "passage only"):
        told = manifest.summary["canaries"]["demo"][kind]
        assert told["found"] == told["planted"] > 0
    assert all(told["found"] == 0 for told in manifest.summary["controls"]["demo"].values())
    shown = ("doc_id", "action", "decisive")
    decisions = read_decisions([workspace.folder("decontaminate")]).select(shown).to_pylist()
    assert {tuple(row[name] for name in shown) for row in decisions} == {
        (rows["drive"]["doc_id"], DROP, True),
        (rows["carbuncle-passage"]["doc_id"], NOTE, False),
    }
