"""Saves while training goes on, keeps what is to be kept, and says when saving fails for too long.

A save copies this rank's tensors, and a thread of its own writes the copies: training waits for the
copying alone, and for the save before if that has not ended. Ranks that save together talk over a
process group of their own, so all know the same: what fails on one has failed.
"""

from __future__ import annotations

import copy
import logging
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save

from bessemer.config.train import CheckpointConfig
from bessemer.core.errors import BessemerError, IntegrityError, MachineError
from bessemer.core.manifest import FileRecord
from bessemer.train.checkpoints.checkpoint import (
    CheckpointManifest,
    clear_away,
    commit,
    complete_checkpoints,
    read_manifests,
    step_of,
    thin_out,
    verify,
)
from bessemer.train.checkpoints.index import read_index
from bessemer.train.checkpoints.read import fill
from bessemer.train.checkpoints.state import Snapshot, TrainState, parts_of_this_rank
from bessemer.train.checkpoints.store import Store
from bessemer.train.checkpoints.write import BoxWriter, SnapshotPlanner
from bessemer.train.progress import mark

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_STORAGE = (OSError, BessemerError)  # what storage can do to us; all else is a bug of ours
_TIMEOUT = timedelta(hours=1)  # by which ranks may write longer than others
_PATIENCE_S = 30.0  # between complaints that storage is slow
_LOOK_S = 1.0  # between looks at whether a save gets on


class Checkpoints:
    """The checkpoints of one run; all ranks build it and call it alike."""

    def __init__(
        self,
        store: Store,
        config: CheckpointConfig,
        is_lasting: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._store, self._config, self._is_lasting = store, config, is_lasting
        self._group, self._rank, self._num_ranks = None, 0, 1
        if dist.is_initialized():
            self._group = dist.new_group(backend="gloo", timeout=_TIMEOUT)
            self._rank, self._num_ranks = dist.get_rank(), dist.get_world_size()
        # A lone process saves alone, on purpose; and a thread cannot silence warnings for itself.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        self._snapshot = Snapshot()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: tuple[int, Future[str | None]] | None = None
        self._writer: BoxWriter | None = None  # the thread's latest
        self.saved_step = 0  # the newest good checkpoint known to this run; 0 for none
        self._damaged: set[int] = set()  # steps whose checkpoints were passed over

    def save(self, state: TrainState, manifest: CheckpointManifest, *, wait: bool = False) -> None:
        """Save the state after `manifest.step` steps, in the background unless told to `wait`.

        A save that fails leaves the last good checkpoint as it is, and the next one is another
        attempt. Raises MachineError if one fails that is waited for, or if training has gone on for
        more steps than `most_steps_unsaved` since the last one that did not.
        """
        self.settle()
        num_unsaved = manifest.step - self.saved_step
        is_last_try = wait or num_unsaved > self._config.unsaved_limit
        in_background = self._config.asynchronous and not is_last_try
        tensors = state.tensors()
        copies = (self._snapshot.take if in_background else parts_of_this_rank)(tensors)
        memory = copy.deepcopy(manifest.memory)
        manifest = replace(manifest, memory=memory, num_ranks=self._num_ranks)
        job = self._thread.submit(self._write, tensors, copies, manifest)
        self._pending = manifest.step, job
        if in_background:
            return
        problem = self.settle()
        if problem is not None and is_last_try:
            raise MachineError(
                f"cannot save a checkpoint after step {manifest.step}: {problem}. "
                f"{self._last_good()}; {num_unsaved} steps since then are lost, and training stops "
                f"(train.checkpoint.most_steps_unsaved = {self._config.unsaved_limit}). Mend the "
                "storage, then run again"
            )

    def settle(self) -> str | None:
        """Wait for the save under way, if any; what went wrong with it, or None."""
        if self._pending is None:
            return None
        step, job = self._pending
        begin = complained = time.monotonic()
        num_bytes = 0
        while not wait_for([job], timeout=_LOOK_S).done:
            now = time.monotonic()
            if self._writer is not None and self._writer.num_bytes != num_bytes:
                num_bytes = self._writer.num_bytes
                mark(f"write the checkpoint of step {step}")  # here alone training waits for it
            if self._rank == 0 and now - complained > _PATIENCE_S:
                complained = now
                _LOG.warning(
                    "training has waited for %.0f s until the checkpoint of step %d is written; "
                    "storage is slower than train.checkpoint.every_steps = %d allows for",
                    *(now - begin, step, self._config.every_steps),
                )
        self._pending = None
        problem = job.result()
        if problem is None:
            self.saved_step = step
        return problem

    def load_latest(
        self, state: TrainState, *, up_to: int | None = None
    ) -> CheckpointManifest | None:
        """Load the newest sound checkpoint (up to a step, if given) into `state`; None if there is
        none at all, saves cut short aside.

        Ranks share the work of verifying out, and each reads what it holds. Raises IntegrityError
        if there are checkpoints and none is sound, and MachineError if storage does not let itself
        be read: to begin at an older step, or at none, would overwrite what may be sound.
        """
        self.settle()
        folders, manifests = self._from_first(
            lambda: (complete_checkpoints(self._store), list(read_manifests(self._store)))
        )
        if up_to is not None:
            folders = [each for each in folders if step_of(each) <= up_to]
            manifests = [each for each in manifests if each.step <= up_to]
        for manifest in manifests:
            damage = self._agree(lambda: self._verify(manifest))  # noqa: B023  (called at once)
            if damage is None:
                damage = self._agree(lambda: self._fill(state, manifest))  # noqa: B023
            if damage is None:
                self.saved_step = manifest.step
                return manifest
            self._damaged.add(manifest.step)
            if self._rank == 0:
                _LOG.warning(
                    "passing over checkpoint %s/%s: %s", self._store, manifest.folder, damage
                )
        if folders:
            raise IntegrityError(
                f"no sound checkpoint in {self._store}, {len(folders)} damaged (the log says what "
                "is wrong with each); `bessemer run RUN.toml --from train` deletes all and starts "
                "over"
            )
        return None

    def close(self) -> None:
        """Wait for the save under way, and end the thread."""
        self.settle()
        self._thread.shutdown()

    def _write(
        self, tensors: dict[str, Any], copies: dict[str, Any], manifest: CheckpointManifest
    ) -> str | None:
        """What went wrong, the same on all ranks; None if all is saved."""

        def finish(files: tuple[FileRecord, ...]) -> None:
            commit(self._store, replace(manifest, files=files))
            self._thin_out(manifest.step)

        self._writer = writer = BoxWriter(self._store, manifest.folder, finish)
        planner = SnapshotPlanner(copies)
        try:
            dcp_save(tensors, storage_writer=writer, planner=planner, process_group=self._group)
        except CheckpointException as error:
            problem = self._name(error)
            if self._rank == 0:
                with suppress(*_STORAGE):
                    clear_away(self._store, manifest.step)
                _LOG.error(
                    "cannot save a checkpoint after step %d: %s. %s; trying again in %d steps",
                    *(manifest.step, problem, self._last_good(), self._config.every_steps),
                )
            return problem
        return None

    def _thin_out(self, step: int) -> None:
        config = self._config
        self._damaged.discard(step)  # it was saved again
        try:
            thin_out(
                self._store, step, config.keep, config.keep_best, self._is_lasting, self._damaged
            )
        except _STORAGE as error:
            _LOG.warning("cannot delete old checkpoints: %s", error)

    def _name(self, error: CheckpointException) -> str:
        """The first failure among ranks, if storage is to blame for all."""
        for cause, _ in error.failures.values():
            if not isinstance(cause, _STORAGE):
                raise error
        rank, (cause, _) = min(error.failures.items())
        return f"rank {rank}: {cause}" if self._num_ranks > 1 else str(cause)

    def _last_good(self) -> str:
        if not self.saved_step:
            return f"There is no good checkpoint in {self._store} yet"
        return f"The last good one is that after step {self.saved_step} in {self._store}"

    def _verify(self, manifest: CheckpointManifest) -> None:
        verify(self._store, manifest, manifest.files[self._rank :: self._num_ranks])

    def _fill(self, state: TrainState, manifest: CheckpointManifest) -> None:
        index = read_index(self._store, manifest.folder, manifest.files)
        state.make_room(index)
        fill(state.tensors(), self._store, manifest.folder, index)

    def _from_first(self, make: Callable[[], T]) -> T:
        """What `make` returns, or raises, on the first rank."""
        made: list[Any] = [None]
        if self._rank == 0:
            try:
                made = [make()]
            except _STORAGE as error:
                made = [error]
        if self._group is not None:
            dist.broadcast_object_list(made, src=0, group=self._group)
        if isinstance(made[0], Exception):
            raise made[0]
        result: T = made[0]
        return result

    def _agree(self, work: Callable[[], None]) -> str | None:
        """What `work` found damaged on any rank; None if nothing on all.

        Raises MachineError, on all ranks, if storage did not let itself be read on one.
        """
        problem: Exception | None = None
        try:
            work()
        except _STORAGE as error:
            problem = error
        problems: list[Exception | None] = [problem]
        if self._group is not None:
            problems = [None] * self._num_ranks
            dist.all_gather_object(problems, problem, group=self._group)
        for rank, each in enumerate(problems):
            if each is not None and not isinstance(each, IntegrityError):
                raise MachineError(
                    f"rank {rank} cannot load a checkpoint: {each}. It may be sound all the same: "
                    "mend the storage, then run again; or delete it if it is lost for good"
                )
        return next((str(each) for each in problems if each is not None), None)
