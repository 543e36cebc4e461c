"""Two ranks under torchrun train as one process does: the same batches, the same losses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bessemer.core.layout import CHECKPOINTS, EVALUATIONS, METRICS, STEPS, TOKENIZER
from bessemer.core.storage import read_jsonl
from bessemer.line.stages import STAGES
from bessemer.line.workspace import plan_workspace
from bessemer.model.transformer import Decoder
from bessemer.tokens.contents import read_token_bytes
from bessemer.train.checkpoints.checkpoint import load_model

pytestmark = pytest.mark.dist


def torchrun(num_ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(num_ranks), "-m", "bessemer", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def sets(overrides: tuple[str, ...]) -> list[str]:
    return [word for each in overrides for word in ("--set", each)]


def losses(run_file: Path, *overrides: str) -> list[tuple[float, ...]]:
    rows = metrics(run_file, STEPS, *overrides)
    names = ("loss", "bits_per_byte", "grad_norm", "update_norm")
    return [tuple(row[name] for name in names) for row in rows]


def metrics(run_file: Path, name: str, *overrides: str) -> list[dict[str, Any]]:
    return read_jsonl(plan_workspace(run_file, overrides).folder("train") / METRICS / name)


def digests(run_file: Path, *overrides: str) -> list[str]:
    return [row["samples_digest"] for row in metrics(run_file, STEPS, *overrides)]


def heldout(run_file: Path, *overrides: str) -> list[float]:
    return [row["bits_per_byte"] for row in metrics(run_file, EVALUATIONS, *overrides)]


def weights(run_file: Path, *overrides: str) -> dict[str, torch.Tensor]:
    """All weights and routers' balance after the last step."""
    workspace = plan_workspace(run_file, overrides)
    vocab_size = len(read_token_bytes(workspace.folder("tokenizer") / TOKENIZER))
    decoder = Decoder(workspace.config.model, vocab_size)
    load_model(workspace.folder("train") / CHECKPOINTS, decoder)
    return decoder.state_dict()


EXPERTS = (
    "model.qk_norm=true",
    "model.experts={num_experts=4, experts_per_token=2, ffn_dim=16, num_dense_layers=1}",
)


@pytest.mark.parametrize(
    ("num_ranks", "layout", "train"),
    [
        pytest.param(2, (), (), id="DDP"),
        pytest.param(2, ("cluster.dp_shard=2",), (), id="FSDP"),
        pytest.param(
            4,
            ("cluster.dp_shard=4", "cluster.reshard=false"),
            ("train.ema={half_life_tokens=1000}",),
            id="FSDP of four",
        ),
        pytest.param(4, ("cluster.dp_shard=2",), ("train.ema={half_life_tokens=1000}",), id="HSDP"),
        pytest.param(2, ("cluster.tp=2", "cluster.recompute='full'"), (), id="TP"),
        pytest.param(
            4,
            ("cluster.dp_shard=2", "cluster.tp=2"),
            ("train.ema={half_life_tokens=1000}", "train.optimizer.kind='muon'"),
            id="FSDP x TP",
        ),
        pytest.param(
            4,
            ("cluster.pp=2", "cluster.dp_shard=2", "cluster.pp_schedule='interleaved'"),
            ("train.ema={half_life_tokens=1000}", "model.num_layers=4"),
            id="PP x FSDP",
        ),
        pytest.param(
            4,
            ("cluster.dp_shard=4", "cluster.ep=2", "cluster.recompute='full'"),
            (*EXPERTS, "train.ema={half_life_tokens=1000}"),
            id="EP x FSDP",
        ),
        pytest.param(
            4,
            ("cluster.dp_shard=2", "cluster.ep=2", "cluster.tp=2"),
            (*EXPERTS, "model.dropout=0.1"),
            id="EP x TP",
        ),
        pytest.param(
            4,
            ("cluster.dp_shard=2", "cluster.cp=2", "cluster.recompute='full'"),
            ("train.ema={half_life_tokens=1000}", "model.dropout=0.1", "model.sliding_window=9"),
            id="CP x FSDP",
        ),
        pytest.param(
            2,
            ("cluster.cp=2", "cluster.cp_exchange='ulysses'", "cluster.recompute='selective'"),
            EXPERTS,
            id="CP by Ulysses",
        ),
    ],
)
def test_ranks_give_the_losses_and_weights_of_one_process(
    num_ranks: int,
    layout: tuple[str, ...],
    train: tuple[str, ...],
    run_file: Path,
    bessemer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    alone = bessemer("run", str(run_file), "--to", "train", *sets(train))
    assert alone.returncode == 0, alone.stderr
    others = ('run.root="shared"', *train, *layout)
    together = torchrun(num_ranks, "run", str(run_file), "--to", "train", *sets(others))
    assert together.returncode == 0, together.stderr
    expected, found = losses(run_file, *train), losses(run_file, *others)
    assert len(expected) == 20
    # Float32 sums in another order, carried through up to twenty optimizer steps; Muon's are
    # bfloat16 where that is fast.
    far = 1e-2 if "train.optimizer.kind='muon'" in train else 1e-5
    for step, (one, other) in enumerate(zip(expected, found, strict=True), start=1):
        assert other == pytest.approx(one, rel=far), f"step {step}"
    assert digests(run_file, *others) == digests(run_file, *train)
    assert heldout(run_file, *others) == pytest.approx(heldout(run_file, *train), rel=far)
    ours = weights(run_file, *others)
    for name, weight in weights(run_file, *train).items():
        torch.testing.assert_close(ours[name], weight, rtol=10 * far, atol=far, msg=name)


@pytest.mark.parametrize(
    ("layout", "model"),
    [
        ((), ()),
        (("cluster.dp_shard=2",), ()),
        (("cluster.tp=2",), ()),
        (("cluster.cp=2",), ()),
        (("cluster.dp_shard=2", "cluster.ep=2"), EXPERTS),
    ],
)
def test_a_run_of_two_ranks_is_resumed_by_one(
    layout: tuple[str, ...],
    model: tuple[str, ...],
    run_file: Path,
    bessemer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    both = torchrun(2, "run", str(run_file), "--to", "train", *sets((*layout, *model)))
    assert both.returncode == 0, both.stderr
    expected = losses(run_file, *model)
    folder = plan_workspace(run_file, model).folder("train")
    (folder / "manifest.json").unlink()
    for late in ("step-00000020", "step-00000016"):
        checkpoint = folder / "checkpoints" / late
        for path in checkpoint.glob("*") if checkpoint.exists() else ():
            path.unlink()
    again = bessemer("run", str(run_file), "--to", "train", *sets(model))
    assert again.returncode == 0, again.stderr
    for found, wanted in zip(losses(run_file, *model), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)


def test_two_ranks_reuse_and_remake_together(run_file: Path) -> None:
    first = torchrun(2, "run", str(run_file), "--to", "train")
    assert first.returncode == 0, first.stderr
    expected = losses(run_file)
    again = torchrun(2, "run", str(run_file), "--to", "train")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count(" reused ") == len(STAGES) - 3
    anew = torchrun(2, "run", str(run_file), "--from", "mix", "--to", "train")
    assert anew.returncode == 0, anew.stderr
    assert " reused " not in anew.stderr
    assert losses(run_file) == expected


def test_a_wrong_number_of_ranks_is_one_clear_error(run_file: Path) -> None:
    done = torchrun(2, "run", str(run_file), "--to", "train", "--set", "cluster.dp_replicate=4")
    assert done.returncode != 0
    assert "the layout is dp_replicate 4 = 4 ranks, and 2 were started" in done.stderr
    assert not plan_workspace(run_file).folder("ingest").exists()  # refused before any work


def test_what_many_ranks_trained_one_process_goes_on_with(
    run_file: Path, bessemer: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    layout = sets(("cluster.dp_shard=2",))
    prepared = bessemer("run", str(run_file), "--to", "mix", *layout)  # needs no other rank
    assert prepared.returncode == 0, prepared.stderr
    trained = torchrun(2, "run", str(run_file), "--to", "train", *layout)
    assert trained.returncode == 0, trained.stderr
    finished = bessemer("run", str(run_file), *layout)
    assert finished.returncode == 0, finished.stderr
