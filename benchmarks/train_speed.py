"""Tokens per second and share of the matrix-product rate, beside transformers' Trainer.

Same shapes, float32, one batch per step, on the same cores, in turn: ours, theirs, ours, theirs.
Each run is a process of its own; the first steps of each warm up and are not counted.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import asdict

from benchmarks.common import PEER_PYTHON, arguments, finish, run_json, show, spread
from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN
from bessemer.core.hardware import num_usable_cores
from bessemer.core.units import format_bytes

WARM_UP_STEPS = 3
TOKENS = BATCH_SEQUENCES * SEQ_LEN


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 9, "how often to alternate"),
        steps=(int, 15, "optimizer steps per run"),
        shape=(str, "12m", "which of benchmarks/shapes.py"),
        threads=(int, num_usable_cores(), "threads"),
    )
    sizes = (options.shape, str(options.steps), str(options.threads))
    ours, theirs, shares, ratios = [], [], [], []
    peaks: dict[str, list[int]] = {"ours": [], "theirs": []}
    for _ in range(options.rounds):
        our = run_json(sys.executable, "benchmarks.our_trainer", *sizes)
        their = run_json(PEER_PYTHON, "benchmarks.peers.transformers_trainer", *sizes)
        if our["num_parameters"] != their["num_parameters"]:
            raise SystemExit(f"unlike models: {our['num_parameters']}, {their['num_parameters']}")
        ours.append(TOKENS / statistics.median(our["step_s"][WARM_UP_STEPS:]))
        theirs.append(TOKENS / statistics.median(their["step_s"][WARM_UP_STEPS:]))
        shares.append(statistics.median(our["mfu"][WARM_UP_STEPS:]))
        ratios.append(ours[-1] / theirs[-1])
        peaks["ours"].append(our["peak_bytes"])
        peaks["theirs"].append(their["peak_bytes"])
    rows = []
    for name, speeds, peak in (
        ("bessemer", ours, peaks["ours"]),
        ("transformers Trainer", theirs, peaks["theirs"]),
    ):
        found = spread(speeds)
        rows.append(
            (
                name,
                f"{found.median:,.0f}",
                f"{found.low:,.0f} to {found.high:,.0f}",
                format_bytes(statistics.median(peak)),
            )
        )
    title = f"training, {options.shape}, {options.threads} threads, {options.rounds} rounds"
    show(title, ("trainer", "tokens/s", "range", "peak memory"), rows)
    ratio, share = spread(ratios), spread(shares)
    print(f"ratio ours / theirs by round: {ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
    print(f"share of matrix-product rate: {share.median:.0%} ({share.low:.0%} to {share.high:.0%})")
    finish(
        options,
        {
            "peer": f"transformers {their['version']} Trainer",
            "ratio": ratio.median,
            "ratios": asdict(ratio),
            "share_of_matmul_rate": asdict(share),
            "tokens_per_s": {"ours": asdict(spread(ours)), "theirs": asdict(spread(theirs))},
            "peak_bytes": {name: statistics.median(peak) for name, peak in peaks.items()},
            "num_parameters": our["num_parameters"],
            "shape": options.shape,
            "threads": options.threads,
        },
        ("bessemer", "torch"),
    )


if __name__ == "__main__":
    main()
