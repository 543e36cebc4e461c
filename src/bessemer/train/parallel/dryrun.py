"""One rank's step of a run, without its memory, its data and the other ranks.

The real model and the real step on fake tensors, which have shapes and no numbers, in a fake
process group, which answers at once and moves nothing: what does not fit fails here as it would
there. What the rank holds, and what it sends, is counted on the way. Tensors are those of a CPU; of
a GPU, for which the run file asks, are precision, microbatches and the chunks of the loss.

Where Python asks a tensor for a number, it is one: tokens that are predicted, the gradient's norm.
Every sequence is one document; all experts get as many tokens. Microbatches between the first and
the last are alike: one is taken, and counted as often as there are. Not taken is what only
measures: losses by source, the length of the update.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools import fake_collectives  # noqa: F401  (shapes of what they give)
from torch.testing._internal.distributed.fake_pg import FakeStore

from bessemer.config.axes import Axes
from bessemer.config.microbatch import microbatch_samples
from bessemer.config.run import RunConfig
from bessemer.config.timetable import Segment, make_timetable
from bessemer.config.train import TrainConfig
from bessemer.core.errors import MachineError
from bessemer.core.storage import read_json, write_json
from bessemer.model.transformer import Decoder
from bessemer.train.average import Average
from bessemer.train.clip import clip_gradients
from bessemer.train.lanes import Lanes
from bessemer.train.loader import Batch
from bessemer.train.mesh import LONE, Ranks, arrange_ranks
from bessemer.train.objective import Objective, accumulate_gradients
from bessemer.train.optim import make_optimizers
from bessemer.train.parallel.apply import allocate, build
from bessemer.train.parallel.context import part_of_batch
from bessemer.train.parallel.fake import Numbers, even_counts
from bessemer.train.parallel.held import (
    ACTIVATIONS,
    GATHERED,
    GRADIENTS,
    OPTIMIZER,
    WEIGHTS,
    MemoryMeter,
)
from bessemer.train.parallel.pipeline import Pipeline
from bessemer.train.parallel.traffic import Traffic, TrafficMeter

_CPU, _META = torch.device("cpu"), torch.device("meta")
_MOST_MICROBATCHES = 3  # the first, the last, and one that stands for those between


@dataclass(frozen=True, kw_only=True, slots=True)
class DryRun:
    """What one rank holds and sends in one optimizer step."""

    rank: int
    device_type: str  # "cpu" or "cuda": of the ranks that it stands for
    precision: str  # of matrix products: "fp32" or "bf16"
    seq_len: int
    num_sequences: int  # of a microbatch
    num_microbatches: int
    memory: Mapping[str, int]  # bytes of each part in held.PARTS, at its greatest
    peak_bytes: int  # of all parts at one time
    traffic: tuple[Traffic, ...]


def dry_run(config: RunConfig, axes: Axes, ranks: Sequence[int]) -> list[DryRun]:
    """The step of each of `ranks`, out of as many as `axes` have: of the steps of the run, one with
    its largest microbatches.

    Each in a process of its own, as torch remembers what belongs to a process group. Raises
    MachineError if one fails.
    """
    precision = _precision(config.train, _device_type(config))
    found = []
    with tempfile.TemporaryDirectory() as name:
        job, answer = Path(name) / "job.json", Path(name) / "answer.json"
        for rank in ranks:
            run = config.model_dump(mode="json")
            layout = {"axes": asdict(axes), "rank": rank}
            write_json(job, {"run": run, "precision": precision, **layout})
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-m", __name__, str(job), str(answer)],
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            if done.returncode:
                why = "\n".join(done.stderr.strip().splitlines()[-8:])
                raise MachineError(f"rank {rank} of {axes.num_ranks} cannot take a step:\n{why}")
            row = read_json(answer)
            traffic = tuple(Traffic(**each) for each in row.pop("traffic"))
            found.append(DryRun(**row, traffic=traffic))
    return found


def take_step(config: RunConfig, axes: Axes, rank: int, precision: str) -> DryRun:
    """The step of `rank` in this process, which can take no other one."""
    segment, size = _largest_microbatch(config, axes)
    number = segment.batch_samples // axes.num_data_ranks // size
    # A pipeline's microbatches meet; it takes them all.
    taken = number if axes.pp > 1 else min(number, _MOST_MICROBATCHES)
    memory, experts = MemoryMeter(), config.model.experts
    rows = size * segment.seq_len // (axes.cp * axes.tp)  # that a rank routes
    rows *= experts.experts_per_token if experts else 1
    with _fake_ranks(axes, rank) as ranks, even_counts(rows):
        traffic = TrafficMeter(ranks)
        make = _builder(config, ranks, precision)
        # True meta tensors take far less time than fake ones.
        made = make(device=_META) if axes.shares_weights else None
        with FakeTensorMode(allow_non_fake_inputs=True), memory, traffic, Numbers():
            whole = (_make_batch(size, segment.seq_len) for _ in range(taken))
            batches = [part_of_batch(batch, ranks) for batch in whole]
            memory.part = GATHERED  # of replicas, the buffers they send gradients from
            decoder, lanes = made or make(device=_CPU)
            for objective in _objectives(lanes):
                objective.device_type = _device_type(config)
            if made:
                allocate(decoder, lanes, _CPU)
            parts, peak = _step(decoder, lanes, config.train, ranks, batches, memory, traffic)
    times = [1] * traffic.num_sections  # before the first microbatch, each of them, after the last
    times[len(times) // 2] += number - taken
    return DryRun(
        rank=rank,
        device_type=_device_type(config),
        precision=precision,
        seq_len=segment.seq_len,
        num_sequences=size,
        num_microbatches=number,
        memory=dict(parts),
        peak_bytes=peak,
        traffic=tuple(traffic.traffic(times)),
    )


def _device_type(config: RunConfig) -> str:
    """Nobody can tell what "auto" will find there: it counts as here, where there is a CPU."""
    return "cuda" if config.cluster.device == "cuda" else "cpu"


def _precision(train: TrainConfig, device_type: str) -> str:
    if train.precision == "float8":
        raise MachineError(
            'train.precision = "float8" needs a GPU, and a dry run has none; dry-run it as "bf16", '
            "which sends and holds the same or more"
        )
    by_device = "bf16" if device_type == "cuda" else "fp32"
    return by_device if train.precision == "auto" else train.precision


def _largest_microbatch(config: RunConfig, axes: Axes) -> tuple[Segment, int]:
    """Sequences of the largest microbatch of a run, and the segment that has it."""
    width, cluster = config.model.hidden_dim, config.cluster
    layout = axes, _device_type(config)
    sizes = [
        (segment, microbatch_samples(segment, width, cluster, *layout))
        for segment in make_timetable(config.train).segments
    ]
    return max(sizes, key=lambda pair: (pair[1] * pair[0].seq_len, pair[0].batch_samples))


def _builder(
    config: RunConfig, ranks: Ranks, precision: str
) -> Callable[..., tuple[Decoder, Lanes | Pipeline]]:
    return partial(
        build,
        config.model,
        config.tokenizer.vocab_size,
        config.train.model_copy(update={"document_mask": False}),
        config.cluster.model_copy(update={"compile": False, "lanes": 1}),
        ranks,
        precision,
        config.run.seed,
    )


def _objectives(lanes: Lanes | Pipeline) -> Iterator[Objective]:
    roots = [lanes.module] if isinstance(lanes, Lanes) else lanes.stages
    modules = (module for root in roots for module in root.modules())
    return (module for module in modules if isinstance(module, Objective))


def _step(
    decoder: Decoder,
    lanes: Lanes | Pipeline,
    train: TrainConfig,
    ranks: Ranks,
    batches: Sequence[Batch],
    memory: MemoryMeter,
    traffic: TrafficMeter,
) -> tuple[Counter[str], int]:
    """Forward and back over `batches`, each in its section of `traffic`, and the optimizer's step.

    Returns the bytes of each part, and the most that are held at one time in a step that is not the
    first: then the optimizer has its moments before.
    """
    named = list(decoder.named_parameters())
    memory.assign((*decoder.parameters(), *decoder.buffers()), WEIGHTS)
    for _, each in named:  # fake ones are made anew whenever something is added
        each.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
            lambda each: memory.assign([each.grad], GRADIENTS)
        )

    if isinstance(lanes, Lanes):
        lanes.module.register_forward_pre_hook(lambda *_: traffic.begin_section())
    memory.part = ACTIVATIONS
    memory.forget_peak()
    accumulate_gradients(lanes, batches, ranks)
    traffic.begin_section()
    clip_gradients(named, train.optimizer.clip_grad_norm, ranks, decoder.copied)
    memory.assign((*decoder.parameters(), *decoder.buffers()), WEIGHTS)
    memory.assign((each.grad for _, each in named if each.grad is not None), GRADIENTS)
    parts, gradients = memory.peak(), memory.held()[GRADIENTS]

    memory.part = OPTIMIZER
    memory.forget_peak()
    optimizers = make_optimizers(decoder, train.optimizer)
    average = Average(decoder, train.ema.half_life_tokens) if train.ema else None
    optimizers.step()
    if average is not None:
        average.update(1)
    parts[OPTIMIZER] = memory.held()[OPTIMIZER]
    peak = max(parts.total(), memory.peak().total())
    parts[GRADIENTS] = gradients
    return parts, peak


def _make_batch(num_sequences: int, seq_len: int) -> Batch:
    tokens_BT = torch.zeros(num_sequences, seq_len, dtype=torch.int64)
    each_B = torch.zeros(num_sequences, dtype=torch.int64)
    return Batch(
        input_ids_BT=tokens_BT,
        labels_BT=tokens_BT,
        documents_BT=tokens_BT,
        doc_ids_BT=tokens_BT,
        sources_B=each_B,
        samples_B=each_B,
        digest=0,
    )


@contextmanager
def _fake_ranks(axes: Axes, rank: int) -> Iterator[Ranks]:
    """The place of `rank` among others that are not there, for the time of the block."""
    if axes.num_ranks == 1:
        yield LONE
        return
    dist.init_process_group("fake", rank=rank, world_size=axes.num_ranks, store=FakeStore())
    try:
        yield arrange_ranks(axes, _CPU)
    finally:
        dist.destroy_process_group()


def _main(job: str, answer: str) -> None:
    asked = read_json(Path(job))
    config = RunConfig.model_validate(asked["run"])
    found = take_step(config, Axes(**asked["axes"]), asked["rank"], asked["precision"])
    write_json(Path(answer), asdict(found))


if __name__ == "__main__":
    _main(*sys.argv[1:])
