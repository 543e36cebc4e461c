"""The kinds of fault that a drill puts into a run, and how each is put in."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bessemer.core.layout import CHECKPOINTS, METRICS, STEPS
from bessemer.line.drill_job import DrillJob

FAULT_STEP = 20  # a fault comes soon after the checkpoint of this step
RESTART = "all ranks start anew"
GOES_ON = r"going on from step (\d+)"
STRUCK = "drill: .* now"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    inject: Callable[[DrillJob], None]
    """Called while the job trains, past FAULT_STEP; it strikes the job."""
    says: str = ""  # a pattern of what the job says once it has noticed; "" if it need not
    exit_code: int = 0  # after which, if it is not 0, the same command is given again
    inside: str = ""  # a fault of train.drill_faults that the job is started with


def _signal(rank: int, number: signal.Signals) -> Callable[[DrillJob], None]:
    def inject(job: DrillJob) -> None:
        pid = job.ranks()[rank]
        job.strike(lambda: os.kill(pid, number))

    return inject


def _ask(number: signal.Signals) -> Callable[[DrillJob], None]:
    return lambda job: job.strike(lambda: os.kill(job.pid, number))


def _kill_while_saving(job: DrillJob) -> None:
    """When the folder of a checkpoint is there and its manifest is not."""
    pid, folder = job.ranks()[0], job.folder / CHECKPOINTS

    def is_saving() -> bool:
        found = folder.glob("step-*")
        return any(not (each / "checkpoint.json").exists() for each in found)

    job.wait_until(is_saving, "a save")
    job.strike(lambda: os.kill(pid, signal.SIGKILL))


def _await_inside(job: DrillJob) -> None:
    """It comes from inside, and says so."""
    job.wait_for_line(STRUCK)
    found = job.find_line(STRUCK)
    assert found is not None
    job.moment = found[0]


def _kill_all(job: DrillJob) -> None:
    job.strike(job.kill)


def _spoiling(spoil: Callable[[Path], None]) -> Callable[[DrillJob], None]:
    """Kill all, and do something to the newest checkpoint before the next start."""

    def inject(job: DrillJob) -> None:
        job.strike(job.kill)
        spoil(job.checkpoints()[-1])

    return inject


def _largest(checkpoint: Path) -> Path:
    return max(checkpoint.glob("*.safetensors"), key=lambda path: path.stat().st_size)


def _truncate(checkpoint: Path) -> None:
    shard = _largest(checkpoint)
    os.truncate(shard, shard.stat().st_size // 2)


def _flip_a_bit(checkpoint: Path) -> None:
    shard = _largest(checkpoint)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)


def _remove_manifest(checkpoint: Path) -> None:
    (checkpoint / "checkpoint.json").unlink()


def _leave_half(checkpoint: Path) -> None:
    """As a save that was cut short leaves it: some files whole, one begun, no manifest."""
    later = checkpoint.with_name(f"step-{int(checkpoint.name.removeprefix('step-')) + 1:08d}")
    shutil.copytree(checkpoint, later)
    _truncate(later)
    _remove_manifest(later)


def _fill_disk(job: DrillJob) -> None:
    """Until a save has failed, no file may grow beyond the size that the metrics of steps have now:
    rows are refused as well as shards, as on a full disk."""
    shard = _largest(job.checkpoints()[-1])
    most = min((job.folder / METRICS / STEPS).stat().st_size, shard.stat().st_size // 2)
    ranks = job.ranks()
    _, hard = resource.prlimit(ranks[0], resource.RLIMIT_FSIZE)

    def limit(most: int) -> None:
        for pid in ranks:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))

    job.strike(lambda: limit(most))
    job.wait_for_line(_CANNOT_SAVE)
    limit(hard)


def _take_folder_away(job: DrillJob) -> None:
    """Where the folder of checkpoints was is a file, until a save has failed."""
    folder = job.folder / CHECKPOINTS
    aside = folder.with_name("aside")

    def take_away() -> None:
        folder.rename(aside)
        folder.touch()

    job.strike(take_away)
    job.wait_for_line(_CANNOT_SAVE)
    folder.unlink()
    aside.rename(folder)


_CANNOT_SAVE = "cannot save a checkpoint after step"
_PASSES_OVER = "passing over checkpoint"

KINDS = (
    Kind(name="SIGKILL of rank 0", inject=lambda job: job.kill_rank(0), says=RESTART),
    Kind(name="SIGKILL of rank 1", inject=lambda job: job.kill_rank(1), says=RESTART),
    Kind(name="SIGKILL while saving", inject=_kill_while_saving, says=RESTART),
    Kind(name="SIGKILL of the launcher", inject=_kill_all, says=GOES_ON, exit_code=-9),
    Kind(name="SIGSTOP of rank 0", inject=_signal(0, signal.SIGSTOP), says="missing: rank 0"),
    Kind(
        name="rank 1 hangs in Python",
        inject=_await_inside,
        says="missing: rank 1",
        inside=f"hang:1:{FAULT_STEP + 3}",
    ),
    Kind(name="rank 1 fails to start", inject=_await_inside, says=RESTART, inside="start:1:0"),
    Kind(name="SIGTERM", inject=_ask(signal.SIGTERM), says="asked to leave", exit_code=75),
    Kind(name="SIGUSR1", inject=_ask(signal.SIGUSR1), says="asked to leave", exit_code=75),
    Kind(
        name="NaN on rank 1",
        inject=_await_inside,
        says=f"step {FAULT_STEP + 3}: gradient norm is nan",
        exit_code=5,
        inside=f"nan:1:{FAULT_STEP + 3}",
    ),
    Kind(name="truncated shard", inject=_spoiling(_truncate), says=_PASSES_OVER, exit_code=-9),
    Kind(name="flipped bit", inject=_spoiling(_flip_a_bit), says=_PASSES_OVER, exit_code=-9),
    Kind(
        name="missing manifest", inject=_spoiling(_remove_manifest), says=_PASSES_OVER, exit_code=-9
    ),
    Kind(name="half a checkpoint", inject=_spoiling(_leave_half), says=_PASSES_OVER, exit_code=-9),
    Kind(name="disk full", inject=_fill_disk, says=_CANNOT_SAVE),
    Kind(name="no folder to write to", inject=_take_folder_away, says=_CANNOT_SAVE),
    Kind(name="slow storage", inject=_await_inside, inside="slow:0:0"),
)
