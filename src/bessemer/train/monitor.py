"""Metrics of a training run: one JSON line per step and per evaluation, and TensorBoard.

On resume, lines after the checkpoint are cut off, so that each step stands in the files once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from bessemer.core.layout import EVALUATIONS, STEPS
from bessemer.core.storage import read_jsonl, write_text

_TENSORBOARD = "tensorboard"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRecord:
    """One optimizer step, summed over all ranks."""

    step: int  # from 1: steps done
    tokens_seen: int
    loss: float  # nats per predicted token
    bits_per_byte: float
    grad_norm: float  # before clipping
    lr: float
    step_s: float
    tokens_per_s: float
    mfu: float | None  # share of the measured matmul rate of all ranks
    peak_bytes: int  # resident memory on a CPU, allocated on a GPU; of rank 0


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRecord:
    """Held-out bits per byte of one source after a step."""

    step: int
    tokens_seen: int
    source: str
    bits_per_byte: float


class Monitor:
    """Writes records as they come; a context manager."""

    def __init__(self, folder: Path, resume_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (STEPS, EVALUATIONS):
            kept = [row for row in read_jsonl(folder / name) if row["step"] <= resume_step]
            write_text(folder / name, "".join(json.dumps(row) + "\n" for row in kept))
        self._steps = (folder / STEPS).open("a", encoding="utf-8")
        self._evaluations = (folder / EVALUATIONS).open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / _TENSORBOARD), purge_step=resume_step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._steps.close()
        self._evaluations.close()
        self._board.close()

    def step(self, record: StepRecord) -> None:
        """Record one optimizer step."""
        row = asdict(record)
        self._steps.write(json.dumps(row) + "\n")
        self._steps.flush()
        for name, value in row.items():
            if name not in ("step", "tokens_seen") and value is not None:
                self._board.add_scalar(f"train/{name}", value, record.step)

    def evaluation(self, record: EvaluationRecord) -> None:
        """Record one source's evaluation."""
        self._evaluations.write(json.dumps(asdict(record)) + "\n")
        self._evaluations.flush()
        self._board.add_scalar(
            f"heldout_bits_per_byte/{record.source}", record.bits_per_byte, record.step
        )
