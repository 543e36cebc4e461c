"""Run file, `[train]`, `[diagnose]` and `[report]`: how to train, and how to look at it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessemer.config.base import Fraction, Section, Tokens


class OptimizerConfig(Section):
    """`[train.optimizer]`: AdamW."""

    lr: float = Field(default=3e-4, gt=0)
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    """Applied to matrices; never to norms."""
    clip_grad_norm: float = Field(default=1.0, gt=0)


class ScheduleConfig(Section):
    """`[train.schedule]`: the learning rate as a function of the share of training done."""

    kind: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_frac: Fraction = 0.02
    final_lr_frac: Fraction = 0.1
    """Learning rate at the end, as a share of the peak."""


class CheckpointConfig(Section):
    """`[train.checkpoint]`."""

    every_steps: int = Field(default=100, ge=1)
    keep: int = Field(default=2, ge=1)
    """How many of the latest checkpoints to keep; the final one always is."""


class EvaluateConfig(Section):
    """`[train.evaluate]`: held-out bits per byte while training."""

    every_steps: int = Field(default=100, ge=1)
    tokens_per_source: Tokens = 65536


class TrainConfig(Section):
    """`[train]`."""

    seq_len: int = Field(ge=8)
    """Tokens in one sequence."""
    global_batch_tokens: Tokens
    """Tokens per optimizer step, over all ranks and microbatches."""
    total_tokens: Tokens
    """Rounded down to whole steps."""
    document_mask: bool = True
    """Attention never looks across the border between two documents in a sequence."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.total_tokens // self.global_batch_tokens

    @property
    def batch_samples(self) -> int:
        """Sequences per optimizer step."""
        return self.global_batch_tokens // self.seq_len

    @property
    def num_samples(self) -> int:
        """Sequences of the whole run."""
        return self.num_steps * self.batch_samples


class DiagnoseConfig(Section):
    """`[diagnose]`: the final measurement that the verdict rests on."""

    tokens_per_source: Tokens = 262144
    """Tokens of train and of held-out text that are measured, per source."""
    bootstrap_samples: int = Field(default=1000, ge=100, le=100_000)


class ReportConfig(Section):
    """`[report]`."""

    samples_per_rule: int = Field(default=3, ge=0, le=20)
    """Dropped documents shown for each rule and source."""
    price_per_hour: float | None = Field(default=None, ge=0)
    """USD per hour of the machine, for the cost; absent means hours are shown, no money."""
