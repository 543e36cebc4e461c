"""Ranks that share out samples, weights or matrices have the numbers of one process."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.sizes import NAMED_SIZES
from bessemer.train.parallel.parity import Parity
from bessemer.train.parallel.parity_layouts import layouts_to_try, scale_down

pytestmark = pytest.mark.dist

EXPERTS = "{num_experts=4, experts_per_token=2, ffn_dim=16, num_dense_layers=1, scoring='SCORING'}"


@pytest.mark.parametrize(
    ("overrides", "num_layouts"),
    [
        pytest.param((), 27, id="dense, tied"),
        pytest.param(
            (
                "model.tie_embeddings=false",
                "model.qk_norm=true",
                "model.sliding_window=8",
                "train.z_loss=1e-3",
                "train.label_smoothing=0.1",
                "train.optimizer.kind='muon'",
                "cluster.reshard=false",
            ),
            28,
            id="dense, untied, by Muon",
        ),
        pytest.param(
            (
                "model.experts=" + EXPERTS.replace("SCORING", "sigmoid"),
                "model.dropout=0.1",
                "model.logit_softcap=5.0",
                "cluster.recompute='full'",
            ),
            34,
            id="experts, dropout",
        ),
        pytest.param(
            (
                "model.experts=" + EXPERTS.replace("SCORING", "softmax"),
                "train.optimizer.kind='muon'",
                "cluster.dp_shard=8",
                "cluster.ep=4",
                "cluster.recompute='selective'",
            ),
            1,
            id="experts spread over ranks, by Muon, cut down to four",
        ),
        pytest.param(
            (
                "model.experts="
                + EXPERTS.replace("SCORING", "softmax").replace("}", ", num_shared=0}"),
                "model.tie_embeddings=false",
                "cluster.dp_replicate=64",
                "cluster.dp_shard=8",
                "train.global_batch_tokens=65536",
                "train.total_tokens=65536",
            ),
            1,
            id="experts on 512 ranks, cut down to four",
        ),
        pytest.param(
            ("cluster.cp=16", "cluster.pp=2", "train.document_mask=false"),
            1,
            id="whole sequences on 32 ranks, cut down to four",
        ),
        pytest.param(
            (
                "model.num_layers=4",
                "cluster.dp_shard=2",
                "cluster.tp=2",
                "cluster.pp=2",
                "cluster.pp_schedule='interleaved'",
                "cluster.offload=true",
            ),
            1,
            id="eight ranks, three axes, weights on the host",
        ),
    ],
)
def test_loss_gradients_and_step_are_those_of_one_process(
    overrides: tuple[str, ...],
    num_layouts: int,
    run_file: Path,
    bessemer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    # transformers has not every combination; ours is to be computed all the same.
    overrides = ("export.transformers=false", *overrides)
    sets = [word for each in overrides for word in ("--set", each)]
    done = bessemer("parity", str(run_file), *sets)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.count("equal\n") == num_layouts, done.stdout


def test_what_is_more_than_rounding_does_not_hold() -> None:
    sound = Parity(
        layout="tp 2",
        loss=1e-7,
        gradient=1e-6,
        parameter="norm.weight",
        step=1e-5,
        optimizer="adamw",
        norm=0.0,
        update_norm=0.0,
        routed_alike=True,
    )
    assert sound.holds
    assert replace(sound, optimizer="muon", step=1e-2).holds
    for name, wrong in (
        *(("loss", 2e-6), ("gradient", 2e-5), ("step", 2e-4), ("norm", 2e-5)),
        *(("update_norm", 2e-4), ("routed_alike", False), ("loss", math.nan)),
        *(("step", math.nan), ("update_norm", math.nan), ("gradient", math.nan)),
    ):
        assert not replace(sound, **{name: wrong}).holds, name


@pytest.mark.parametrize("size", NAMED_SIZES)
def test_every_named_model_is_scaled_down_to_its_kind(size: str) -> None:
    model = ModelConfig(size=size)
    small = scale_down(model)
    for name in ("qk_norm", "tie_embeddings", "rope_theta", "logit_softcap", "width_scaling"):
        assert getattr(small, name) == getattr(model, name)
    assert (small.experts is None) == (model.experts is None)
    assert (small.num_kv_heads < small.num_heads) == (model.num_kv_heads < model.num_heads)
    for layout in layouts_to_try(ClusterConfig(), small):
        assert small.num_kv_heads % layout.tp == small.ffn_dim % layout.tp == 0
        assert planned_axes(layout).num_ranks in (2, 4)
