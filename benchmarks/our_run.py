"""A training run of bessemer's own Trainer on given tokens, without the stages before it.

Writes what the tokenizer, encode and mix stages would have written for one source, and calls back
after every step; so the loop that is measured is the one that `bessemer run` runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.core.layout import PLAN, SHARDS, TOKENIZER
from bessemer.core.schema import HELDOUT, MIX_PLAN, TRAIN
from bessemer.core.storage import write_json, write_table
from bessemer.tokens.shard import write_shard
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.trainer import Trainer, TrainingJob

_SOURCE = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Token ids of documents, on both sides of the split."""

    tokenizer: Tokenizer
    train: tuple[np.ndarray, ...]
    heldout: tuple[np.ndarray, ...]


class _EveryStep:
    """A display that calls `done` after each step."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[_EveryStep]:  # noqa: ARG002
        yield self

    def advance(self, amount: int = 1, note: str = "") -> None:  # noqa: ARG002
        self._done()


def run_trainer(
    folder: Path,
    text: Text,
    *,
    model: ModelConfig,
    train: TrainConfig,
    threads: int,
    after_step: Callable[[Trainer], None],
    seed: int = 0,
) -> tuple[Trainer, dict[str, Any]]:
    """Train in `folder`; returns the trainer and its summary."""
    _write_stages(folder, text, train)
    job = TrainingJob(
        model=model,
        train=train,
        cluster=ClusterConfig(device="cpu", threads=threads),
        seed=seed,
        encoded=folder,
        plan=folder,
        tokenizer=folder / TOKENIZER,
        folder=folder / "run",
    )
    with process_group(job.cluster, Launch(), torch.device("cpu")):
        trainer = Trainer(job, Launch(), _EveryStep(lambda: after_step(trainer)))
        return trainer, trainer.run()


def _write_stages(folder: Path, text: Text, train: TrainConfig) -> None:
    text.tokenizer.save(folder / TOKENIZER)
    shards = []
    for side, documents in ((TRAIN, text.train), (HELDOUT, text.heldout)):
        prefix = folder / side / "00000"
        lengths = [len(tokens) for tokens in documents]
        write_shard(prefix, documents, range(len(lengths)), lengths, text.tokenizer.vocab_size)
        shards.append(
            {"shard": f"{side}/00000", "side": side, "source": _SOURCE, "tokens": sum(lengths)}
        )
    write_json(folder / SHARDS, shards)
    row = dict.fromkeys(MIX_PLAN.names, 1) | {
        "source": _SOURCE,
        "planned_samples": train.num_samples,
    }
    write_table(folder / PLAN, pa.Table.from_pylist([row], schema=MIX_PLAN))
