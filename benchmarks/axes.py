"""What each axis of ranks costs: a step on two and on four local ranks beside one process.

The ideal is one process with the same batch and as many threads as there are ranks, of one thread
each: its time per step divided by that of the ranks is the share of the ideal. All are measured in
turn, every run a process group of its own; its first step is not counted. What ranks send is
counted in that step, beside the closed formula. A mixture of experts is compared with itself in one
process. With fewer cores than ranks, both share them.

A round takes about three minutes on two cores. For a first look: --rounds 1 --steps 2 --size 3m.
"""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from benchmarks.common import arguments, finish, run_json, show, spread
from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.core.units import format_bytes

VOCAB_SIZE, SEQ_LEN, BATCH_SEQUENCES = 4096, 256, 32
# A head for each of four ranks; experts that do the work of the dense layers, two of eight.
HEADS = {"num_heads": 8, "num_kv_heads": 4}
EXPERTS = {"num_experts": 8, "experts_per_token": 2, "num_shared": 0}
IDEAL, IDEAL_EXPERTS = "one process", "one process, experts"

LAYOUTS: dict[int, tuple[dict[str, Any], ...]] = {
    2: (
        {"dp_replicate": 2},
        {"dp_shard": 2},
        {"tp": 2},
        {"pp": 2},
        {"pp": 2, "pp_schedule": "interleaved"},
        {"cp": 2},
        {"cp": 2, "cp_exchange": "ulysses"},
        {"dp_shard": 2, "ep": 2},
    ),
    4: (
        {"dp_replicate": 4},
        {"dp_shard": 4},
        {"dp_replicate": 2, "dp_shard": 2},
        {"dp_shard": 2, "tp": 2},
        {"pp": 2, "dp_shard": 2},
        {"cp": 2, "dp_shard": 2},
        {"dp_shard": 4, "ep": 4},
    ),
}


def run(
    size: str, cluster: ClusterConfig, threads: int, steps: int, has_experts: bool
) -> dict[str, Any]:
    """Seconds of each step, and bytes sent in one by each rank: counted, and by the formula."""
    model = ModelConfig.model_validate({"size": size, **HEADS, "head_dim": 32})
    if has_experts:
        experts = EXPERTS | {"ffn_dim": model.ffn_dim // 2, "scoring": "softmax"}
        model = ModelConfig.model_validate(model.model_dump() | {"experts": experts})
    tokens = BATCH_SEQUENCES * SEQ_LEN
    train = {"seq_len": SEQ_LEN, "global_batch_tokens": tokens, "total_tokens": tokens}
    num_ranks = planned_axes(cluster).num_ranks
    worker = [
        *("--model", model.model_dump_json(), "--train", json.dumps(train)),
        *("--cluster", cluster.model_dump_json(), "--vocab-size", str(VOCAB_SIZE)),
        *("--steps", str(steps), "--threads", str(threads)),
    ]
    if num_ranks == 1:
        found = run_json(sys.executable, "benchmarks.our_ranks", *worker)
    else:
        torchrun = (
            "--standalone",
            "--nproc-per-node",
            str(num_ranks),
            "-m",
            "benchmarks.our_ranks",
        )
        found = run_json(sys.executable, "torch.distributed.run", *torchrun, *worker)
    steps_s = [end - begin for begin, end in pairwise(found["ends_s"])]
    return found | {"step_s": statistics.median(steps_s)}


def measure(num_ranks: int, size: str, rounds: int, steps: int) -> dict[str, dict[str, Any]]:
    """Figures of each layout of `num_ranks`, and of the two ideals, by name."""
    shared = {"device": "cpu", "microbatch_tokens": None}
    alone = ClusterConfig.model_validate(shared | {"threads": num_ranks})
    contestants = {IDEAL: (alone, num_ranks, False), IDEAL_EXPERTS: (alone, num_ranks, True)}
    for layout in LAYOUTS[num_ranks]:
        cluster = ClusterConfig.model_validate(shared | {"threads": 1} | layout)
        kinds = (cluster.pp_schedule, cluster.pp), (cluster.cp_exchange, cluster.cp)
        kind = "".join(f" ({name})" for name, size in kinds if size > 1)
        contestants[f"{planned_axes(cluster)}{kind}"] = (cluster, 1, "ep" in layout)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, (cluster, threads, has_experts) in contestants.items():
            runs[name].append(run(size, cluster, threads, steps, has_experts))
            took = runs[name][-1]["step_s"]
            print(f"round {number + 1}: {name}: {took:.3f} s", file=sys.stderr, flush=True)
    figures = {}
    for name, found in runs.items():
        ideals = runs[IDEAL_EXPERTS if contestants[name][2] else IDEAL]
        shares = [
            ideal["step_s"] / each["step_s"] for ideal, each in zip(ideals, found, strict=True)
        ]
        figures[name] = {
            "step_s": asdict(spread([each["step_s"] for each in found])),
            "share_of_ideal": asdict(spread(shares)),
            "sent_bytes": found[0]["sent_bytes"],
            "formula_bytes": found[0]["formula_bytes"],
        }
    return figures


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 5, "how often to alternate"),
        steps=(int, 5, f"steps of {BATCH_SEQUENCES * SEQ_LEN:,} tokens per run"),
        size=(str, "12m", "a named size of model"),
    )
    figures = {}
    for num_ranks in LAYOUTS:
        found = figures[num_ranks] = measure(num_ranks, options.size, options.rounds, options.steps)
        rows = []
        for name, row in found.items():
            share, sent, formula = (
                row[k] for k in ("share_of_ideal", "sent_bytes", "formula_bytes")
            )
            rows.append(
                (
                    name,
                    f"{row['step_s']['median']:.3f}",
                    f"{share['median']:.0%} ({share['low']:.0%}-{share['high']:.0%})",
                    f"{1 / share['median'] - 1:+.0%}",
                    format_bytes(sent),
                    format_bytes(formula),
                    f"{sent / formula - 1:+.2%}" if formula else "",
                )
            )
        columns = ("", "s per step", "of the ideal", "overhead", "sent by a rank", "formula", "off")
        show(f"{num_ranks} ranks of one thread each", columns, rows)
    finish(options, {"layouts": figures}, ["bessemer", "torch"])


if __name__ == "__main__":
    main()
