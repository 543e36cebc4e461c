"""What ranks send through gloo is what the closed formula says, and what a dry run counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bessemer.config.axes import Axes, planned_axes
from bessemer.config.run import RunConfig
from bessemer.costs.communication import Microbatches, step_traffic
from bessemer.costs.compute import shape_of
from bessemer.train.parallel.dryrun import dry_run

pytestmark = pytest.mark.dist

WORKER = Path(__file__).with_name("count_traffic.py")
SEQ_LEN, BATCH = 32, 16
EXPERTS = {"num_experts": 4, "experts_per_token": 2, "ffn_dim": 24, "num_dense_layers": 1}
ROUTED = {**EXPERTS, "num_shared": 0}
UNTIED = {"tie_embeddings": False}
MUON = {"optimizer": {"kind": "muon"}}


def run_config(
    cluster: dict[str, Any], model: dict[str, Any] | None = None, train: dict[str, Any] | None = None
) -> RunConfig:
    tokens = BATCH * SEQ_LEN
    shape = {"num_layers": 4, "hidden_dim": 64, "num_heads": 8, "num_kv_heads": 4, "ffn_dim": 96}
    return RunConfig.model_validate(
        {
            "run": {"name": "traffic", "root": "traffic"},
            "source": [],
            "tokenizer": {"vocab_size": 264},
            "model": shape | (model or {}),
            "train": {
                "seq_len": SEQ_LEN,
                "global_batch_tokens": tokens,
                "total_tokens": tokens,
                "document_mask": False,
                **(train or {}),
            },
            "cluster": {"device": "cpu", "microbatch_tokens": SEQ_LEN, **cluster},
        }
    )


TWO = [
    run_config({"dp_replicate": 2}),
    run_config({"dp_shard": 2}, UNTIED, MUON),
    run_config({"tp": 2}, {"qk_norm": True}, {"label_smoothing": 0.1}),
    run_config({"pp": 2}),
    run_config({"dp_shard": 2, "ep": 2}, {"experts": EXPERTS}),
    run_config({"cp": 2, "recompute": "full"}),
    run_config({"cp": 2, "cp_exchange": "ulysses"}),
    run_config({"tp": 2}, {"experts": ROUTED}, MUON),
    run_config({"dp_replicate": 2}, {"experts": EXPERTS}),
]
FOUR = [
    run_config({"dp_shard": 4, "reshard": False}),
    run_config({"dp_replicate": 2, "dp_shard": 2}, UNTIED),
    run_config({"dp_shard": 2, "tp": 2, "recompute": "full"}, UNTIED),
    run_config({"pp": 2, "dp_shard": 2, "pp_schedule": "interleaved"}, UNTIED),
    run_config({"dp_shard": 4, "ep": 2}, {"experts": EXPERTS}, MUON),
    run_config({"cp": 2, "dp_shard": 2}, UNTIED),
    run_config({"cp": 2, "pp": 2}, UNTIED),
]
# Each by itself: torch keeps the groups of the first mesh with a "tp" of two.
ALONE = [
    run_config({"cp": 2, "tp": 2, "cp_exchange": "ulysses", "recompute": "full"}),
    run_config({"dp_shard": 2, "ep": 2, "tp": 2, "recompute": "full"}, {"experts": ROUTED}, MUON),
    run_config({"dp_shard": 2, "tp": 2}, {"experts": EXPERTS}, MUON),
]


def count(folder: Path, configs: Sequence[RunConfig]) -> list[list[list[dict[str, Any]]]]:
    """By layout and rank: all that a real step sends."""
    num_ranks = planned_axes(configs[0].cluster).num_ranks
    layouts = [
        {"run": each.model_dump(mode="json"), "axes": asdict(planned_axes(each.cluster))}
        for each in configs
    ]
    (folder / "job.json").write_text(json.dumps(layouts))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(num_ranks), str(WORKER)]
    done = subprocess.run(
        [*command, str(folder / "job.json"), str(folder / "answer.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found: list[list[list[dict[str, Any]]]] = json.loads((folder / "answer.json").read_text())
    return found


def formula(config: RunConfig, axes: Axes) -> Counter[tuple[str, str]]:
    """Bytes by axis and kind, the mean over the ranks of a pipeline."""
    work = Microbatches(
        number=BATCH // axes.num_data_ranks, num_sequences=1, seq_len=SEQ_LEN
    )
    shape = shape_of(config.model, config.tokenizer.vocab_size)
    sums: Counter[tuple[str, str]] = Counter()
    for rank in range(axes.pp):
        sent = step_traffic(shape, axes, work, config.train, config.cluster, rank)
        for key, size in sent.items():
            sums[key] += size / axes.pp
    return sums


@pytest.mark.parametrize(
    ("configs", "dry"),
    [
        pytest.param(TWO, 3, id="two"),
        pytest.param(FOUR, 3, id="four"),
        *(pytest.param([config], 0) for config in ALONE),
    ],
)
def test_real_traffic_is_that_of_the_formula_and_of_a_dry_run(
    configs: Sequence[RunConfig], dry: int, tmp_path: Path
) -> None:
    counted = count(tmp_path, configs)
    for config, of_ranks in zip(configs, counted, strict=True):
        axes = planned_axes(config.cluster)
        sent: Counter[tuple[str, str]] = Counter()
        for each in (each for rank in of_ranks for each in rank):
            sent[each["axis"], each["kind"]] += each["sent_bytes"] / axes.num_ranks
        expected = formula(config, axes)
        assert expected, axes
        for key, size in expected.items():
            assert sent[key] == pytest.approx(size, rel=0.01, abs=500), (str(axes), key)
        # Left out of the formula are sums of single numbers, and how many tokens experts get.
        left = {key: size for key, size in sent.items() if key not in expected}
        known = {axis for axis, _ in expected}
        assert sum(size for (axis, _), size in left.items() if axis not in known) < 500, left
        assert {kind for _, kind in left} <= {"all-reduce", "all-to-all"}, left
    # One of them to the byte, and call by call; not where it depends on the tokens who gets how many.
    config, real = configs[dry], counted[dry]
    if config.model.experts is not None:
        return
    axes = planned_axes(config.cluster)
    (found,) = dry_run(config, axes, [axes.num_ranks - 1])
    assert [asdict(each) for each in found.traffic] == real[-1]
