"""What a dry run counts of activations is what the closed formula says, in every layout."""

from __future__ import annotations

from typing import Any

import pytest

from bessemer.config.axes import Axes
from bessemer.config.run import RunConfig
from bessemer.costs.compute import shape_of
from bessemer.costs.memory import training_memory
from bessemer.train.parallel.dryrun import dry_run
from bessemer.train.parallel.held import ACTIVATIONS

VOCAB_SIZE, SEQ_LEN = 264, 512
DENSE = {
    "num_layers": 4,
    "hidden_dim": 64,
    "num_heads": 8,
    "num_kv_heads": 4,
    "ffn_dim": 160,
    "tie_embeddings": False,
}
EXPERTS = {"num_experts": 8, "experts_per_token": 2, "ffn_dim": 48}


def run_config(model: dict[str, Any], precision: str = "fp32", **cluster: Any) -> RunConfig:
    """Of so many tokens that weights are little beside activations, and as many microbatches as a
    pipeline takes; of others two, as the first finds no gradients."""
    num_microbatches = 8 if cluster["pp"] > 1 else 2
    tokens = SEQ_LEN * num_microbatches * cluster["dp_shard"]
    return RunConfig.model_validate(
        {
            "run": {"name": "dry", "root": "dry"},
            "source": [],
            "tokenizer": {"vocab_size": VOCAB_SIZE},
            "model": DENSE | model,
            "train": {
                "seq_len": SEQ_LEN,
                "global_batch_tokens": tokens,
                "total_tokens": tokens,
                "precision": precision,
            },
            "cluster": {"device": "cpu", "microbatch_tokens": SEQ_LEN, **cluster},
        }
    )


@pytest.mark.parametrize(
    ("axes", "model", "more"),
    [
        pytest.param(Axes(), {}, {"recompute": "full"}, id="one process, full"),
        pytest.param(Axes(tp=2), {"ffn_dim": 320}, {"recompute": "full"}, id="TP, full"),
        pytest.param(
            Axes(tp=4), {"qk_norm": True}, {"recompute": "selective"}, id="TP, QK-norm, selective"
        ),
        pytest.param(
            Axes(dp_shard=2, tp=2),
            {"qk_norm": True},
            {"precision": "bf16"},
            id="FSDP x TP, bfloat16",
        ),
        pytest.param(Axes(cp=2, tp=2), {}, {}, id="CP x TP"),
        pytest.param(
            Axes(dp_shard=2, ep=2, tp=2),
            {"experts": EXPERTS | {"num_shared": 1, "num_dense_layers": 1}},
            {},
            id="experts along EP and TP",
        ),
        pytest.param(
            Axes(tp=2), {"experts": EXPERTS}, {"recompute": "full"}, id="experts along TP, full"
        ),
        pytest.param(
            Axes(pp=2, tp=2), {}, {"pp_schedule": "interleaved"}, id="PP interleaved x TP"
        ),
    ],
)
def test_activations_are_what_a_dry_run_counts(
    axes: Axes, model: dict[str, Any], more: dict[str, Any]
) -> None:
    """To 3 %. Left out are a few numbers per token, and that a dry run takes what a collective
    gives for two tensors until the next one."""
    sizes = {name: getattr(axes, name) for name in ("dp_shard", "cp", "tp", "pp", "ep")}
    config = run_config(model, **sizes, **more)
    (found,) = dry_run(config, axes, [0])  # along "pp" the first keeps most
    expected = training_memory(
        shape_of(config.model, VOCAB_SIZE),
        found.num_sequences,
        SEQ_LEN,
        axes=axes,
        recompute=config.cluster.recompute,
        pp_schedule=config.cluster.pp_schedule,
        num_microbatches=found.num_microbatches,
        document_mask=False,
        product_bytes=2 if found.precision == "bf16" else 4,
    )
    counted = found.memory[ACTIVATIONS]
    assert expected.activations + expected.transient == pytest.approx(counted, rel=0.03)
