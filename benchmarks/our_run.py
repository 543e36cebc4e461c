"""A training run of bessemer's own Trainer on given tokens, without the stages before it.

What they would have written for one source is written first; the loop calls back after every step,
so the one that is measured is the one that `bessemer run` runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.tokens import MixConfig
from bessemer.config.train import TrainConfig
from bessemer.core.layout import SHARDS, TOKENIZER
from bessemer.core.schema import HELDOUT, TRAIN
from bessemer.core.storage import write_json
from bessemer.tokens.mix import mix
from bessemer.tokens.shard import write_shard
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.trainer import Trainer

if TYPE_CHECKING:
    from bessemer.tokens.tokenizer import Tokenizer

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
    *,
    model: ModelConfig,
    train: TrainConfig,
    threads: int,
    before: Callable[[Trainer], None] = lambda _: None,
    after_step: Callable[[Trainer], None],
    seed: int = 0,
) -> dict[str, Any]:
    """Train in `folder`, where `write_stages` has been; returns the trainer's summary."""
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
        before(trainer)
        return trainer.run()


def write_stages(folder: Path, text: Text, train: TrainConfig, seed: int = 0) -> None:
    """Write the tokenizer, the token shards and the plan of a run of training."""
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
    mix(folder, [_SOURCE], MixConfig(force=True), train, seed, folder)
