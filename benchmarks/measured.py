"""What every measured training process has alike: its arguments, its tokens, its last line.

Runs in the peers' environments too: of bessemer it uses only what needs nothing but torch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, SHAPES, VOCAB_SIZE
from bessemer.core.hardware import peak_memory_bytes
from bessemer.model.rate import measure_matmul_flops


def read_arguments() -> argparse.Namespace:
    """What `benchmarks.train_speed` asks of a process; sets the threads, too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="12m")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="through torch.compile")
    parser.add_argument("--source", type=Path, help="a peer's repository, if PyPI lacks it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def random_tokens(num_sequences: int) -> Tensor:
    """int64 [num_sequences, SEQ_LEN + 1]: for inputs and labels."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, VOCAB_SIZE, (num_sequences, SEQ_LEN + 1), generator=generator)


def random_batches(steps: int) -> list[tuple[Tensor, Tensor]]:
    """Inputs and labels of every step, int64 [BATCH_SEQUENCES, SEQ_LEN] each."""
    pieces = random_tokens(steps * BATCH_SEQUENCES).split(BATCH_SEQUENCES)
    return [(piece[:, :-1].contiguous(), piece[:, 1:].contiguous()) for piece in pieces]


def matmul_flops() -> float:
    """Operations per second of matrix products in this process, with its threads, by the fastest
    library that torch has for them here."""
    return measure_matmul_flops(torch.device("cpu"))


def report(
    *,
    ends_s: Sequence[float],
    rate: float,
    num_parameters: int,
    num_matmul_parameters: int,
    version: str,
) -> None:
    """Print the figures as one line of JSON: when each step ended, by the clock of
    time.perf_counter, so that whatever happens between two steps is counted."""
    figures = {
        "ends_s": list(ends_s),
        "matmul_flops": rate,
        "torch_matmul_flops": measure_matmul_flops(torch.device("cpu"), product=torch.mm),
        "num_parameters": num_parameters,
        "num_matmul_parameters": num_matmul_parameters,
        "peak_bytes": peak_memory_bytes(),
        "version": version,
    }
    print(json.dumps(figures))
