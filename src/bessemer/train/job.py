"""What a training run is made of: its settings, and the folders that it reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.tokens.remote import RemotePath


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingJob:
    """Everything that a training run is made of."""

    model: ModelConfig
    train: TrainConfig
    cluster: ClusterConfig
    seed: int
    encoded: Path | RemotePath  # what the encode stage wrote, or a copy of it
    plan: Path  # folder of the mix stage
    packed: Path | None = None  # folder of the pack stage, for best-fit packing
    tokenizer: Path  # tokenizer.json
    folder: Path  # checkpoints and metrics go here
    # source -> name -> bits per byte, to be told beside the held-out loss
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    init_from: Path | None = None  # Hugging Face folder of the weights to begin with
    # Fingerprints of what training builds on, by name: runs with equal ones train on the same.
    inputs: Mapping[str, str | int] = field(default_factory=dict)
    earlier: tuple[Path, ...] = ()  # folders of runs that may be gone on from; see train.branch

    @property
    def identity(self) -> dict[str, Any]:
        """What bears on every step, save `train`: as plain data, without places and the machine."""
        model = self.model.model_dump(mode="json", exclude={"init_from"})
        return {"seed": self.seed, "model": model, **self.inputs}
