"""Training speed of bessemer's own Trainer on the shared shape; prints one JSON object.

A process of its own does what comes before training: the peers begin with tokens, too.
"""

from __future__ import annotations

import string
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.measured import random_tokens, read_arguments, report
from benchmarks.our_run import Text, run_trainer, write_stages
from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, SHAPES, VOCAB_SIZE
from bessemer.config.model import ModelConfig
from bessemer.config.train import CheckpointConfig, EvaluateConfig, TrainConfig
from bessemer.costs.compute import count_parameters, shape_of

_NEVER = 10**6


def main() -> None:
    options = read_arguments()
    model = ModelConfig(**SHAPES[options.shape])
    batch = BATCH_SEQUENCES * SEQ_LEN
    train = TrainConfig(
        seq_len=SEQ_LEN,
        global_batch_tokens=batch,
        total_tokens=options.steps * batch,
        document_mask=False,  # the peers have none
        checkpoint=CheckpointConfig(every_steps=_NEVER),
        evaluate=EvaluateConfig(every_steps=_NEVER, tokens_per_source=SEQ_LEN),
    )
    ends_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        with ProcessPoolExecutor(1, get_context("spawn")) as another:
            another.submit(_prepare, Path(folder), train, options.steps).result()
        summary = run_trainer(
            Path(folder),
            model=model,
            train=train,
            threads=options.threads,
            after_step=lambda _: ends_s.append(time.perf_counter()),
        )
    report(
        ends_s=ends_s,
        rate=summary["matmul_flops"],
        num_parameters=summary["num_parameters"],
        num_matmul_parameters=count_parameters(shape_of(model, VOCAB_SIZE)).matmul,
        version=version("bessemer"),
    )


def _prepare(folder: Path, train: TrainConfig, num_steps: int) -> None:
    """Write random tokens, and a tokenizer that has as many."""
    from bessemer.tokens.tokenizer import train_tokenizer

    letters = np.random.Generator(np.random.PCG64(0)).integers(0, 26, (6_000, 8))
    words = " ".join("".join(string.ascii_lowercase[each] for each in word) for word in letters)
    text = Text(
        tokenizer=train_tokenizer(iter([words]), VOCAB_SIZE),
        train=tuple(random_tokens(num_steps * BATCH_SEQUENCES).numpy()),
        heldout=tuple(random_tokens(1).numpy()),
    )
    write_stages(folder, text, train)


if __name__ == "__main__":
    main()
