"""The dedup index of a run's documents, for runs that come after it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bessemer.core.events import Display
from bessemer.curate.duplicates.index_documents import write_index
from bessemer.line.runner import make_engine
from bessemer.line.work import LEDGERS
from bessemer.line.workspace import Workspace


def write_index_of(workspace: Workspace, out: Path, display: Display) -> int:
    """Index what the stages up to `fuzzy` left; returns how many documents that are."""
    config = workspace.config
    names = LEDGERS[: LEDGERS.index("fuzzy") + 1]
    ledgers = [workspace.require(name) for name in names]
    with closing(make_engine(workspace, display)) as engine:
        return write_index(
            config.run.name,
            workspace.require("ingest"),
            ledgers,
            config.curate.fuzzy,
            config.run.seed,
            [workspace.fingerprints[name] for name in ("ingest", *names)],
            out.resolve(),
            engine,
        )
