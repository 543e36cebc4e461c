"""One run on disk: its config, its inventory, and the folder of every stage.

A stage's folder is `<root>/<stage>/<fingerprint>`; the fingerprint covers the stage's version, the
settings it depends on and the fingerprints of its inputs. So all folders are known before
anything runs, a changed setting leads to another folder, and nothing stale is ever served.
`<root>/run.json` keeps what `bessemer explain`, `trace` and the others need without the run file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bessemer.config.run import RunConfig
from bessemer.core.errors import ConfigError, DataError, Fault, MachineError
from bessemer.core.fingerprint import fingerprint
from bessemer.core.layout import RUN_RECORD
from bessemer.core.manifest import StageManifest, read_manifest
from bessemer.core.schema import SCHEMA_VERSION
from bessemer.core.storage import TEMPORARY, read_json, write_json
from bessemer.curate.evals.files import EvalSet, list_eval_sets
from bessemer.curate.instruments import Instruments, instruments_of
from bessemer.curate.inventory import SourceFile, take_inventory
from bessemer.line.check import load_config
from bessemer.line.stages import STAGES, Stage
from bessemer.line.warm_start import pin_weights
from bessemer.line.work import LEDGERS, corpus_of

if TYPE_CHECKING:
    from bessemer.tokens.corpus import Corpus

_DIGEST_CACHE = ".cache/digests.json"
_WEIGHTS_CACHE = ".cache/weights.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """A run: what was asked for, and where each stage's output is or will be."""

    config: RunConfig
    root: Path
    files: tuple[SourceFile, ...]  # empty if the run was opened by its folder: it is read only
    fingerprints: dict[str, str]  # stage -> fingerprint, in the order of the line
    tokenizer_file: Path | None = None  # the one to load, if the run file names one
    instruments: Instruments = field(
        default_factory=Instruments
    )  # what documents are measured with
    evals: tuple[EvalSet, ...] = ()  # what must not be trained on
    init_from: Path | None = None  # folder of the weights that training begins with
    known: tuple[Path, ...] = ()  # indexes of documents that other runs kept
    branch_from: tuple[Path, ...] = ()  # root folders of runs that training may go on from

    def folder(self, stage: str) -> Path:
        """The output folder of `stage`."""
        return self.root / stage / self.fingerprints[stage]

    def earlier(self, stage: str) -> tuple[Path, ...]:
        """Folders of `stage` with other settings, here and in the runs to branch from."""
        folders = (
            path
            for root in (self.root, *self.branch_from)
            for path in sorted((root / stage).glob("*"))
        )
        return tuple(path for path in folders if path != self.folder(stage))

    def manifest(self, stage: str) -> StageManifest | None:
        """The manifest of `stage`; None if it is not complete."""
        return read_manifest(self.folder(stage))

    def require(self, stage: str) -> Path:
        """The folder of a finished `stage`; DataError if it is not finished."""
        if self.manifest(stage) is None:
            raise DataError(f"stage {stage!r} of this run is not finished; `bessemer run` first")
        return self.folder(stage)

    def corpus(self) -> Corpus:
        """The curated corpus with all edits made; DataError if its stages are not finished."""
        return corpus_of({name: self.require(name) for name in ("ingest", *LEDGERS, "split")})


def plan_workspace(
    run_file: Path, overrides: Sequence[str] = (), *, keep_digests: bool = True
) -> Workspace:
    """Parse, check and inventory a run file; nothing is run. Raises ConfigError.

    `keep_digests` keeps those of the source files in the root folder, for the next start. Raises
    MachineError if that cannot be written to.
    """
    config = load_config(run_file, overrides)
    base = run_file.resolve().parent
    root = (base / config.run.root).resolve()
    if keep_digests:
        require_writable(root)
    cache = root / _DIGEST_CACHE
    files = take_inventory(config.source, base, cache, keep=keep_digests)
    config = pin_weights(config, base, root / _WEIGHTS_CACHE, keep=keep_digests)
    return Workspace(
        config=config,
        root=root,
        files=files,
        fingerprints=_fingerprints(config, files),
        tokenizer_file=base / config.tokenizer.path if config.tokenizer.path else None,
        instruments=instruments_of(config.curate, base),
        evals=list_eval_sets(config.decontaminate, base),
        init_from=None if config.model.init_from is None else base / config.model.init_from,
        known=tuple(base / each.path for each in config.curate.known),
        branch_from=tuple(base / each for each in config.cluster.branch_from),
    )


def require_writable(root: Path) -> None:
    """MachineError unless the root folder of a run, or the folder that it would be made in, can be
    written to: a folder is made there, and removed at once."""
    nearest = root
    try:
        while not nearest.exists():
            nearest = nearest.parent
        Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=nearest)).rmdir()
    except OSError as error:
        raise MachineError(
            f"cannot write to {nearest} ({error.strerror}), where run.root = {root} would be; set "
            "run.root to a folder that can be written to"
        ) from error


def open_workspace(target: Path) -> Workspace:
    """The run that `target` names: a run file, or the root folder of a run."""
    if target.is_file():
        return plan_workspace(target, keep_digests=False)
    if not target.exists():
        raise ConfigError([Fault(str(target), "no such file or folder")])
    record = target / RUN_RECORD
    if not record.exists():
        raise ConfigError(
            [Fault(str(target), f"neither a run file nor a run's folder (no {RUN_RECORD} in it)")]
        )
    data = read_json(record)
    try:
        config = RunConfig.model_validate(data["config"])
    except ValidationError as error:
        raise DataError(
            f"{record} was written by another version of bessemer, which had other settings; "
            "name the run file instead, or run it again"
        ) from error
    return Workspace(
        config=config,
        root=target.resolve(),
        files=(),
        fingerprints=data["fingerprints"],
    )


def save_workspace(workspace: Workspace) -> None:
    """Write `<root>/run.json`."""
    write_json(
        workspace.root / RUN_RECORD,
        {
            "config": workspace.config.model_dump(mode="json"),
            "fingerprints": workspace.fingerprints,
        },
    )


def _fingerprints(config: RunConfig, files: tuple[SourceFile, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for stage in STAGES:
        found[stage.name] = fingerprint(
            {
                "schema": SCHEMA_VERSION,
                "stage": stage.name,
                "version": stage.version,
                "inputs": {name: found[name] for name in stage.inputs},
                "settings": stage_settings(stage, config, files),
            }
        )
    return found


def stage_settings(
    stage: Stage, config: RunConfig, files: tuple[SourceFile, ...]
) -> dict[str, object]:
    """The settings that a stage's output depends on, as plain data."""
    inventory = {"inventory": fingerprint([file.identity() for file in files])}
    return stage.settings(config) | ({} if stage.inputs else inventory)
