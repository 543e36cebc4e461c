"""Metrics of a training run: JSON lines, TensorBoard, and Weights & Biases if asked for.

On resume, lines after the checkpoint are cut off, so that each step stands in the files once. What
storage refuses is kept in memory and written when it can be: whether training goes on without
storage is for checkpoints to say.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from bessemer.core.errors import MachineError
from bessemer.core.layout import EVALUATIONS, GUARD, STEPS
from bessemer.core.storage import read_jsonl, write_text
from bessemer.train.evidence import Incident, write_evidence
from bessemer.train.row_file import RowFile

_LOG = logging.getLogger(__name__)
_TENSORBOARD = "tensorboard"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRecord:
    """One update of the weights, summed over all ranks."""

    step: int  # from 1: batches seen
    tokens_seen: int
    loss: float  # nats per predicted token
    bits_per_byte: float | None  # None if the batch holds no text
    losses: Mapping[str, float]  # of each source in the batch
    bits_per_byte_of: Mapping[str, float]  # of each source in the batch
    grad_norm: float  # before clipping
    update_norm: float  # how far the weights moved; large tensors sampled
    lr: float
    batch_tokens: int
    seq_len: int
    step_s: float
    tokens_per_s: float
    mfu: float | None  # share of the measured matmul rate of all ranks
    peak_bytes: int  # resident memory on a CPU, allocated on a GPU; of rank 0
    samples_digest: str  # chained over all samples up to here; see tokens/digest.py


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRecord:
    """Held-out bits per byte of one source after a step."""

    step: int
    tokens_seen: int
    source: str
    bits_per_byte: float


class Monitor:
    """Writes records as they come; a context manager."""

    def __init__(self, folder: Path, resume_step: int, wandb_project: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files = {}
        for name in (STEPS, EVALUATIONS, GUARD):
            kept = [row for row in read_jsonl(folder / name) if row["step"] <= resume_step]
            write_text(folder / name, "".join(json.dumps(row) + "\n" for row in kept))
            self._files[name] = RowFile(folder / name)
        self._incidents: list[Incident] = []  # whose evidence is not written
        self._problem = ""  # what storage refuses the latest records with
        self._board: SummaryWriter | None = self._open_board(purge_step=resume_step + 1)
        self._wandb = _start_wandb(wandb_project, folder) if wandb_project else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write()
        if self._problem:
            num_rows = sum(file.num_kept for file in self._files.values())
            _LOG.error(
                "lost, as storage still refuses it (%s): %d rows of metrics, %d files of evidence",
                *(self._problem, num_rows, len(self._incidents)),
            )
        for file in self._files.values():
            file.close()
        self._close_board()
        if self._wandb is not None:
            self._wandb.finish(exit_code=0 if error is None else 1)

    def step(self, record: StepRecord) -> None:
        """Record one update of the weights."""
        row = asdict(record)
        self._add(STEPS, row)
        self._draw(record.step, dict(_scalars("train", row)))

    def evaluation(self, record: EvaluationRecord) -> None:
        """Record one source's evaluation."""
        self._add(EVALUATIONS, asdict(record))
        name = f"heldout_bits_per_byte/{record.source}"
        self._draw(record.step, {name: record.bits_per_byte})

    def guard(self, incident: Incident) -> None:
        """Record a step that the guard noticed, and write its evidence."""
        self._incidents.append(incident)
        alarms = list(map(str, incident.alarms))
        row = {"step": incident.step, "action": incident.action, "alarms": alarms}
        self._add(GUARD, row | {"evidence": incident.evidence})

    def _add(self, name: str, row: Mapping[str, Any]) -> None:
        self._files[name].add(row)
        self._write()

    def _write(self) -> None:
        """Put on file what is not there yet, as far as storage takes it."""
        try:
            for file in self._files.values():
                file.write()
            while self._incidents:
                write_evidence(self._folder, self._incidents[0])
                del self._incidents[0]
        except (OSError, MachineError) as error:
            if not self._problem:
                _LOG.warning(
                    "cannot write metrics: %s; they are kept in memory until it can be done, "
                    "without TensorBoard's",
                    error,
                )
            self._problem = str(error)
        else:
            if self._problem:
                _LOG.warning("metrics are written again, with those that were kept")
            self._problem = ""

    def _draw(self, step: int, scalars: Mapping[str, float]) -> None:
        try:
            if self._board is None and not self._problem:
                self._board = self._open_board()
            if self._board is not None:
                for name, value in scalars.items():
                    self._board.add_scalar(name, value, step)
        except OSError:  # its thread ended with it, and writes no more: a new one is needed
            self._close_board()
        if self._wandb is not None:
            self._wandb.log(dict(scalars), step=step)

    def _open_board(self, **options: Any) -> SummaryWriter:
        return SummaryWriter(str(self._folder / _TENSORBOARD), **options)

    def _close_board(self) -> None:
        if self._board is not None:
            with suppress(OSError):  # there is nobody to keep its curves
                self._board.close()
        self._board = None


def _scalars(prefix: str, row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a record that make a curve, by name; a record within it is a folder."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _scalars(f"{prefix}_{name}", value)
        elif isinstance(value, (int, float)) and name not in ("step", "tokens_seen"):
            yield f"{prefix}/{name}", value


def _start_wandb(project: str, folder: Path) -> Any:
    """A run of the service whose local files lie beside the other metrics."""
    try:
        import wandb
    except ImportError:
        raise MachineError(
            'cluster.wandb_project needs Weights & Biases: pip install "bessemer[wandb]"'
        ) from None
    return wandb.init(project=project, dir=folder, resume="allow", id=folder.parent.name)
