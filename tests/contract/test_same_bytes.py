"""The output of every stage is the same bytes for any number of workers and either runner."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ledgers import read_decisions
from tests.workers import bring_up

from bessemer.core.events import Silent
from bessemer.line import runner as line_runner
from bessemer.line.runner import make_engine, run_stages
from bessemer.line.work import LEDGERS
from bessemer.line.workspace import plan_workspace

# Every tool has lines like "    return value + 7".
LINES = 'curate.lines={enabled=true, sources=["tools"], min_words=3, max_cut_frac=0.9}'
# "of the mill" is in every note.
PASSAGES = "curate.substrings={enabled=true, min_length=10}"
LAST = "baselines"  # the last stage that works by the shard


def digests(run_file: Path, runner: str, workers: int) -> dict[str, str]:
    """stage -> digest over all its reproducible files, of a run in a root of its own."""
    overrides = [
        f'run.root="{runner}-{workers}"',
        f'cluster.engine.runner="{runner}"',
        f"cluster.engine.workers={workers}",
        'curate.shard_bytes="8kB"',  # several for each source
        LINES,
        PASSAGES,
    ]
    outcomes = run_stages(plan_workspace(run_file, overrides), Silent(), last=LAST)
    return {outcome.stage: outcome.manifest.outputs_digest() for outcome in outcomes}


def test_workers_and_runners_change_no_byte(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = digests(run_file, "inline", 1)
    # All workers are up before the first stage: so small a run would be done by one.
    monkeypatch.setattr(line_runner, "make_engine", lambda *about: bring_up(make_engine(*about)))
    assert len(expected) == 15
    for workers in (2, 4):
        assert digests(run_file, "processes", workers) == expected


def test_files_that_come_in_another_order_change_no_byte(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inventory is by sorted path: what the file system lists first does not matter."""
    expected = digests(run_file, "inline", 1)
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(list(glob(self, pattern))[::-1]))
    assert digests(run_file, "inline", 2) == expected


def test_shards_of_another_size_change_no_decision(run_file: Path) -> None:
    """How files are cut into shards is layout: the same documents are dropped, for the same."""
    decisions = []
    for size in ("4kB", "1MB"):
        overrides = [f'run.root="{size}"', f'curate.shard_bytes="{size}"', LINES, PASSAGES]
        workspace = plan_workspace(run_file, overrides)
        run_stages(workspace, Silent(), last="split")
        folders = [workspace.folder(stage) for stage in ("ingest", *LEDGERS)]
        decisions.append(read_decisions(folders).sort_by("doc_id").to_pylist())
    assert decisions[0] == decisions[1]
    stages = {"rules", "exact", "fuzzy", "lines", "substrings"}
    assert {row["stage"] for row in decisions[0]} >= stages
