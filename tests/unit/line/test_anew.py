"""`--from` makes stages anew once for each start, however often that is started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessemer.core.errors import ConfigError
from bessemer.core.events import Silent
from bessemer.line.runner import run_stages
from bessemer.line.workspace import Workspace, plan_workspace
from bessemer.train.launch import Launch, read_launch


def reused(workspace: Workspace, launch: Launch | None, last: str = "ingest") -> list[bool]:
    outcomes = run_stages(workspace, Silent(), launch, first="ingest", last=last)
    return [each.reused for each in outcomes]


def test_a_lone_process_begins_anew_each_time(run_file: Path) -> None:
    workspace = plan_workspace(run_file)
    assert reused(workspace, None) == [False]
    assert reused(workspace, None) == [False]


def test_what_is_started_again_goes_on(run_file: Path) -> None:
    """By a supervisor after a fault, or by a scheduler, which repeats the whole command."""
    workspace = plan_workspace(run_file)
    run_stages(workspace, Silent(), last="signals")
    first = Launch(start="job-7", restart=1)  # a rank died before the first could begin anew
    assert reused(workspace, first) == [False]
    assert reused(workspace, Launch(start="job-7")) == [True]
    assert reused(workspace, Launch(start="job-7"), last="signals") == [True, False]
    assert reused(workspace, Launch(start="job-8"), last="signals") == [False, False]
    other = plan_workspace(run_file, ["curate.shard_bytes=9000"])
    assert other.folder("ingest") != workspace.folder("ingest")
    assert reused(other, Launch(start="job-8")) == [False]


def test_ranks_of_a_start_without_a_name_are_refused(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could not tell a restart from another command."""
    workspace = plan_workspace(run_file)
    monkeypatch.setenv("RANK", "0")
    for name in (None, "none"):  # "none" is what torchrun calls it
        if name is not None:
            monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)
        with pytest.raises(ConfigError, match="--rdzv-id"):
            reused(workspace, read_launch())
    assert not workspace.folder("ingest").exists()
