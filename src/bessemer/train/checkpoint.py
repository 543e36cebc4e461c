"""Checkpoints that are whole or absent: DCP files, then a manifest with their digests, last.

A checkpoint is `step-<number>/`. Loading takes the newest one whose files are what its manifest
says, and says aloud which ones it passed over.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save
from torch.distributed.tensor import DTensor

from bessemer.core.errors import IntegrityError
from bessemer.core.fingerprint import digest_bytes
from bessemer.core.manifest import FileRecord, record_files, verify_files
from bessemer.core.storage import TEMPORARY, read_json, write_json
from bessemer.train.mesh import wait_for_ranks

_LOG = logging.getLogger(__name__)
_RECORD = "checkpoint.json"
_PREFIX = "step-"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointManifest:
    """What a checkpoint holds beside weights: where training stands."""

    step: int  # optimizer steps done
    tokens_seen: int
    next_sample: int  # the loader's whole state
    num_ranks: int
    history: str  # digest of all that led to this state; see train.branch
    files: tuple[FileRecord, ...]
    memory: dict[str, Any]  # small things to go on from, as JSON: the guard's windows, ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainState:
    """All tensors of a training run; loading fills them in place."""

    model: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    average: Mapping[str, torch.Tensor] = field(default_factory=dict)  # see train.average

    def tensors(self) -> dict[str, Any]:
        """As DCP saves them: nested dicts of tensors."""
        weights, moments = get_state_dict(self.model, self.optimizers)
        return {"model": weights, "optimizer": moments, "average": dict(self.average)}


def save_checkpoint(
    folder: Path,
    state: TrainState,
    *,
    step: int,
    tokens_seen: int,
    next_sample: int,
    history: str,
    memory: Mapping[str, Any],
    keep: int,
    is_lasting: Callable[[int], bool] = lambda _: False,
) -> None:
    """Save the state after `step` steps; called by all ranks.

    All but the latest `keep` go, save those after a step that is lasting.
    """
    final = folder / f"{_PREFIX}{step:08d}"
    working = folder / f"{TEMPORARY}{final.name}"
    is_first = not dist.is_initialized() or dist.get_rank() == 0
    if is_first:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir()
    wait_for_ranks()
    with _quiet():
        dcp_save(state.tensors(), checkpoint_id=working)
    if is_first:
        record = CheckpointManifest(
            step=step,
            tokens_seen=tokens_seen,
            next_sample=next_sample,
            num_ranks=dist.get_world_size() if dist.is_initialized() else 1,
            history=history,
            files=record_files(working),
            memory=dict(memory),
        )
        write_json(working / _RECORD, asdict(record))
        shutil.rmtree(final, ignore_errors=True)
        working.replace(final)
        for old in _list_checkpoints(folder)[:-keep]:
            if not is_lasting(int(old.name.removeprefix(_PREFIX))):
                shutil.rmtree(old)
    wait_for_ranks()


def load_latest(folder: Path, state: TrainState) -> CheckpointManifest | None:
    """Load the newest sound checkpoint into `state`; None if there is none."""
    found = find_latest(folder)
    if found is None:
        return None
    path, manifest = found
    tensors = state.tensors()
    with _quiet():
        dcp_load(tensors, checkpoint_id=path)
    set_state_dict(
        state.model,
        state.optimizers,
        model_state_dict=tensors["model"],
        optim_state_dict=tensors["optimizer"],
    )
    return manifest


def load_model(folder: Path, model: nn.Module) -> CheckpointManifest:
    """Load the weights of the newest sound checkpoint; their average instead if it keeps one.

    Raises IntegrityError if there is no sound checkpoint.
    """
    found = find_latest(folder)
    if found is None:
        raise IntegrityError(f"no sound checkpoint in {folder}; run the train stage again")
    path, manifest = found
    weights = model.state_dict()  # shares the model's memory, which loading fills
    with _quiet():
        dcp_load({"model": weights}, checkpoint_id=path)
        held = FileSystemReader(path).read_metadata().state_dict_metadata
        if any(key.startswith("average.") for key in held):
            # Over the weights; what is not averaged (buffers) stays.
            average = {name: each.detach() for name, each in model.named_parameters()}
            dcp_load({"average": average}, checkpoint_id=path)
    return manifest


def find_latest(folder: Path) -> tuple[Path, CheckpointManifest] | None:
    """The newest checkpoint in `folder` that is complete and unharmed."""
    return first_sound(read_manifests(folder))


def read_manifests(folder: Path) -> Iterator[tuple[Path, CheckpointManifest]]:
    """All checkpoints in `folder`, newest first; their files have not been looked at."""
    for path in reversed(_list_checkpoints(folder)):
        try:
            record = read_json(path / _RECORD)
            record["files"] = tuple(FileRecord(**file) for file in record["files"])
            manifest = CheckpointManifest(**record)
        except (IntegrityError, LookupError, TypeError) as error:  # or of another version
            _LOG.warning("passing over checkpoint %s: %s", path, error)
            continue
        yield path, manifest


def first_sound(
    checkpoints: Iterable[tuple[Path, CheckpointManifest]],
) -> tuple[Path, CheckpointManifest] | None:
    """The first one whose files are what its manifest says."""
    for path, manifest in checkpoints:
        try:
            verify_files(path, manifest.files, content=True)
        except IntegrityError as error:
            _LOG.warning("passing over checkpoint %s: %s", path, error)
            continue
        return path, manifest
    return None


def digest_state(state: TrainState) -> dict[str, str]:
    """xxh3-128 of the bytes of every tensor of weights, optimizer state and average, by name.

    Checkpoint files cannot be compared byte by byte: DCP writes a random id into each. Called by
    all ranks: what they share out is gathered, a tensor at a time.
    """
    digests = {}
    for part, tensors in state.tensors().items():
        for name, value in sorted(_flatten(tensors, part)):
            whole = value.full_tensor() if isinstance(value, DTensor) else value
            digests[name] = digest_bytes(whole.detach().cpu().contiguous().numpy().tobytes())
    return digests


def _flatten(state: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(state, torch.Tensor):
        yield name, state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from _flatten(value, f"{name}.{key}")


@contextmanager
def _quiet() -> Iterator[None]:
    """A lone process saves and loads alone, on purpose; DCP warns of it each time."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def _list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints by step, oldest first."""
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if path.is_dir())
