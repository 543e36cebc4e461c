"""Checkpoints that are whole or absent: files of tensors, then a manifest with their digests, last.

A checkpoint is `step-<number>/`. The manifest is what makes it one: until it is there, and when a
step is saved again until it takes the place of the old one, new files are beside the point. Loading
takes the newest checkpoint whose files are what its manifest says, and says aloud which ones it
passed over as damaged. Storage that does not answer is no damage, and is raised.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bessemer.core.errors import BessemerError, IntegrityError
from bessemer.core.fingerprint import canonical_json, digest_bytes
from bessemer.core.manifest import FileRecord
from bessemer.train.checkpoints.index import read_index
from bessemer.train.checkpoints.read import fill
from bessemer.train.checkpoints.state import average_tensors, model_tensors
from bessemer.train.checkpoints.store import DiskStore, Store
from bessemer.train.progress import mark

_LOG = logging.getLogger(__name__)
_RECORD = "checkpoint.json"
_PREFIX = "step-"
_FOLDER = re.compile(rf"{_PREFIX}[0-9]+")
_FILE = re.compile(r"[a-z]+-[0-9-]+\.(json|safetensors)")
_FORMAT = 3  # 1 was DCP's own, which has a pickle in it; 2 had no digest of the manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointManifest:
    """What a checkpoint holds beside tensors: where training stands."""

    step: int  # optimizer steps done
    tokens_seen: int
    next_sample: int  # the loader's whole state
    history: str  # digest of all that led to this state; see train.branch
    memory: dict[str, Any]  # small things to go on from, as JSON: the guard's windows, ...
    bits_per_byte: float | None = None  # held out, mean over sources, if measured after this step
    num_ranks: int = 1
    files: tuple[FileRecord, ...] = ()
    format: int = _FORMAT

    @property
    def folder(self) -> str:
        """Its name in the store."""
        return folder_of(self.step)


def folder_of(step: int) -> str:
    """The name of a checkpoint in its store."""
    return f"{_PREFIX}{step:08d}"


def step_of(folder: str) -> int:
    """After which step the checkpoint in a folder is, by its name."""
    return int(folder.removeprefix(_PREFIX))


def commit(store: Store, manifest: CheckpointManifest) -> None:
    """Write the manifest, which makes its files a checkpoint, and clear away what is not in it.

    The checkpoint is good even if storage does not let go of the rest.
    """
    store.replace(f"{manifest.folder}/{_RECORD}", _encode(asdict(manifest)))
    try:
        clear_away(store, manifest.step)
    except BessemerError as error:
        _LOG.warning("cannot delete what is beside checkpoint %s: %s", manifest.folder, error)


def clear_away(store: Store, step: int) -> None:
    """Delete the files of attempts to save a step that no manifest speaks of."""
    folder = folder_of(step)
    names = store.list(folder)
    if _RECORD not in names:
        store.remove(folder)
        return
    held = {file.path for file in _read_manifest(store, folder).files}
    for name in names:
        if name not in held and name != _RECORD:
            store.remove(f"{folder}/{name}")


def thin_out(
    store: Store,
    up_to: int,
    keep: int,
    keep_best: int,
    is_lasting: Callable[[int], bool],
    damaged: Collection[int] = (),
) -> None:
    """Delete checkpoints up to a step, save the last `keep`, the `keep_best` with the fewest bits
    per byte, and those after a step that is lasting; and what is left of saves cut short.

    Those after `damaged` steps count for nothing and go, too.
    """
    found = []
    for folder in _folders(store):
        try:
            manifest = _read_manifest(store, folder)
        except _HalfWrittenError:
            if step_of(folder) < up_to:
                store.remove(folder)
        except IntegrityError:
            continue  # of another version, perhaps
        else:
            if manifest.step <= up_to:
                found.append(manifest)
    good = [each for each in found if each.step not in damaged]
    rated = [each for each in good if each.bits_per_byte is not None]
    rated.sort(key=lambda each: (each.bits_per_byte, -each.step))
    held = {each.step for each in (*good[-keep:], *rated[:keep_best])}
    held |= {each.step for each in good if is_lasting(each.step)}
    for each in found:
        if each.step not in held:
            store.remove(each.folder)


def read_manifests(store: Store) -> Iterator[CheckpointManifest]:
    """Those of all checkpoints, newest first; their files have not been looked at."""
    for folder in reversed(_folders(store)):
        try:
            manifest = _read_manifest(store, folder)
        except IntegrityError as error:
            _pass_over(store, folder, error)
            continue
        yield manifest


def holds_any(store: Store) -> bool:
    """Whether there is a checkpoint, its files not looked at."""
    for folder in _folders(store):
        with suppress(IntegrityError):
            _read_manifest(store, folder)
            return True
    return False


def complete_checkpoints(store: Store) -> list[str]:
    """Folders of those that have a manifest, by step; nothing else has been looked at."""
    return [folder for folder in _folders(store) if _RECORD in store.list(folder)]


def verify(store: Store, manifest: CheckpointManifest, files: Iterable[FileRecord]) -> None:
    """Raise IntegrityError if one of a checkpoint's files is not what the manifest says."""
    for file in files:
        name = f"{manifest.folder}/{file.path}"
        mark(f"verify {name}")
        found = store.digest(name)
        if found != (file.num_bytes, file.digest):
            what = "is missing" if found is None else "was changed after it was written"
            raise IntegrityError(f"{file.path} {what}")


def sound(
    checkpoints: Iterable[tuple[Store, CheckpointManifest]],
) -> Iterator[tuple[Store, CheckpointManifest]]:
    """Those whose files are what their manifests say, in the order given.

    Raises MachineError if storage does not let itself be read.
    """
    for store, manifest in checkpoints:
        try:
            verify(store, manifest, manifest.files)
        except IntegrityError as error:
            _pass_over(store, manifest.folder, error)
            continue
        yield store, manifest


def load_model(
    where: Store | Path, model: nn.Module, *, step: int | None = None, num_averaged: int = 1
) -> CheckpointManifest:
    """Load the weights of the newest sound checkpoint; their average instead if it keeps one.

    Whatever layout it was trained in. With `num_averaged`, the mean of so many of the newest (LAWA:
    Kaddour 2022, arXiv 2209.14981); what are no real numbers is the newest one's. Returns that
    one's manifest. Raises IntegrityError if there are not enough sound checkpoints, or the newest
    is not that after `step`, if given; MachineError if storage does not let itself be read.
    """
    store = DiskStore(where) if isinstance(where, Path) else where
    found = sound((store, manifest) for manifest in read_manifests(store))
    newest = [manifest for _, manifest in islice(found, num_averaged)]
    if step is not None and (not newest or newest[0].step != step):
        raise IntegrityError(
            f"the checkpoint after step {step} in {store}, where training ended, is not sound or "
            "not there; `bessemer run RUN.toml --from train` trains anew"
        )
    if len(newest) < num_averaged:
        what = f"not {num_averaged} sound checkpoints" if newest else "no sound checkpoint"
        raise IntegrityError(f"{what} in {store}; run the train stage again")
    if num_averaged == 1:
        _load_weights(store, newest[0], model)
        return newest[0]
    tensors = model_tensors(model)
    means = {
        name: torch.zeros_like(each, dtype=torch.float64)
        for name, each in tensors.items()
        if each.is_floating_point()
    }
    for manifest in reversed(newest):
        _load_weights(store, manifest, model)
        for name, mean in means.items():
            mean.add_(tensors[name].double(), alpha=1 / num_averaged)
    for name, mean in means.items():
        tensors[name].copy_(mean)
    return newest[0]


def _load_weights(store: Store, manifest: CheckpointManifest, model: nn.Module) -> None:
    index = read_index(store, manifest.folder, manifest.files)
    fill(model_tensors(model), store, manifest.folder, index)
    average = average_tensors({name: each.detach() for name, each in model.named_parameters()})
    if average.keys() <= index.keys():  # over the weights; what is not averaged (buffers) stays
        fill(average, store, manifest.folder, index)


def _encode(record: dict[str, Any]) -> bytes:
    """A manifest as JSON, with its own digest."""
    record = {**record, "digest": _digest(record)}
    return (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _digest(record: dict[str, Any]) -> str:
    """Of what a manifest says, however it is laid out."""
    return digest_bytes(canonical_json(record).encode())


class _HalfWrittenError(IntegrityError):
    """No manifest: the save was cut short."""


def _read_manifest(store: Store, folder: str) -> CheckpointManifest:
    """IntegrityError if there is none that this version can read."""
    if _RECORD not in store.list(folder):
        raise _HalfWrittenError(f"it has no {_RECORD}: saving it was cut short")
    try:
        record = json.loads(store.read(f"{folder}/{_RECORD}"))
        if record.get("format") != _FORMAT:
            raise IntegrityError(
                f"it has format {record.get('format', 1)}, this bessemer reads {_FORMAT}"
            )
        digest = record.pop("digest")
        if digest != _digest(record):
            raise ValueError("its digest is another")
        record["files"] = tuple(FileRecord(**file) for file in record["files"])
        manifest = CheckpointManifest(**record)
        wrong = [file.path for file in manifest.files if not _FILE.fullmatch(file.path)]
        if manifest.folder != folder or wrong:
            raise ValueError(f"step {manifest.step}, files {wrong}")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise IntegrityError(f"its {_RECORD} is damaged ({error})") from error
    return manifest


def _pass_over(store: Store, folder: str, error: BessemerError) -> None:
    _LOG.warning("passing over checkpoint %s/%s: %s", store, folder, error)


def _folders(store: Store) -> list[str]:
    """Of checkpoints, whole or not, by step, oldest first."""
    return sorted(filter(_FOLDER.fullmatch, store.list()), key=step_of)
