"""Run a workspace's stages in order; finished ones are reused, an interrupted one goes on.

One process at a time works in a root folder; a second one is told so. A stage is done when its
manifest is written, after its sums were checked and its files were read back and digested.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bessemer.config.check import axes_of_run
from bessemer.core.errors import ConfigError, MachineError
from bessemer.core.events import Display
from bessemer.core.hardware import peak_memory_bytes
from bessemer.core.layout import EVALS, METRICS, MODEL, REPORT
from bessemer.core.manifest import (
    StageManifest,
    record_files,
    utc_now,
    verify_files,
    write_manifest,
)
from bessemer.core.storage import SCRATCH, clear_temporaries, read_json, write_bytes, write_json
from bessemer.core.units import format_bytes, format_seconds
from bessemer.engine.tasks import Engine, prepare_folder
from bessemer.line.stages import STAGES, Stage
from bessemer.line.work import Work
from bessemer.line.workspace import Workspace, save_workspace, stage_settings
from bessemer.train.launch import NAMELESS, Launch

_LOG = logging.getLogger(__name__)
_TOGETHER = "together"
_ANEW = ".cache/anew.json"  # folder of a stage -> the start that last deleted it
_PRODUCTS = {"decontaminate": EVALS, "train": METRICS, "export": MODEL, "report": REPORT}


@dataclass(frozen=True, kw_only=True, slots=True)
class StageOutcome:
    """What became of one stage in one start of a run."""

    stage: str
    reused: bool
    manifest: StageManifest


def run_stages(
    workspace: Workspace,
    display: Display,
    launch: Launch | None = None,
    first: str | None = None,
    last: str | None = None,
) -> list[StageOutcome]:
    """Bring the stages from `first` to `last` (names, both included) up to date.

    `first` itself and what follows is made anew, once in a start: when that is started again, by
    whoever started its ranks or by a scheduler, it goes on with what it had begun. What comes
    before `first` must be finished. Of several ranks rank 0 does it all, and the others join it in
    the stages that train.

    Raises ConfigError if these ranks cannot train together, or cannot tell whether they were
    started again.
    """
    launch = launch or Launch()
    stages = _select(first, last)
    if launch.rank > 0:
        _follow(workspace, stages, display, launch)
        return []
    if needs_all_ranks(workspace, first, last):
        config = workspace.config  # what its ranks cannot train is refused before anything is done
        axes_of_run(config.model, config.train, config.cluster, launch.num_ranks)
    outcomes = []
    with _sole_worker(workspace.root), closing(make_engine(workspace, display)) as engine:
        save_workspace(workspace)
        if first is not None:
            _start_anew(workspace, stages, launch)
        for stage in stages:
            manifest = _reusable(workspace, stage)
            reused = manifest is not None
            if stage.on_all_ranks:  # which want all cores, and all memory
                engine.close()
            if stage.on_all_ranks and launch.num_ranks > 1:
                from bessemer.train.mesh import announce

                announce(launch, stage.name, "reused" if reused else _TOGETHER)
            if manifest is None:
                manifest = _run_stage(workspace, stage, engine, launch, anew=first is not None)
            _LOG.info("%s %s", stage_column(stage.name), _say(stage, workspace, manifest, reused))
            for warning in stage.warnings(workspace.config, manifest):
                _LOG.warning("%s warning: %s", stage_column(stage.name), warning)
            publish(workspace, stage.name)
            outcomes.append(StageOutcome(stage=stage.name, reused=reused, manifest=manifest))
    return outcomes


def needs_all_ranks(workspace: Workspace, first: str | None, last: str | None) -> bool:
    """Whether any of these stages is to be run by all ranks together."""
    return any(
        stage.on_all_ranks and (first is not None or _reusable(workspace, stage) is None)
        for stage in _select(first, last)
    )


def _start_anew(workspace: Workspace, stages: tuple[Stage, ...], launch: Launch) -> None:
    """Delete the output of `stages`, once all that they build on is there; not what this start has
    deleted before."""
    if launch.start == NAMELESS:
        raise ConfigError(
            "--from deletes what was made before, once in a start, and torchrun did not say which "
            "start this is; give it an --rdzv-id that no other start has, or leave --from out"
        )
    names = [stage.name for stage in stages]
    for stage in stages:
        for name in stage.inputs:
            if name not in names:
                workspace.require(name)
    record = workspace.root / _ANEW
    if launch.start is not None:
        starts = read_json(record) if record.exists() else {}
        places = {name: f"{name}/{workspace.fingerprints[name]}" for name in names}
        names = [name for name in names if starts.get(places[name]) != launch.start]
        starts |= {places[name]: launch.start for name in names}
    if "train" in names:  # first: they may be another run's, and then nothing is deleted
        from bessemer.train.checkpoints.remote import open_store

        open_store(workspace.folder("train"), workspace.config.cluster.checkpoints).remove("")
    for name in names:
        shutil.rmtree(workspace.folder(name), ignore_errors=True)
    if launch.start is not None:
        write_json(record, starts)


def publish(workspace: Workspace, stage: str) -> None:
    """Put what a stage makes for people at its stable place in the root folder."""
    name = _PRODUCTS.get(stage)
    if name is None:
        return
    product, place = workspace.folder(stage) / name, workspace.root / name
    if place.is_symlink() or place.is_file():
        place.unlink()
    if not product.exists():  # without evaluation sets there are no lists of their items
        return
    if product.is_dir():
        place.symlink_to(product.relative_to(workspace.root), target_is_directory=True)
    else:
        write_bytes(place, product.read_bytes())


def _follow(
    workspace: Workspace, stages: tuple[Stage, ...], display: Display, launch: Launch
) -> None:
    """What ranks above 0 do: wait for rank 0's word, and take part in the stages of all ranks."""
    from bessemer.train.mesh import await_announcement

    for stage in stages:
        if stage.on_all_ranks and await_announcement(launch, stage.name) == _TOGETHER:
            stage.work(_make_work(workspace, stage, Engine(display=display), launch))


def _select(first: str | None, last: str | None) -> tuple[Stage, ...]:
    names = [stage.name for stage in STAGES]
    for name in (first, last):
        if name is not None and name not in names:
            raise ConfigError(f"no stage {name!r}; stages: {', '.join(names)}")
    begin = names.index(first) if first else 0
    end = names.index(last) + 1 if last else len(names)
    if begin >= end:
        raise ConfigError(f"stage {first!r} comes after {last!r}; nothing to run")
    return STAGES[begin:end]


def _reusable(workspace: Workspace, stage: Stage) -> StageManifest | None:
    manifest = workspace.manifest(stage.name)
    if manifest is not None:
        verify_files(workspace.folder(stage.name), manifest.files, content=False)
    return manifest


def make_engine(workspace: Workspace, display: Display) -> Engine:
    settings = workspace.config.cluster.engine
    return Engine(
        runner=settings.runner,
        workers=settings.workers,
        address=settings.address,
        display=display,
    )


def _make_work(workspace: Workspace, stage: Stage, engine: Engine, launch: Launch) -> Work:
    return Work(
        config=workspace.config,
        files=workspace.files,
        tokenizer_file=workspace.tokenizer_file,
        instruments=workspace.instruments,
        known=workspace.known,
        inputs={name: workspace.require(name) for name in stage.inputs},
        fingerprints={name: workspace.fingerprints[name] for name in stage.inputs},
        version=stage.version,
        folder=workspace.folder(stage.name),
        engine=engine,
        launch=launch,
        evals=workspace.evals,
        init_from=workspace.init_from,
    )


def _run_stage(
    workspace: Workspace, stage: Stage, engine: Engine, launch: Launch, *, anew: bool
) -> StageManifest:
    folder = workspace.folder(stage.name)
    prepare_folder(folder)
    if _PRODUCTS.get(stage.name) == METRICS:  # which people look at while they grow
        (folder / METRICS).mkdir(exist_ok=True)
        publish(workspace, stage.name)
    started, clock = utc_now(), time.monotonic()
    work = _make_work(workspace, stage, engine, launch)
    if not anew:
        work = replace(work, earlier=workspace.earlier(stage.name))
    result = stage.work(work)
    clear_temporaries(folder)  # of tasks that were done again, as their worker was lost
    manifest = StageManifest(
        stage=stage.name,
        version=stage.version,
        fingerprint=workspace.fingerprints[stage.name],
        inputs=work.fingerprints,
        settings=stage_settings(stage, workspace.config, workspace.files),
        files=record_files(folder, result.irreproducible),
        conservation=result.conservation,
        summary=result.summary,
        started=started,
        seconds=round(time.monotonic() - clock, 3),
        peak_bytes=max(peak_memory_bytes(), engine.peak_bytes),
        argv=sys.argv,
        commit=_commit(),
    )
    write_manifest(folder, manifest)
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    return manifest


def stage_column(name: str) -> str:
    """The name of a stage, as wide as the longest, at the beginning of a line."""
    return name.ljust(max(len(stage.name) for stage in STAGES))


def _say(stage: Stage, workspace: Workspace, manifest: StageManifest, reused: bool) -> str:
    """What became of a stage: how long it took, what went in, what came out."""
    docs = sum(sums.docs_out for sums in manifest.conservation)
    docs_in = sum(sums.docs_in for sums in manifest.conservation)
    size = sum(sums.bytes_out for sums in manifest.conservation)
    flow = f"{docs:,} of {docs_in:,} documents, {format_bytes(size)}" if docs_in else ""
    if more := stage.says(manifest):
        flow = f"{flow}: {more}" if flow else more
    if not stage.is_on(workspace.config):
        flow = "off"
    spent = "reused" if reused else format_seconds(manifest.seconds)
    return f"{spent:<9} {flow}"


@functools.cache
def _commit() -> str | None:
    """The commit of bessemer's own source, if it runs from a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


@contextmanager
def _sole_worker(root: Path) -> Iterator[None]:
    """Hold the lock of a root folder; the system frees it when this process ends, however."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise MachineError(f"cannot write to {root} ({error.strerror}); set run.root") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(
                f"another bessemer works in {root}; wait for it, or give this run another run.root"
            ) from None
        yield
    finally:
        os.close(descriptor)
