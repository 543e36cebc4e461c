"""Tokens per second of the loader on one core, beside a plain memory map as nanoGPT reads it.

All make batches of inputs and labels from the same tokens, in turn: ours, ours packed, plain.
Ours shuffles exactly, ends labels at documents, numbers pieces for the mask and hashes what it
gives; plain draws windows at random and does none of that: it is a limit more than a rival.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import arguments, finish, show, spread
from bessemer.config.timetable import make_timetable
from bessemer.config.tokens import MixConfig
from bessemer.config.train import TrainConfig
from bessemer.core.layout import SHARDS
from bessemer.core.schema import TRAIN
from bessemer.core.storage import write_json
from bessemer.engine.tasks import Engine
from bessemer.tokens.mix import mix
from bessemer.tokens.order import SampleOrder
from bessemer.tokens.pack import pack
from bessemer.tokens.shard import write_shard
from bessemer.train.loader import Loader

VOCAB_SIZE = 32768
SEQ_LEN = 1024
BATCH_SAMPLES = 8
BATCH_TOKENS = BATCH_SAMPLES * SEQ_LEN
NUM_SHARDS = 4
_SOURCE = "random"


def write_tokens(folder: Path, num_tokens: int) -> None:
    """Shards of random documents: lengths log-normal with a median of about 500 tokens."""
    draws = np.random.Generator(np.random.PCG64(0))
    entries = []
    for number in range(NUM_SHARDS):
        tokens = draws.integers(2, VOCAB_SIZE, num_tokens // NUM_SHARDS, np.uint16)
        lengths = draws.lognormal(6.2, 1.0, len(tokens) // 100).astype(np.int64) + 2
        ends = np.cumsum(lengths)
        ends = np.append(ends[ends < len(tokens) - 2], len(tokens))
        documents = np.split(tokens, ends[:-1])
        name = f"{TRAIN}/{number:05d}"
        ids = [number << 32 | row for row in range(len(documents))]
        write_shard(folder / name, documents, ids, [1] * len(ids), VOCAB_SIZE)
        about = {"docs": len(ids), "tokens": len(tokens)}
        entries.append({"shard": name, "side": TRAIN, "source": _SOURCE, **about})
    write_json(folder / SHARDS, entries)


def make_loader(folder: Path, num_steps: int, packing: str) -> Loader:
    """A loader over those tokens."""
    train = TrainConfig.model_validate(
        {
            "seq_len": SEQ_LEN,
            "global_batch_tokens": BATCH_TOKENS,
            "total_tokens": num_steps * BATCH_TOKENS,
            "packing": packing,
        }
    )
    plan = folder / packing
    pack(folder, [_SOURCE], train, plan, Engine())
    mix(folder, [_SOURCE], MixConfig(force=True), train, 0, plan, plan)
    return Loader(
        order=SampleOrder(folder, plan, 0, plan),
        timetable=make_timetable(train),
        microbatch_samples=lambda segment: segment.batch_samples,
    )


def read_ours(loader: Loader, steps: range) -> Iterator[torch.Tensor]:
    """The inputs of every batch."""
    with closing(loader):
        for step in steps:
            for batch in loader.microbatches(step):
                yield batch.input_ids_BT


def read_plain(folder: Path) -> Iterator[torch.Tensor]:
    """Batches without end as nanoGPT's get_batch makes them, from the first shard."""
    path = folder / TRAIN / "00000.bin"
    while True:
        data = np.memmap(path, dtype=np.uint16, mode="r")
        places = torch.randint(len(data) - SEQ_LEN, (BATCH_SAMPLES,)).tolist()
        rows = [torch.from_numpy(data[i : i + SEQ_LEN].astype(np.int64)) for i in places]
        nexts = [torch.from_numpy(data[i + 1 : i + 1 + SEQ_LEN].astype(np.int64)) for i in places]
        inputs, labels = torch.stack(rows), torch.stack(nexts)
        assert labels.shape == inputs.shape
        yield inputs


def tokens_per_s(batches: Iterator[torch.Tensor], num_steps: int) -> float:
    """The rate at which batches can be taken."""
    begin, tokens = time.perf_counter(), 0
    for inputs in islice(batches, num_steps):
        tokens += inputs.numel()
    assert tokens == num_steps * BATCH_TOKENS, (tokens, num_steps)
    return tokens / (time.perf_counter() - begin)


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 9, "how often to alternate"),
        steps=(int, 500, f"batches of {BATCH_TOKENS:,} tokens per round"),
        tokens=(int, 40_000_000, "tokens to read from"),
    )
    if hasattr(os, "sched_setaffinity"):  # the loader's thread shares the core of its reader
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    names = ("bessemer, concat", "bessemer, best fit", "plain memory map")
    speeds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_tokens(folder, options.tokens)
        concat, packed = (make_loader(folder, options.steps, way) for way in ("concat", "best_fit"))
        for number in range(options.rounds + 1):
            rates = (
                tokens_per_s(read_ours(concat, range(options.steps)), options.steps),
                tokens_per_s(read_ours(packed, range(options.steps)), options.steps),
                tokens_per_s(read_plain(folder), options.steps),
            )
            if number:  # the first round loads kernels and files
                for name, rate in zip(names, rates, strict=True):
                    speeds[name].append(rate)
    found = {name: spread(values) for name, values in speeds.items()}
    ratio = spread([a / b for a, b in zip(speeds[names[0]], speeds[names[2]], strict=True)])
    show(
        f"loader, sequences of {SEQ_LEN} tokens, one core",
        ("loader", "million tokens/s", "range"),
        [
            (name, f"{each.median / 1e6:.1f}", f"{each.low / 1e6:.1f} to {each.high / 1e6:.1f}")
            for name, each in found.items()
        ],
    )
    print(f"ratio ours / plain by round: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
    finish(
        options,
        {
            "peer": "plain memory map, as nanoGPT's get_batch",
            "ratio": ratio.median,
            "ratios": asdict(ratio),
            "tokens_per_s": {name: asdict(each) for name, each in found.items()},
            "seq_len": SEQ_LEN,
            "batch_samples": BATCH_SAMPLES,
        },
        ("bessemer", "numpy", "torch"),
    )


if __name__ == "__main__":
    main()
