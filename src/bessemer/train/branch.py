"""Training that goes on from a checkpoint of another run, up to which both are the same run.

A run of another length, with a decay that begins elsewhere or a last phase of its own, need not
train again what it shares with an earlier one. Whether two runs are the same up to a step is no
matter of trust: all that bears on the state there is in one digest, and a checkpoint keeps it.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessemer.config.timetable import Timetable
from bessemer.config.train import TrainConfig
from bessemer.core.fingerprint import fingerprint
from bessemer.core.layout import EVALUATIONS, EVIDENCE, GUARD, METRICS, STEPS
from bessemer.core.storage import atomic_path
from bessemer.tokens.order import SampleOrder
from bessemer.train.checkpoints.checkpoint import (
    CheckpointManifest,
    commit,
    holds_any,
    read_manifests,
    sound,
)
from bessemer.train.checkpoints.owner import OwnedStore
from bessemer.train.checkpoints.remote import copy_file, open_store
from bessemer.train.checkpoints.store import DiskStore, Store
from bessemer.train.schedule import first_step_of_decay

_LOG = logging.getLogger(__name__)
# Keys of `[train]` that bear on steps one by one, or not at all.
_BY_STEP = {"total_tokens", "schedule", "phase", "batch_ramp", "seq_len", "global_batch_tokens"}
_BY_NONE = {"evaluate", "checkpoint"}


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """What bears on the weights and all other state after any number of steps."""

    identity: Mapping[str, Any]  # seed, model, fingerprints of the tokens, ...: of every step
    train: TrainConfig
    timetable: Timetable
    order: SampleOrder

    def digest(self, step: int) -> str:
        """Of all that bears on the state after `step` steps.

        Equal digests mean the same state: bit for bit if ranks, lanes and microbatches are alike
        too, else but for rounding.
        """
        train = self.train.model_dump(mode="json", exclude=_BY_STEP | _BY_NONE)
        guard = self.train.guard
        if "rewind" in (guard.spike, guard.nonfinite):
            train["rewinds_to"] = self.train.checkpoint.every_steps
        end = self.timetable.samples_of(step - 1).stop if step else 0
        return fingerprint(
            {
                "identity": dict(self.identity),
                "train": train,
                "steps": [
                    [
                        *(each.first_sample, min(each.first_sample + each.num_samples, end)),
                        *(each.phase, each.seq_len, each.batch_samples),
                    ]
                    for each in self.timetable.segments
                    if each.first_step < step
                ],
                "order": self.order.plan_of(end),
                "rates": self._rates(step),
            }
        )

    def _rates(self, step: int) -> dict[str, Any]:
        """All that bears on the learning rates of the first `step` steps."""
        schedule, total_tokens = self.train.schedule, self.timetable.num_tokens
        rates: dict[str, Any] = {"warmup_tokens": schedule.warmup_tokens_of(total_tokens)}
        if step > first_step_of_decay(self.timetable, schedule):
            rates["total_tokens"] = total_tokens
            rates["decay_tokens"] = schedule.decay_tokens_of(total_tokens)
            rates["shape"] = schedule.shape_of_decay
            rates["final_lr_frac"] = schedule.final_lr_frac
        return rates


def adopt_checkpoint(
    folder: Path, others: Iterable[Path], history: History, url: str | None = None
) -> None:
    """Copy the furthest checkpoint up to which another run in `others` is this one to `folder`,
    with the metrics up to there; nothing if there is none or this run has any of its own.

    Runs have their checkpoints in their folders or, with `url`, in that store, which this run
    claims. Raises MachineError if it is another's (see `checkpoints.owner`).
    """
    ours = open_store(folder, url)
    if isinstance(ours, OwnedStore):
        ours.claim()
    if holds_any(ours):
        return

    def is_ours(manifest: CheckpointManifest) -> bool:
        step = manifest.step
        return step <= history.timetable.num_steps and manifest.history == history.digest(step)

    stores: dict[Store, Path] = {}
    for other in others:
        stores |= {open_store(other, place): other for place in dict.fromkeys((None, url))}
    found = [
        (store, manifest)
        for store in stores
        for manifest in read_manifests(store)
        if is_ours(manifest)
    ]
    found.sort(key=lambda each: each[1].step, reverse=True)
    furthest = next(sound(found), None)
    if furthest is None:
        return
    store, manifest = furthest
    other = stores[store]
    _LOG.info(
        "the run in %s is this one up to step %d; going on from its checkpoint",
        other,
        manifest.step,
    )
    for name in (STEPS, EVALUATIONS, GUARD, EVIDENCE):
        _copy(other / METRICS / name, folder / METRICS / name)
    # Last: then all is there.
    here, there = _disk_folder(store), _disk_folder(ours)
    if here is not None and there is not None and _on_one_file_system(here, there):
        _copy(here / manifest.folder, there / manifest.folder)
    else:
        for file in manifest.files:
            copy_file(store, ours, manifest.folder, file)
        commit(ours, manifest)


def _disk_folder(store: Store) -> Path | None:
    """Where a store is on a disk; None if it is elsewhere."""
    place = store.place if isinstance(store, OwnedStore) else store
    return place.folder if isinstance(place, DiskStore) else None


def _on_one_file_system(folder: Path, other: Path) -> bool:
    """Whether the files of a folder can be linked to another, which is made: nothing is copied."""
    other.mkdir(parents=True, exist_ok=True)
    return folder.stat().st_dev == other.stat().st_dev


def _copy(source: Path, target: Path) -> None:
    """A file, or a folder of files that nobody writes to any more; whole or not at all."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        with atomic_path(target) as temporary:
            shutil.copytree(source, temporary, copy_function=_link_or_copy)
    elif source.exists():
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system, or one without links
        shutil.copyfile(source, target)
