"""Where a report comes from: each finished stage, with its identity and what it cost."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from bessemer.core.manifest import StageManifest


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRow:
    """One finished stage: its identity, its outputs and what it cost."""

    name: str
    version: int
    fingerprint: str
    inputs: tuple[str, ...]
    num_files: int
    num_bytes: int
    outputs_digest: str
    started: str
    seconds: float
    peak_bytes: int
    commit: str | None
    argv: str
    settings: str  # JSON


def tell_stage(manifest: StageManifest) -> StageRow:
    """What the manifest of a stage says."""
    # The list of source files is a table of its own (files.parquet), and may be millions long.
    settings = {
        name: f"{len(value):,} files" if name == "files" and isinstance(value, list) else value
        for name, value in manifest.settings.items()
    }
    return StageRow(
        name=manifest.stage,
        version=manifest.version,
        fingerprint=manifest.fingerprint,
        inputs=tuple(manifest.inputs),
        num_files=len(manifest.files),
        num_bytes=sum(file.num_bytes for file in manifest.files),
        outputs_digest=manifest.outputs_digest(),
        started=manifest.started,
        seconds=manifest.seconds,
        peak_bytes=manifest.peak_bytes,
        commit=manifest.commit,
        argv=shlex.join(manifest.argv),
        settings=json.dumps(settings, indent=2, ensure_ascii=False),
    )
