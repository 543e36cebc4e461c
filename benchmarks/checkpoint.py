"""What checkpoints cost: how long training waits for each, and how fast they are written and read.

The state is that of a decoder of 12 million parameters with AdamW's moments. Each save is followed
by work that keeps all threads busy, as training does, so that a save in the background has somebody
to disturb; a save "takes" what it adds to that work, waiting and slower work together. Shares are
of the default interval between saves, if training ran at the full rate of matrix products; it is
slower, so they are upper bounds. Synchronous and asynchronous saves take turns.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.common import arguments, finish, show, spread
from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, SHAPES, VOCAB_SIZE
from bessemer.config.model import ModelConfig
from bessemer.config.train import CheckpointConfig, OptimizerConfig
from bessemer.costs.compute import shape_of, training_flops
from bessemer.model.initialize import initialize
from bessemer.model.rate import measure_matmul_flops
from bessemer.model.transformer import Decoder
from bessemer.train.checkpoints.checkpoint import CheckpointManifest
from bessemer.train.checkpoints.keeper import Checkpoints
from bessemer.train.checkpoints.state import TrainState
from bessemer.train.checkpoints.store import DiskStore
from bessemer.train.optim import make_optimizers

_WIDTH = 512


def make_state() -> TrainState:
    """A model after one step of its optimizer."""
    decoder = Decoder(ModelConfig(**SHAPES["12m"]), VOCAB_SIZE)
    initialize(decoder, 0)
    optimizers = make_optimizers(decoder, OptimizerConfig())
    for parameter in decoder.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizers.step()
    optimizers.zero_grad()
    return TrainState(model=decoder, optimizers=optimizers.parts)


def work(seconds: float, products: int = 0) -> tuple[int, float]:
    """Multiply matrices for some time, or so often; returns how often, and how long it took."""
    x = torch.full((_WIDTH, _WIDTH), 1.0 / _WIDTH)
    begin, done = time.perf_counter(), 0
    while (done < products) if products else (time.perf_counter() - begin < seconds):
        x = x @ x
        done += 1
    return done, time.perf_counter() - begin


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 7, "how often to alternate"),
        work_s=(float, 8.0, "seconds of work after each save"),
    )
    state = make_state()
    num_bytes = sum(each.nbytes for each in state.tensors().values())
    products, _ = work(options.work_s)
    flops = training_flops(
        shape_of(ModelConfig(**SHAPES["12m"]), VOCAB_SIZE), BATCH_SEQUENCES, SEQ_LEN
    )
    interval_s = CheckpointConfig().every_steps * flops / measure_matmul_flops(torch.device("cpu"))
    names = ("asynchronous", "synchronous")
    stalls: dict[str, list[float]] = {name: [] for name in names}
    takes: dict[str, list[float]] = {name: [] for name in names}
    writes, reads = [], []
    with tempfile.TemporaryDirectory() as temporary:
        keepers = {
            name: Checkpoints(
                DiskStore(Path(temporary) / name), CheckpointConfig(asynchronous=name == names[0])
            )
            for name in names
        }
        for step in range(1, options.rounds + 2):
            manifest = CheckpointManifest(
                step=step, tokens_seen=0, next_sample=0, history="", memory={}
            )
            _, alone_s = work(0, products)
            for name, keeper in keepers.items():
                begin = time.perf_counter()
                keeper.save(state, manifest)
                stall_s = time.perf_counter() - begin
                _, beside_s = work(0, products)
                keeper.settle()
                if step == 1:  # buffers are made, files are new
                    continue
                stalls[name].append(stall_s)
                takes[name].append(stall_s + beside_s - alone_s)
            begin = time.perf_counter()
            assert keepers["synchronous"].load_latest(state) is not None
            if step > 1:
                writes.append(num_bytes / stalls["synchronous"][-1] / 1e6)
                reads.append(num_bytes / (time.perf_counter() - begin) / 1e6)
        for keeper in keepers.values():
            keeper.close()
    found = {name: (spread(stalls[name]), spread(takes[name])) for name in names}
    write, read = spread(writes), spread(reads)
    show(
        f"checkpoints of {num_bytes / 1e6:.0f} MB, one every {interval_s:.0f} s at least",
        ("saving", "training waits, ms", "range", "share", "takes, ms", "range", "share"),
        [
            (
                name,
                *(
                    cell
                    for each in both
                    for cell in (
                        f"{1e3 * each.median:.0f}",
                        f"{1e3 * each.low:.0f} to {1e3 * each.high:.0f}",
                        f"{each.median / interval_s:.2%}",
                    )
                ),
            )
            for name, both in found.items()
        ],
    )
    print(f"written at {write.median:.0f} MB/s, verified and read at {read.median:.0f} MB/s")
    finish(
        options,
        {
            "bytes": num_bytes,
            "interval_s": interval_s,
            "stall_s": {name: asdict(stall) for name, (stall, _) in found.items()},
            "takes_s": {name: asdict(taken) for name, (_, taken) in found.items()},
            "write_mb_per_s": asdict(write),
            "read_mb_per_s": asdict(read),
        },
        ("bessemer", "torch"),
    )


if __name__ == "__main__":
    main()
