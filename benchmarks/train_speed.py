"""Tokens per second, share of the matrix-product rate and peak memory, beside other trainers.

Same shapes, float32, one batch per step, on the same cores, in turn; every run is a process of its
own, and the first steps of each warm up and are not counted. A trainer is compared with ours round
by round. Their models differ a little in parameters, nanochat's a lot; the share of the rate that
matrix products reach in the same process sets that right. The rate is that of the fastest library
that torch has on the processor; on AMD's it is not the one that torch.mm and all peers use.

nanoGPT and nanochat are not on PyPI as their authors keep them: give their repositories by path.

A round of all trainers takes about five minutes on two idle cores for 12m and ten for 50m, much of
it compilation: nine rounds of both are two to three hours. For a first look: --rounds 3 --steps 6
--shapes 12m. Each run is told on standard error as it ends.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.common import (
    LITGPT_PYTHON,
    PEER_PYTHON,
    arguments,
    finish,
    run_json,
    show,
    spread,
)
from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, step_flops
from bessemer.core.hardware import num_usable_cores
from bessemer.core.units import format_bytes

WARM_UP_STEPS = 3
TOKENS = BATCH_SEQUENCES * SEQ_LEN
OURS = "bessemer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contestant:
    """A trainer that is measured: who runs which module, with which arguments."""

    python: Path
    module: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """One run of one trainer."""

    tokens_per_s: float
    share: float  # of the rate of matrix products, by the fastest library that torch has here
    share_of_torch: float  # of that of torch.mm, which every peer uses
    peak_bytes: int
    num_parameters: int
    num_matmul_parameters: int
    version: str


def contestants(nanogpt: Path | None, nanochat: Path | None) -> dict[str, Contestant]:
    """Ours first, then the peers that are at hand, by name."""
    found = {
        OURS: Contestant(python=Path(sys.executable), module="benchmarks.our_trainer"),
        "transformers": _peer(PEER_PYTHON, "transformers"),
        "transformers compiled": _peer(PEER_PYTHON, "transformers", "--compile"),
        "litgpt": _peer(LITGPT_PYTHON, "litgpt"),
    }
    if nanogpt is None:
        print("nanoGPT is left out; give its repository with --nanogpt")
    else:
        source = ("--source", str(nanogpt.resolve()))
        found["nanoGPT"] = _peer(PEER_PYTHON, "nanogpt", *source)
        found["nanoGPT compiled"] = _peer(PEER_PYTHON, "nanogpt", *source, "--compile")
    if nanochat is None:
        print("nanochat is left out; give its repository with --nanochat")
    else:
        source = ("--source", str(nanochat.resolve()))
        found["nanochat"] = _peer(PEER_PYTHON, "nanochat", *source)
    return found


def _peer(python: Path, name: str, *more: str) -> Contestant:
    return Contestant(python=python, module=f"benchmarks.peers.{name}_trainer", arguments=more)


def measure(contestant: Contestant, shape: str, steps: int, threads: int) -> Figures:
    """One run of a trainer."""
    sizes = ("--shape", shape, "--steps", str(steps), "--threads", str(threads))
    raw = run_json(contestant.python, contestant.module, *sizes, *contestant.arguments)
    ends_s = raw["ends_s"][WARM_UP_STEPS - 1 :]
    step_s = statistics.median(end - begin for begin, end in pairwise(ends_s))
    flops_per_s = step_flops(shape, raw["num_matmul_parameters"]) / step_s
    return Figures(
        tokens_per_s=TOKENS / step_s,
        share=flops_per_s / raw["matmul_flops"],
        share_of_torch=flops_per_s / raw["torch_matmul_flops"],
        peak_bytes=raw["peak_bytes"],
        num_parameters=raw["num_parameters"],
        num_matmul_parameters=raw["num_matmul_parameters"],
        version=raw["version"],
    )


def compare(runs: dict[str, list[Figures]]) -> dict[str, dict[str, Any]]:
    """Per trainer: its figures, and ours divided by its, paired by round."""
    ours = runs[OURS]
    figures = {}
    for name, theirs in runs.items():
        pairs = list(zip(ours, theirs, strict=True))
        figures[name] = {
            "version": theirs[0].version,
            "num_parameters": theirs[0].num_parameters,
            "num_matmul_parameters": theirs[0].num_matmul_parameters,
            "tokens_per_s": asdict(spread([each.tokens_per_s for each in theirs])),
            "share_of_matmul_rate": asdict(spread([each.share for each in theirs])),
            "share_of_torch_mm": asdict(spread([each.share_of_torch for each in theirs])),
            "peak_bytes": asdict(spread([each.peak_bytes for each in theirs])),
            "speed_ratio": asdict(spread([a.tokens_per_s / b.tokens_per_s for a, b in pairs])),
            "share_ratio": asdict(spread([a.share / b.share for a, b in pairs])),
            "memory_ratio": asdict(spread([a.peak_bytes / b.peak_bytes for a, b in pairs])),
        }
    return figures


def show_shape(title: str, figures: dict[str, dict[str, Any]]) -> None:
    """One table for one shape."""
    rows = []
    for name, row in figures.items():
        speed, share, memory = (
            row[key] for key in ("tokens_per_s", "share_of_matmul_rate", "peak_bytes")
        )
        ratios = [
            f"{row[key]['median']:.3f} ({row[key]['low']:.2f}-{row[key]['high']:.2f})"
            for key in ("speed_ratio", "share_ratio")
        ]
        rows.append(
            (
                name,
                f"{row['num_parameters'] / 1e6:.1f}M",
                f"{speed['median']:,.0f}",
                *ratios,
                f"{share['median']:.0%} ({share['low']:.0%}-{share['high']:.0%})",
                f"{row['share_of_torch_mm']['median']:.0%}",
                format_bytes(memory["median"]),
                f"{row['memory_ratio']['median']:.2f}",
            )
        )
    columns = (
        "trainer",
        "params",
        "tokens/s",
        "ours / its",
        "of matmul rate: ours / its",
        "share",
        "of torch.mm's",
        "peak",
        "ours / its",
    )
    show(title, columns, rows)


def choose(found: dict[str, Contestant], names: str) -> dict[str, Contestant]:
    """Ours and those named; "all" are all that are at hand."""
    if names == "all":
        return found
    wanted = {OURS, *names.split(",")}
    if unknown := wanted - set(found):
        raise SystemExit(
            f"--peers: not at hand: {', '.join(unknown)}; there are {', '.join(found)}"
        )
    return {name: each for name, each in found.items() if name in wanted}


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 9, "how often to alternate"),
        steps=(int, 15, "optimizer steps per run"),
        shapes=(str, "12m,50m", "which of benchmarks/shapes.py"),
        threads=(int, num_usable_cores(), "threads"),
        peers=(str, "all", "whom to measure beside, by name, with commas between"),
        nanogpt=(Path, None, "repository of nanoGPT"),
        nanochat=(Path, None, "repository of nanochat"),
    )
    found = choose(contestants(options.nanogpt, options.nanochat), options.peers)
    result = {}
    for shape in options.shapes.split(","):
        runs: dict[str, list[Figures]] = {name: [] for name in found}
        for turn in range(options.rounds):
            # Nobody always runs first, or always after the same neighbour's heat.
            for name in sorted(found, reverse=turn % 2 == 1):
                run = measure(found[name], shape, options.steps, options.threads)
                runs[name].append(run)
                print(
                    f"{shape}, round {turn + 1} of {options.rounds}: {name}, "
                    f"{run.tokens_per_s:,.0f} tokens/s, {run.share:.0%} of the rate, "
                    f"{format_bytes(run.peak_bytes)}",
                    file=sys.stderr,
                )
        result[shape] = compare(runs)
        title = f"training, {shape}, {options.threads} threads, {options.rounds} rounds"
        show_shape(title, result[shape])
    slowest = min(
        row["speed_ratio"]["median"]
        for figures in result.values()
        for name, row in figures.items()
        if name != OURS
    )
    print(f"ours against the fastest peer: {slowest:.3f} of its tokens/s")
    finish(
        options,
        {
            "peer": "the fastest of all trainers and shapes",
            "ratio": slowest,
            "shapes": result,
            "threads": options.threads,
            "rounds": options.rounds,
        },
        ("bessemer", "torch"),
    )


if __name__ == "__main__":
    main()
