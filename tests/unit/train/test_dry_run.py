"""A dry run holds and sends what the formulas say, and what a real model of its shape holds."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.tensor._sharding_prop import ShardingPropagator

from bessemer.config.axes import Axes
from bessemer.config.run import RunConfig
from bessemer.costs.activations import activations, loss_floats
from bessemer.costs.communication import Microbatches, step_traffic
from bessemer.costs.compute import shape_of
from bessemer.model.transformer import Decoder
from bessemer.train.parallel.dryrun import DryRun, dry_run
from bessemer.train.parallel.held import ACTIVATIONS, GATHERED, WEIGHTS, MemoryMeter

VOCAB_SIZE, SEQ_LEN = 264, 32
MODEL = {
    "num_layers": 3,
    "hidden_dim": 32,
    "num_heads": 8,
    "num_kv_heads": 4,
    "ffn_dim": 40,
}
MUON = {"optimizer": {"kind": "muon"}}


def run_config(
    model: dict[str, Any] | None = None,
    train: dict[str, Any] | None = None,
    batch: int | None = None,
    **cluster: Any,
) -> RunConfig:
    """A run of one step of `batch` sequences, in microbatches of one; absent: three for each data
    rank."""
    data_ranks = cluster.get("dp_replicate", 1) * cluster.get("dp_shard", 1)
    tokens = (batch or 3 * data_ranks) * SEQ_LEN
    return RunConfig.model_validate(
        {
            "run": {"name": "dry", "root": "dry"},
            "source": [],
            "tokenizer": {"vocab_size": VOCAB_SIZE},
            "model": MODEL | (model or {}),
            "train": {
                "seq_len": SEQ_LEN,
                "global_batch_tokens": tokens,
                "total_tokens": tokens,
                **(train or {}),
            },
            "cluster": {"device": "cpu", "microbatch_tokens": SEQ_LEN, **cluster},
        }
    )


def formula(config: RunConfig, axes: Axes, found: DryRun) -> dict[str, float]:
    """Bytes by axis."""
    work = Microbatches(
        number=found.num_microbatches,
        num_sequences=found.num_sequences,
        seq_len=found.seq_len,
        product_bytes=2 if found.precision == "bf16" else 4,
    )
    shape = shape_of(config.model, config.tokenizer.vocab_size)
    sums: Counter[str] = Counter()
    for (axis, _), size in step_traffic(shape, axes, work, config.train, config.cluster).items():
        sums[axis] += size
    return dict(sums)


@pytest.mark.parametrize(
    ("axes", "more"),
    [
        pytest.param(Axes(dp_replicate=4), {}, id="DDP"),
        pytest.param(Axes(dp_shard=8), {"model": {"tie_embeddings": False}}, id="FSDP"),
        pytest.param(Axes(dp_shard=3), {"reshard": False}, id="FSDP, uneven"),
        pytest.param(Axes(dp_replicate=2, dp_shard=4), {"train": MUON}, id="HSDP, Muon"),
        pytest.param(
            Axes(tp=4),
            {"train": {"label_smoothing": 0.1}, "model": {"qk_norm": True}},
            id="TP, QK-norm, label smoothing",
        ),
        pytest.param(
            Axes(dp_shard=4, tp=2),
            {"train": MUON, "model": {"tie_embeddings": False}, "recompute": "selective"},
            id="FSDP x TP, Muon, recomputed in part",
        ),
        pytest.param(
            Axes(dp_replicate=2, dp_shard=2, tp=2),
            {"train": {"precision": "bf16"}, "recompute": "full"},
            id="HSDP x TP, bfloat16, recomputed",
        ),
    ],
)
def test_traffic_is_that_of_the_closed_formula(axes: Axes, more: dict[str, Any]) -> None:
    config = run_config(**more, dp_replicate=axes.dp_replicate, dp_shard=axes.dp_shard, tp=axes.tp)
    (found,) = dry_run(config, axes, [axes.num_ranks - 1])
    assert (
        found.num_microbatches == config.train.global_batch_tokens // SEQ_LEN // axes.num_data_ranks
    )
    sent: Counter[str] = Counter()
    for each in found.traffic:
        sent[each.axis] += each.sent_bytes
    expected = formula(config, axes, found)
    assert expected.keys() == {"dp_replicate", "weights", "tp"} & sent.keys()
    for axis, size in expected.items():
        # Left out of the formula: a number for each parameter and a few more, of eight bytes.
        assert sent[axis] == pytest.approx(size, rel=0.01, abs=8 * 2 * 32), axis
    assert sent["tokens"] <= 16  # how many tokens have a label


def test_the_number_of_collectives_is_what_the_layers_need() -> None:
    layers, axes = MODEL["num_layers"], Axes(dp_replicate=2, dp_shard=2, tp=2)
    config = run_config(dp_replicate=2, dp_shard=2, tp=2)
    (found,) = dry_run(config, axes, [0])
    micro = 3
    assert found.num_microbatches == micro
    calls = {(each.axis, each.kind): each.calls for each in found.traffic}
    # The layers, and what is in none, are a group each: FSDP2's.
    assert calls["weights", "all-gather"] == micro * (1 + 2 * layers)
    assert calls["weights", "reduce-scatter"] == micro * (1 + layers)
    assert calls["dp_replicate", "all-reduce"] == 1 + layers
    # Twice per layer and pass; the embedding and the last norm once each.
    assert calls["tp", "all-gather"] == micro * (4 * layers + 2)
    assert calls["tp", "reduce-scatter"] == micro * (4 * layers + 2)


def test_memory_is_that_of_a_real_model() -> None:
    config = run_config(batch=4, model={"tie_embeddings": False})
    (found,) = dry_run(config, Axes(), [0])
    decoder = Decoder(config.model, VOCAB_SIZE)
    weights = sum(each.untyped_storage().nbytes() for each in decoder.parameters())
    assert found.memory["weights"] == found.memory["gradients"] == weights
    steps = 4 * len(list(decoder.parameters()))  # AdamW counts its steps for each parameter
    assert found.memory["optimizer"] == 2 * weights + steps
    assert not found.memory.get("gathered")
    # The peak is after the forward pass, in the loss or little later.
    shape = shape_of(config.model, VOCAB_SIZE)
    kept = 4 * activations(shape, 1, SEQ_LEN, document_mask=False).kept
    logits = 4 * loss_floats(shape, SEQ_LEN)
    product = 4 * VOCAB_SIZE * 32  # of so few rows all at once; added to their gradient
    assert kept + logits < found.memory["activations"] < 1.05 * (kept + logits + product)
    assert found.peak_bytes == sum(found.memory.values())


def test_for_gpus_precision_microbatches_and_the_chunks_of_the_loss_are_theirs() -> None:
    """The peak is in the loss: logits of more tokens, in less precision beside them, and the
    product that is added to the gradient, in rows of which there are many."""
    model, rows = {"tie_embeddings": False, "vocab_rows": 20_000}, 20_000
    shared = {"batch": 128, "microbatch_tokens": None, "model": model}
    cpu, gpu = (
        dry_run(run_config(device=device, **shared), Axes(), [0])[0] for device in ("cpu", "cuda")
    )
    assert (cpu.device_type, cpu.precision, cpu.num_sequences) == ("cpu", "fp32", 16)
    assert (gpu.device_type, gpu.precision, gpu.num_sequences) == ("cuda", "bf16", 128)
    assert 4 * 256 * rows < cpu.memory["activations"] < 1.4 * 4 * 256 * rows
    logits, low = 4 * 2048 * rows, 2 * 2048 * rows
    assert logits + low < gpu.memory["activations"] < 1.4 * (logits + low)


def test_every_rank_of_fsdp_holds_its_padded_share() -> None:
    axes = Axes(dp_shard=5)
    config = run_config(batch=5, dp_shard=5, train={"ema": {"half_life_tokens": 100}})
    first, last = dry_run(config, axes, [0, 4])
    shapes = [each.shape for each in Decoder(config.model, VOCAB_SIZE).parameters()]
    share = 4 * sum(-(-shape[0] // 5) * shape[1:].numel() for shape in shapes)
    assert first.memory["weights"] == last.memory["weights"] == share
    assert first.memory["gradients"] == last.memory["gradients"] == share
    # Of moments and of the average the last rank has what it has rows for.
    rows = [-(-shape[0] // 5) for shape in shapes]
    left = [max(0, min(row, shape[0] - 4 * row)) for row, shape in zip(rows, shapes, strict=True)]
    own = 4 * sum(row * shape[1:].numel() for row, shape in zip(left, shapes, strict=True))
    assert first.memory["optimizer"] - 3 * share == last.memory["optimizer"] - 3 * own


def test_views_are_free_and_what_is_let_go_counts_no_longer() -> None:
    meter, lock = MemoryMeter(), ShardingPropagator._fake_mode_lock
    with FakeTensorMode(), meter:
        meter.part = WEIGHTS
        weight = torch.empty(100, 10)
        meter.part = ACTIVATIONS
        half = weight[:50].view(-1)
        product = weight @ torch.empty(10, 30)
        assert meter.held() == {WEIGHTS: 4000, ACTIVATIONS: 12000}
        del product
        small = weight.sum(dim=0)
    assert ShardingPropagator._fake_mode_lock is lock
    assert meter.held() == {WEIGHTS: 4000, ACTIVATIONS: 40}
    assert meter.peak() == {WEIGHTS: 4000, ACTIVATIONS: 12000 + 1200}
    meter.assign([small], GATHERED)
    assert meter.held() == {WEIGHTS: 4000, GATHERED: 40}
    del weight
    assert meter.held() == {WEIGHTS: 4000, GATHERED: 40}  # the view is still there
    del half
    assert meter.held() == {GATHERED: 40}


def test_a_405b_decoder_on_16384_ranks_takes_a_step(tmp_path: Path) -> None:
    """Of its 126 layers three, which are alike."""
    axes = Axes(dp_shard=2048, tp=8)
    config = run_config(
        {
            "num_layers": 3,
            "hidden_dim": 16384,
            "num_heads": 128,
            "num_kv_heads": 8,
            "ffn_dim": 53248,
            "vocab_rows": 128256,
            "tie_embeddings": False,
        },
        {"precision": "bf16"},
        batch=2048,
        dp_shard=2048,
        tp=8,
        recompute="full",
    )
    first, last = dry_run(config, axes, [0, axes.num_ranks - 1])
    expected = formula(config, axes, first)
    for found in (first, last):
        sent: Counter[str] = Counter()
        for each in found.traffic:
            sent[each.axis] += each.sent_bytes
        for axis, size in expected.items():
            assert sent[axis] == pytest.approx(size, rel=0.01), (found.rank, axis)
    # 128 rows of keys and values are too few for 2,048 ranks: the last have none.
    assert last.memory["optimizer"] < first.memory["optimizer"]
    assert first.memory["weights"] == last.memory["weights"]  # with padding, all the same


def test_the_verb_shows_both_tables_and_refuses_what_does_not_fit(
    run_file: Path, bessemer_here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    layout = ("--set", "cluster.dp_shard=2", "--set", 'cluster.device="auto"')
    shown = bessemer_here("dryrun", str(run_file), *layout, "--world", "4", "--rank", "1,last")
    assert shown.returncode == 0, shown.stderr
    for word in (
        "dp_replicate 2 x dp_shard 2: 4 ranks",
        """GPUs --set cluster.device='"cuda"'""",
        "rank 1",
        "rank 3",
        "reduce-scatter",
    ):
        assert word in shown.stdout
    uneven = bessemer_here("dryrun", str(run_file), *layout, "--world", "6")
    assert uneven.returncode == 2
    assert "6 ranks cannot share a batch of 8 sequences evenly" in uneven.stderr
    absent = bessemer_here("dryrun", str(run_file), *layout, "--rank", "2")
    assert absent.returncode == 2
    assert "there is no rank 2: ranks are 0 to 1" in absent.stderr
