"""Whether ranks that share a model out compute what one process computes.

A run's own model class and loss, scaled down, on packed documents of random tokens. Every rank
computes the whole batch by itself, then its part with the others; the loss, every gradient and one
optimizer step are compared. On the CPU and through gloo, so that it can be asked before a GPU is
paid for.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from bessemer.config.axes import obstacles_to_tp, planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import OptimizerConfig, TrainConfig
from bessemer.core.errors import MachineError
from bessemer.core.labels import IGNORED
from bessemer.core.storage import read_json, write_json
from bessemer.model.initialize import initialize
from bessemer.model.parts import held_by_this_rank, part_of_this_rank
from bessemer.model.transformer import Decoder
from bessemer.tokens.sample import Sample
from bessemer.train.clip import clip_gradients
from bessemer.train.lanes import Lanes
from bessemer.train.loader import Batch, make_batch
from bessemer.train.mesh import LONE, Ranks, arrange_ranks
from bessemer.train.objective import Objective, accumulate_gradients
from bessemer.train.optim import make_optimizers
from bessemer.train.parallel.apply import build, wrap
from bessemer.train.updates import UpdateProbe

# Float32 sums in another order differ by less; a factor or a term that is wrong by more.
MOST_LOSS_ERROR, MOST_GRADIENT_ERROR = 1e-6, 1e-5
# Muon's polynomials are in bfloat16 on processors that have it, whose last place is a 256th.
MOST_STEP_ERROR = {"adamw": 1e-4, "muon": 2e-2}

_VOCAB_SIZE, _SEQ_LEN, _BATCH, _MICROBATCH, _MOST_ALONG_AXIS = 64, 16, 16, 2, 4
_SEED = 3


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
        return [_lay_out(cluster, **{name: min(size, 2) for name, size in asdict(axes).items()})]
    sizes = [(1, 1, 2), (1, 2, 1), (2, 1, 1)]
    sizes += [(1, 1, 4), (1, 4, 1), (4, 1, 1), (1, 2, 2), (2, 1, 2), (2, 2, 1)]
    return [
        _lay_out(cluster, dp_replicate=replicate, dp_shard=shard, tp=tp)
        for replicate, shard, tp in sizes
        if tp == 1 or not obstacles_to_tp(model)
    ]


def _lay_out(cluster: ClusterConfig, **changes: Any) -> ClusterConfig:
    """Of `cluster` what bears on how ranks share a model out, with changes."""
    kept = ("reshard", "cp_exchange", "pp_schedule")
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
    """The last lines of a rank, if any said something, without what torchrun says after them."""
    lines = stderr.strip().splitlines()
    return "\n".join(([each for each in lines if each.startswith("[rank")] or lines)[-8:])


def scale_down(model: ModelConfig) -> ModelConfig:
    """The same kind of decoder, as small as four ranks can share: what is computed stays, how
    often and how wide does not."""
    is_grouped = model.num_kv_heads < model.num_heads
    experts = model.experts and {
        **model.experts.model_dump(),
        "num_experts": min(model.experts.num_experts, 6),
        "experts_per_token": min(model.experts.experts_per_token, 2),
        "ffn_dim": 16,
        "num_dense_layers": min(model.experts.num_dense_layers, 1),
    }
    small = {
        "num_layers": min(model.num_layers, 3),
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
    decoder = Decoder(model, _VOCAB_SIZE)
    initialize(decoder, _SEED)
    objective = Objective(decoder, train, "fp32", _SEED)
    return _step(objective, decoder, train, _batches(0, _BATCH), LONE)


def _step_together(model: ModelConfig, train: TrainConfig, layout: ClusterConfig) -> _Step:
    axes = planned_axes(layout)
    ranks = arrange_ranks(axes, torch.device("cpu"))
    decoder = build(model, _VOCAB_SIZE, ranks, layout, "fp32", torch.device("cpu"))
    initialize(decoder, _SEED)
    objective = wrap(Objective(decoder, train, "fp32", _SEED), ranks)
    share = _BATCH // axes.num_data_ranks
    begin = ranks.data_rank * share
    return _step(objective, decoder, train, _batches(begin, begin + share), ranks)


def _step(
    objective: nn.Module,
    decoder: Decoder,
    train: TrainConfig,
    batches: Sequence[Batch],
    ranks: Ranks,
) -> _Step:
    named = list(decoder.named_parameters())
    optimizers = make_optimizers(decoder, train.optimizer)
    probe = UpdateProbe(parameter for _, parameter in named)
    nats, expert_tokens_LE = accumulate_gradients(Lanes(objective, 1), batches, ranks)
    total = ranks.sum_over_tokens(torch.stack([each.double().sum() for each in nats]).sum())
    gradients = {name: _whole(each.grad) for name, each in named if each.grad is not None}
    norm = clip_gradients(named, train.optimizer.clip_grad_norm).norm
    before = {name: _whole(each.detach()) for name, each in named}
    probe.remember()
    optimizers.step()
    return _Step(
        nats=float(total),
        expert_tokens_LE=expert_tokens_LE,
        gradients=gradients,
        updates={name: _whole(each.detach()) - before[name] for name, each in named},
        norm=norm,
        update_norm=float(probe.squared_norm()) ** 0.5,
    )


def _whole(tensor: Tensor) -> Tensor:
    """A copy of all of a tensor, put together from the parts that ranks hold. Not by DTensor: it
    is to be tested, too."""
    whole = torch.zeros(tensor.shape, dtype=torch.float64)
    counts = torch.zeros(tensor.shape, dtype=torch.float64)
    part = tuple(part_of_this_rank(tensor))
    whole[part], counts[part] = held_by_this_rank(tensor).double(), 1.0
    if dist.is_initialized():
        dist.all_reduce(whole)
        dist.all_reduce(counts)
    return whole / counts


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
    return str(planned_axes(layout))


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
