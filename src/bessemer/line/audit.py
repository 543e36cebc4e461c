"""The audit of near-duplicates of a run, as a page in its root folder."""

from __future__ import annotations

from pathlib import Path

from bessemer.core.layout import AUDIT
from bessemer.core.manifest import StageManifest
from bessemer.core.storage import write_text
from bessemer.curate.duplicates.alarms import tell_clusters, tell_losses
from bessemer.line.stages import STAGES
from bessemer.line.workspace import Workspace
from bessemer.report.audit import collect_audit
from bessemer.report.render import render_audit


def write_audit(workspace: Workspace) -> Path:
    """Write the page, and return its path; DataError if the stage `fuzzy` is not finished."""
    curate = workspace.config.curate
    names = [stage.name for stage in STAGES]
    told: dict[str, StageManifest] = {}
    alarms: list[str] = []
    folders = {}
    for stage in STAGES[: names.index("fuzzy") + 1]:
        folders[stage.name] = workspace.require(stage.name)
        manifest = workspace.manifest(stage.name)
        assert manifest is not None
        told[stage.name] = manifest
        if stage.name in ("exact", "fuzzy"):  # on this page small sources are told of as well
            alarms += tell_losses(manifest.conservation, curate.max_source_loss_frac, fewest_docs=1)
            alarms += tell_clusters(manifest.summary, curate.max_cluster_docs)
    audit = collect_audit(
        workspace.config.run.name,
        curate.fuzzy.min_similarity,
        alarms,
        folders,
        told,
        workspace.root / ".cache",
    )
    path = workspace.root / AUDIT
    write_text(path, render_audit(audit))
    return path
