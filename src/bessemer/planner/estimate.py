"""What a training run will take on the machine at hand: parameters, operations, memory, time.

Closed formulas from `costs`, and one measurement: the rate of matrix products, taken by a short
process of its own so that planning itself needs no torch.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from bessemer.config.axes import planned_axes
from bessemer.config.microbatch import microbatch_samples, num_lanes
from bessemer.config.run import RunConfig
from bessemer.config.timetable import make_timetable
from bessemer.core.errors import MachineError
from bessemer.core.hardware import Machine, describe_machine
from bessemer.costs.compute import (
    Parameters,
    count_parameters,
    run_flops,
    shape_of,
    training_flops,
)
from bessemer.costs.memory import TrainingMemory, optimizer_floats, training_memory
from bessemer.costs.suggest import Suggestion, suggest

# Share of the matrix-product rate that training reaches on a CPU in float32, from small models
# (about 1 million parameters) to larger ones (about 50 million): low, usual, high. Measured with
# benchmarks/train_speed.py on two cores; the log of measurements is docs/log.md.
SHARE_OF_RATE = (0.3, 0.55, 0.75)
PROCESS_BYTES = 600 * 10**6  # resident memory of Python with torch and the run's tables loaded
_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a run takes. Seconds are low, usual and high; None if the rate was not measured.

    Where batches or sequences grow, memory and a step are those of the most costly one.
    """

    machine: Machine
    parameters: Parameters
    device: str  # "cpu" or "cuda"
    num_ranks: int
    steps: int
    tokens: int
    flops_per_step: int
    total_flops: int
    microbatch_samples: int
    memory: TrainingMemory
    checkpoint_bytes: int
    matmul_flops: float | None
    suggestion: Suggestion  # for the tokens of the run
    step_s: tuple[float, float, float] | None
    total_s: tuple[float, float, float] | None

    @property
    def memory_bytes(self) -> int:
        """All of a training process: the parts, and the process itself."""
        return self.memory.total + PROCESS_BYTES

    @property
    def fits(self) -> bool | None:
        """Whether all processes together take less than this machine has; None if nobody knows, as
        of GPUs, which may be elsewhere."""
        have = self.machine.memory_bytes
        if have is None or self.device != "cpu":
            return None
        return self.num_ranks * self.memory_bytes < have


def estimate(config: RunConfig, matmul_flops: float | None) -> Estimate:
    """The estimate for one process, at a rate in operations per second."""
    shape = shape_of(config.model, config.tokenizer.vocab_size)
    optimizer, has_average = config.train.optimizer.kind, config.train.ema is not None
    timetable = make_timetable(config.train)
    parameters = count_parameters(shape)
    flops_per_step = max(
        training_flops(shape, segment.batch_samples, segment.seq_len)
        for segment in timetable.segments
    )
    cluster, axes = config.cluster, planned_axes(config.cluster)
    device = "cuda" if cluster.device == "cuda" else "cpu"
    lanes = num_lanes(cluster, axes.num_ranks, device)
    micro, memory = max(
        (
            (
                size,
                training_memory(
                    shape,
                    size,
                    segment.seq_len,
                    num_lanes=lanes,
                    optimizer=optimizer,
                    has_average=has_average,
                    axes=axes,
                    reshard=cluster.reshard,
                    has_copy=config.train.checkpoint.asynchronous,
                    cp_exchange=cluster.cp_exchange,
                    recompute=cluster.recompute,
                    pp_schedule=cluster.pp_schedule,
                    num_microbatches=segment.batch_samples // axes.num_data_ranks // size,
                    document_mask=config.train.document_mask,
                    product_bytes=_product_bytes(config.train.precision, device),
                ),
            )
            for segment in timetable.segments
            for size in [microbatch_samples(segment, shape.hidden_dim, cluster, axes, device)]
        ),
        key=lambda pair: pair[1].total,
    )
    total_flops = run_flops(shape, timetable)
    return Estimate(
        machine=describe_machine(),
        parameters=parameters,
        device=device,
        num_ranks=axes.num_ranks,
        steps=timetable.num_steps,
        tokens=timetable.num_tokens,
        flops_per_step=flops_per_step,
        total_flops=total_flops,
        microbatch_samples=micro,
        memory=memory,
        # In float32: weights, moments, the average.
        checkpoint_bytes=4 * (parameters.total + optimizer_floats(shape, optimizer, has_average)),
        matmul_flops=matmul_flops,
        suggestion=suggest(shape, timetable.num_tokens),
        step_s=_seconds(flops_per_step, matmul_flops),
        total_s=_seconds(total_flops, matmul_flops),
    )


def _product_bytes(precision: str, device: str) -> int:
    """Of a number in matrix products; those of float8 keep what they got in bfloat16."""
    is_full = device == "cpu" if precision == "auto" else precision == "fp32"
    return 4 if is_full else 2


def _seconds(flops: int, matmul_flops: float | None) -> tuple[float, float, float] | None:
    """What `flops` take at the shares of the rate that training reaches: low, usual, high."""
    if not matmul_flops:
        return None
    slow, usual, fast = (flops / matmul_flops / share for share in SHARE_OF_RATE)
    return fast, usual, slow


def measure_rate() -> float:
    """The rate of matrix products on this machine's training device, in operations per second."""
    done = subprocess.run(
        [sys.executable, "-m", "bessemer.model.rate"],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise MachineError(
            f"cannot measure the rate of matrix products: {done.stderr.strip()[-500:]}; "
            "plan without it: --no-measure"
        )
    return float(done.stdout)
