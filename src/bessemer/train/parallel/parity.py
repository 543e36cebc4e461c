"""Whether ranks that share a model out compute what one process computes.

A run's own model class and loss, scaled down, on packed documents of random tokens. Every rank
computes the whole batch by itself, then its part with the others; the loss, every gradient and one
optimizer step are compared. On the CPU and through gloo, so that it can be asked before a GPU is
paid for.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.pipeline import (
    SCHEDULES,
    obstacles_to_two_passes,
    shards_what_two_stages_have,
)
from bessemer.config.train import OptimizerConfig, TrainConfig
from bessemer.core.errors import MachineError
from bessemer.core.labels import IGNORED
from bessemer.core.storage import read_json, write_json
from bessemer.model.initialize import initialize
from bessemer.model.parts import held_by_this_rank, part_of_this_rank
from bessemer.model.transformer import Block, Decoder
from bessemer.tokens.sample import Sample
from bessemer.train.clip import clip_gradients
from bessemer.train.loader import Batch, make_batch
from bessemer.train.mesh import LONE, Ranks, arrange_ranks
from bessemer.train.objective import accumulate_gradients
from bessemer.train.optim import make_optimizers
from bessemer.train.parallel.apply import build
from bessemer.train.parallel.context import part_of_batch
from bessemer.train.updates import UpdateProbe

# Float32 sums in another order differ by less; a factor or a term that is wrong by more.
MOST_LOSS_ERROR, MOST_GRADIENT_ERROR = 1e-6, 1e-5
# Muon's polynomials are in bfloat16 on processors that have it, whose last place is a 256th.
MOST_STEP_ERROR = {"adamw": 1e-4, "muon": 2e-2}

_VOCAB_SIZE, _SEQ_LEN, _BATCH, _MICROBATCH, _MOST_ALONG_AXIS = 64, 16, 16, 2, 4
_NUM_LAYERS = 4  # two stages for each of two ranks
_SEED = 3

_EXCHANGES = ("all-gather", "ulysses")
_LAYOUTS: tuple[dict[str, Any], ...] = (
    {"tp": 2},
    {"dp_shard": 2},
    {"dp_replicate": 2},
    *({"pp": 2, "pp_schedule": kind} for kind in SCHEDULES),
    {"tp": 4},
    {"dp_shard": 4},
    {"dp_replicate": 4},
    {"dp_shard": 2, "tp": 2},
    {"dp_replicate": 2, "tp": 2},
    {"dp_replicate": 2, "dp_shard": 2},
    {"pp": 4},
    {"pp": 2, "dp_replicate": 2},
    *({"pp": 2, "dp_shard": 2, "pp_schedule": kind} for kind in SCHEDULES),
    {"pp": 2, "tp": 2, "pp_schedule": "interleaved"},
    {"dp_shard": 2, "ep": 2},
    {"dp_shard": 4, "ep": 2},
    {"dp_shard": 4, "ep": 4},
    {"dp_replicate": 2, "dp_shard": 2, "ep": 2},
    {"dp_shard": 2, "ep": 2, "tp": 2},
    {"pp": 2, "dp_shard": 2, "ep": 2, "pp_schedule": "zero-bubble"},
    *({"cp": 2, "cp_exchange": kind} for kind in _EXCHANGES),
    *({"cp": 4, "cp_exchange": kind} for kind in _EXCHANGES),
    *({"cp": 2, "dp_shard": 2, "cp_exchange": kind} for kind in _EXCHANGES),
    {"cp": 2, "tp": 2, "cp_exchange": "ulysses"},
    {"cp": 2, "pp": 2, "cp_exchange": "all-gather"},
    {"cp": 2, "dp_shard": 2, "ep": 2, "cp_exchange": "ulysses"},
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How far one layout is from one process: differences divided by what they are differences
    of, in the Euclidean norm for tensors."""

    layout: str
    loss: float
    gradient: float  # of the parameter where it is greatest
    parameter: str  # which one that is
    step: float  # of a parameter's update, where it is greatest
    optimizer: str  # the step's
    norm: float  # of all gradients together, as it is clipped by
    update_norm: float  # as it is measured
    routed_alike: bool  # whether all tokens went to the same experts

    @property
    def holds(self) -> bool:
        """Whether it is rounding and nothing else."""
        return (
            self.routed_alike
            and self.loss <= MOST_LOSS_ERROR
            and self.gradient <= MOST_GRADIENT_ERROR
            and self.norm <= MOST_GRADIENT_ERROR
            and self.step <= MOST_STEP_ERROR[self.optimizer]
            and self.update_norm <= MOST_STEP_ERROR[self.optimizer]
        )


def layouts_to_try(cluster: ClusterConfig, model: ModelConfig) -> list[ClusterConfig]:
    """The layout that a run asks for, its axes cut down to two ranks each; all layouts of two and
    four ranks if it asks for none."""
    axes = planned_axes(cluster)
    if axes.num_ranks > 1:
        cut = {name: min(size, 2) for name, size in asdict(axes).items()}
        if axes.dp_shard > axes.ep > 1:  # so that several ranks have the same experts
            cut["dp_shard"] = 4
        return [_lay_out(cluster, **cut)]
    layouts = [_lay_out(cluster, **axes) for axes in _LAYOUTS]
    return [
        layout
        for layout in layouts
        if not (layout.ep > 1 and model.experts is None)
        and not shards_what_two_stages_have(model, layout)
        and not obstacles_to_two_passes(layout)
    ]


def _lay_out(cluster: ClusterConfig, **changes: Any) -> ClusterConfig:
    """Of `cluster` what bears on how ranks share a model out, with changes."""
    kept = ("reshard", "recompute", "cp_exchange", "pp_schedule")
    return ClusterConfig(**{name: getattr(cluster, name) for name in kept} | changes)


def compare_layouts(
    model: ModelConfig, train: TrainConfig, layouts: Sequence[ClusterConfig]
) -> list[Parity]:
    """Each layout against one process. Starts as many processes as a layout has ranks.

    Raises MachineError if they cannot be started or fail.
    """
    job: dict[str, Any] = {
        "model": scale_down(model).model_dump(mode="json"),
        "train": _scale_down_training(train).model_dump(mode="json"),
    }
    found: list[Parity] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for num_ranks, alike in groupby(sorted(layouts, key=_num_ranks), key=_num_ranks):
            dumped = [layout.model_dump(mode="json") for layout in alike]
            write_json(folder / "job.json", job | {"layouts": dumped})
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
            command += ["--nproc-per-node", str(num_ranks), "-m", __name__, str(folder)]
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            if done.returncode:
                raise MachineError(
                    f"{num_ranks} processes could not be compared with one:\n"
                    f"{_what_went_wrong(done.stderr)}"
                )
            found += [Parity(**row) for row in read_json(folder / "found.json")]
    return found


def _num_ranks(layout: ClusterConfig) -> int:
    return planned_axes(layout).num_ranks


def _what_went_wrong(stderr: str) -> str:
    """The last lines of the rank that failed first, by what torchrun says at the end; the others
    only miss it."""
    lines = stderr.strip().splitlines()
    first = re.search(r"Root Cause.*?rank +: (\d+)", stderr, re.DOTALL)
    prefix = f"[rank{first[1]}]" if first else "[rank"
    return "\n".join(([each for each in lines if each.startswith(prefix)] or lines)[-8:])


def scale_down(model: ModelConfig) -> ModelConfig:
    """The same kind of decoder, as small as four ranks can share: what is computed stays, how
    often and how wide does not."""
    is_grouped = model.num_kv_heads < model.num_heads
    experts = model.experts and {
        **model.experts.model_dump(),
        "num_experts": 2 * _MOST_ALONG_AXIS,
        "experts_per_token": min(model.experts.experts_per_token, 2),
        "ffn_dim": 16,
        "num_dense_layers": min(model.experts.num_dense_layers, 1),
    }
    small = {
        "num_layers": _NUM_LAYERS,
        "hidden_dim": 32,
        "num_heads": 2 * _MOST_ALONG_AXIS if is_grouped else _MOST_ALONG_AXIS,
        "num_kv_heads": _MOST_ALONG_AXIS,
        "head_dim": 8,
        "ffn_dim": 40,
        "vocab_rows": None,
        "sliding_window": model.sliding_window and min(model.sliding_window, _SEQ_LEN // 2),
        "experts": experts,
        **dict.fromkeys(("size", "depth", "init_from", "init_digest")),
    }
    return ModelConfig.model_validate(model.model_dump() | small)


def _scale_down_training(train: TrainConfig) -> TrainConfig:
    batch = _BATCH * _SEQ_LEN
    return TrainConfig(
        seq_len=_SEQ_LEN,
        global_batch_tokens=batch,
        total_tokens=batch,
        document_mask=train.document_mask,
        z_loss=train.z_loss,
        label_smoothing=train.label_smoothing,
        routing=train.routing,
        # With a small eps the first step of AdamW is the sign of what may be rounding alone.
        optimizer=OptimizerConfig(
            kind=train.optimizer.kind, muon=train.optimizer.muon, lr=1e-2, eps=1e-3
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """What one optimizer step made on its way. Tensors are whole."""

    nats: float
    expert_tokens_LE: Tensor | None
    gradients: dict[str, Tensor]
    updates: dict[str, Tensor]
    norm: float
    update_norm: float


def _step_alone(model: ModelConfig, train: TrainConfig) -> _Step:
    return _step(model, train, ClusterConfig(lanes=1), LONE)


def _step_together(model: ModelConfig, train: TrainConfig, layout: ClusterConfig) -> _Step:
    return _step(model, train, layout, arrange_ranks(planned_axes(layout), torch.device("cpu")))


def _step(model: ModelConfig, train: TrainConfig, layout: ClusterConfig, ranks: Ranks) -> _Step:
    decoder, lanes = build(
        model, _VOCAB_SIZE, train, layout, ranks, "fp32", _SEED, torch.device("cpu")
    )
    initialize(decoder, _SEED)
    share = _BATCH // ranks.axes.num_data_ranks
    begin = ranks.data_rank * share
    batches = [part_of_batch(batch, ranks) for batch in _batches(begin, begin + share)]
    named = dict(decoder.named_parameters())
    optimizers = make_optimizers(decoder, train.optimizer)
    probe = UpdateProbe((each for name, each in named.items() if name not in decoder.copied), ranks)
    nats, expert_tokens_LE = accumulate_gradients(lanes, batches, ranks)
    total = ranks.sum_over_tokens(torch.stack([each.double().sum() for each in nats]).sum())
    gradients = _whole(model, {name: each.grad for name, each in named.items()})
    clip = train.optimizer.clip_grad_norm
    norm = clip_gradients(named.items(), clip, ranks, decoder.copied).norm
    before = _whole(model, named)
    probe.remember()
    optimizers.step()
    after = _whole(model, named)
    return _Step(
        nats=float(total),
        expert_tokens_LE=_of_all_layers(decoder, expert_tokens_LE, ranks),
        gradients=gradients,
        updates={name: after[name] - before[name] for name in after},
        norm=norm,
        update_norm=float(probe.squared_norm()) ** 0.5,
    )


@torch.no_grad()
def _whole(model: ModelConfig, here: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    """Copies of all tensors that are named like parameters, put together from what ranks hold. Not
    by DTensor: it is to be tested, too."""
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in Decoder(model, _VOCAB_SIZE).named_parameters()}
    found = {}
    for name, shape in shapes.items():
        whole, counts = torch.zeros(2, *shape, dtype=torch.float64)
        tensor = here.get(name)
        if tensor is not None:
            part = tuple(part_of_this_rank(tensor))
            whole[part], counts[part] = held_by_this_rank(tensor).double(), 1.0
        if dist.is_initialized():
            dist.all_reduce(whole)
            dist.all_reduce(counts)
        found[name] = whole / counts
    return found


def _of_all_layers(
    decoder: Decoder, expert_tokens_LE: Tensor | None, ranks: Ranks
) -> Tensor | None:
    """Tokens per expert of this rank's layers, with those of the ranks that have others."""
    experts = decoder.config.experts
    if experts is None:
        return None
    counts_LE = torch.zeros(decoder.config.num_layers, experts.num_experts, dtype=torch.int64)
    here = [
        index
        for index, layer in enumerate(decoder.layers)
        if isinstance(layer, Block) and decoder.config.has_experts(index)
    ]
    if expert_tokens_LE is not None:
        counts_LE[here] = expert_tokens_LE
    return ranks.sum_over_stages(counts_LE)


def _batches(begin: int, end: int) -> list[Batch]:
    """Packed documents, and padding of another length in each: ranks predict unequally many."""
    batches = []
    for first in range(begin, end, _MICROBATCH):
        numbers = range(first, first + _MICROBATCH)
        batches.append(make_batch({number: _make_sample(number) for number in numbers}))
    return batches


def _make_sample(number: int) -> Sample:
    generator = np.random.default_rng(number)
    ids = generator.integers(0, _VOCAB_SIZE, _SEQ_LEN + 1)
    pieces = np.sort(generator.integers(0, 3, _SEQ_LEN))
    labels = np.where(np.diff(pieces, append=pieces[-1]) == 0, ids[1:], IGNORED)
    padding = np.arange(_SEQ_LEN) >= _SEQ_LEN - number
    labels[padding], pieces[padding] = IGNORED, -1
    return Sample(input_ids=ids[:-1], labels=labels, doc_ids=pieces, pieces=pieces, source=0)


def _judge(layout: str, optimizer: str, alone: _Step, together: _Step) -> Parity:
    """How far the second is from the first."""
    gradients = _distances(alone.gradients, together.gradients)
    worst = max(gradients, key=lambda name: gradients[name])
    ours, theirs = together.expert_tokens_LE, alone.expert_tokens_LE
    return Parity(
        layout=layout,
        loss=abs(together.nats / alone.nats - 1),
        gradient=gradients[worst],
        parameter=worst,
        step=max(_distances(alone.updates, together.updates).values()),
        optimizer=optimizer,
        norm=abs(together.norm / alone.norm - 1),
        update_norm=abs(together.update_norm / alone.update_norm - 1),
        routed_alike=theirs is None or (ours is not None and torch.equal(ours, theirs)),
    )


def _distances(alone: dict[str, Tensor], together: dict[str, Tensor]) -> dict[str, float]:
    """By name; infinite if it is no number, which a maximum would pass over."""
    assert set(alone) == set(together), set(alone) ^ set(together)
    far = {
        name: float((together[name] - tensor).norm() / tensor.norm().clamp(min=1e-30))
        for name, tensor in alone.items()
    }
    return {name: math.inf if math.isnan(value) else value for name, value in far.items()}


def _name(layout: ClusterConfig) -> str:
    kinds = [layout.cp_exchange] * (layout.cp > 1) + [layout.pp_schedule] * (layout.pp > 1)
    axes = str(planned_axes(layout))
    return f"{axes} ({', '.join(kinds)})" if kinds else axes


def main() -> None:
    """One rank, started by torchrun: argument is the folder of the job."""
    folder = Path(sys.argv[1])
    job = read_json(folder / "job.json")
    model = ModelConfig.model_validate(job["model"])
    train = TrainConfig.model_validate(job["train"])
    torch.set_num_threads(1)
    alone = _step_alone(model, train)
    dist.init_process_group("gloo")
    found = []
    for row in job["layouts"]:
        layout = ClusterConfig.model_validate(row)
        together = _step_together(model, train, layout)
        found.append(_judge(_name(layout), train.optimizer.kind, alone, together))
    if dist.get_rank() == 0:
        write_json(folder / "found.json", [asdict(each) for each in found])
    dist.barrier()
    os._exit(0)  # torch 2.13 now and then aborts when it takes gloo and FSDP2 down


if __name__ == "__main__":
    main()
