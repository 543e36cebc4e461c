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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.core.ending import leave
from bessemer.core.errors import MachineError
from bessemer.core.storage import read_json, write_json
from bessemer.train.mesh import LONE, arrange_ranks
from bessemer.train.parallel.parity_layouts import (
    batch_samples,
    name_layout,
    scale_down,
    scale_down_training,
)
from bessemer.train.parallel.parity_step import Step, take_step

# Float32 sums in another order differ by less; a factor or a term that is wrong by more.
MOST_LOSS_ERROR, MOST_GRADIENT_ERROR = 1e-6, 1e-5
# Muon's polynomials are in bfloat16 on processors that have it, whose last place is a 256th.
MOST_STEP_ERROR = {"adamw": 1e-4, "muon": 2e-2}


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


def compare_layouts(
    model: ModelConfig, train: TrainConfig, layouts: Sequence[ClusterConfig]
) -> list[Parity]:
    """Each layout against one process. Starts as many processes as a layout has ranks.

    Raises MachineError if they cannot be started or fail.
    """
    job: dict[str, Any] = {
        "model": scale_down(model).model_dump(mode="json"),
        "train": scale_down_training(train, batch_samples(layouts)).model_dump(mode="json"),
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


def _judge(layout: str, optimizer: str, alone: Step, together: Step) -> Parity:
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


def main() -> None:
    """One rank, started by torchrun: argument is the folder of the job."""
    folder = Path(sys.argv[1])
    job = read_json(folder / "job.json")
    model = ModelConfig.model_validate(job["model"])
    train = TrainConfig.model_validate(job["train"])
    torch.set_num_threads(1)
    alone = take_step(model, train, ClusterConfig(lanes=1), LONE)
    dist.init_process_group("gloo")
    found = []
    for row in job["layouts"]:
        layout = ClusterConfig.model_validate(row)
        ranks = arrange_ranks(planned_axes(layout), torch.device("cpu"))
        together = take_step(model, train, layout, ranks)
        found.append(_judge(name_layout(layout), train.optimizer.kind, alone, together))
    if dist.get_rank() == 0:
        write_json(folder / "found.json", [asdict(each) for each in found])
    dist.barrier()
    leave(0)


if __name__ == "__main__":
    main()
