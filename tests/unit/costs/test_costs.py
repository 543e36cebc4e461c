"""The cost formulas agree with the real model: parameters, operations, saved activations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bessemer.config.axes import Axes
from bessemer.config.model import ModelConfig
from bessemer.config.train import OptimizerConfig
from bessemer.costs.activations import (
    LOGIT_CHUNK_TOKENS,
    activations,
    loss_floats,
)
from bessemer.costs.compute import count_parameters, forward_flops, shape_of, training_flops
from bessemer.costs.memory import optimizer_floats, training_memory
from bessemer.costs.stages import layers_of_stages
from bessemer.model import attend
from bessemer.model.cross_entropy import linear_cross_entropy
from bessemer.model.dropout import dropout_keys
from bessemer.model.transformer import Decoder
from bessemer.train.average import Average
from bessemer.train.optim import make_optimizers

SHAPES = [
    {"num_layers": 2, "hidden_dim": 64, "num_heads": 8, "num_kv_heads": 8, "ffn_dim": 160},
    {"num_layers": 3, "hidden_dim": 96, "num_heads": 6, "num_kv_heads": 2, "ffn_dim": 200},
    {"num_layers": 1, "hidden_dim": 32, "num_heads": 4, "num_kv_heads": 1, "ffn_dim": 40},
    {
        "num_layers": 2,
        "hidden_dim": 32,
        "num_heads": 4,
        "num_kv_heads": 4,
        "ffn_dim": 40,
        "dropout": 0.2,
    },
    {
        "num_layers": 2,
        "hidden_dim": 48,
        "num_heads": 4,
        "num_kv_heads": 2,
        "ffn_dim": 72,
        "head_dim": 16,
        "qk_norm": True,
    },
    {
        "num_layers": 3,
        "hidden_dim": 40,
        "num_heads": 4,
        "num_kv_heads": 2,
        "ffn_dim": 72,
        "head_dim": 16,
        "sliding_window": 10,
        "full_attention_every": 3,
    },
    {
        "num_layers": 3,
        "hidden_dim": 48,
        "num_heads": 4,
        "num_kv_heads": 2,
        "ffn_dim": 72,
        "qk_norm": True,
        "experts": {
            "num_experts": 8,
            "experts_per_token": 3,
            "ffn_dim": 40,
            "num_shared": 2,
            "num_dense_layers": 1,
        },
    },
    {
        "num_layers": 2,
        "hidden_dim": 48,
        "num_heads": 4,
        "num_kv_heads": 2,
        "ffn_dim": 72,
        "qk_norm": True,
        "experts": {
            "num_experts": 6,
            "experts_per_token": 2,
            "ffn_dim": 24,
            "num_shared": 0,
            "scoring": "softmax",
            "normalize": False,
        },
    },
]


def build(dims: dict[str, Any], tie: bool, vocab_size: int = 300) -> Decoder:
    return Decoder(ModelConfig.model_validate({**dims, "tie_embeddings": tie}), vocab_size)


@pytest.mark.parametrize("dims", SHAPES)
@pytest.mark.parametrize("tie", [True, False])
def test_parameters_equal_the_real_model(dims: dict[str, Any], tie: bool) -> None:
    model = build(dims, tie)
    parts = count_parameters(shape_of(model.config, 300))
    assert parts.total == model.num_parameters()
    named = dict(model.named_parameters())
    assert parts.norms == sum(p.numel() for p in named.values() if p.ndim == 1)
    assert parts.attention == sum(p.numel() for n, p in named.items() if "attn" in n and p.ndim > 1)
    experts = sum(p.numel() for n, p in named.items() if ".experts." in n)
    assert parts.experts == experts
    assert parts.feed_forward == sum(p.numel() for n, p in named.items() if ".mlp." in n) - experts
    if model.config.experts is not None:
        share = model.config.experts.experts_per_token / model.config.experts.num_experts
        assert parts.active == parts.total - experts * (1 - share)
    assert parts.head == (0 if tie else 300 * dims["hidden_dim"])


def count_onednn(x: torch.Size, weight: torch.Size, *_: Any, **__: Any) -> int:
    """Operations of oneDNN's x W^T, which torch's counter does not know."""
    return 2 * x[0] * x[1] * weight[0]


ONEDNN = {torch.ops.mkldnn._linear_pointwise: count_onednn}


@pytest.mark.parametrize("dims", SHAPES)
@pytest.mark.parametrize("tie", [True, False])
def test_operations_equal_torchs_counter(dims: dict[str, Any], tie: bool) -> None:
    model = build(dims, tie)
    shape = shape_of(model.config, 300)
    ids = torch.randint(0, 300, (2, 24))
    # A math kernel on meta-like decomposition counts what the formula counts: full attention.
    with (
        FlopCounterMode(display=False, custom_mapping=ONEDNN) as counter,
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
    ):
        loss = model(ids, torch.zeros_like(ids)).sum()
        forward = counter.get_total_flops()
        loss.backward()
        both = counter.get_total_flops()
    assert forward == forward_flops(shape, 2, 24)
    assert both == training_flops(shape, 2, 24)


@pytest.mark.parametrize("dims", SHAPES)
@pytest.mark.parametrize("packed", [True, False])
def test_saved_activations_equal_what_autograd_keeps(
    dims: dict[str, Any], packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attend, "_CALL_PRODUCTS", 0)  # pieces apart, as in models of real size
    model = build(dims, tie=True)
    state = (*model.parameters(), *model.buffers())
    weights = {tensor.untyped_storage().data_ptr() for tensor in state}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.randint(0, 300, (2, 32))
    documents = torch.tensor([[0] * 20 + [1] * 12, [5] * 16 + [6] * 16])
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        keys = dropout_keys(0, torch.arange(2))
        x_BTD, _ = model.hidden_states(ids, documents if packed else None, dropout_keys_B=keys)
        model.lm_head(x_BTD)
    found = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert found == 4 * activations(shape_of(model.config, 300), 2, 32, packed).kept


@pytest.mark.parametrize("tie", [True, False])
def test_stages_of_a_pipeline_hold_their_layers_and_one_end(tie: bool) -> None:
    dims = {**SHAPES[0], "num_layers": 4}
    shape = shape_of(ModelConfig(**dims, tie_embeddings=tie), 64)
    held = []
    for layers in layers_of_stages(shape, 2, 32):
        decoder = Decoder(ModelConfig(**dims, tie_embeddings=tie), 64)
        decoder.keep(layers)
        held.append(decoder.num_parameters())
    two, alone = (training_memory(shape, 2, 32, axes=Axes(pp=pp)) for pp in (2, 1))
    assert two.weights == two.gradients == 4 * max(held)
    assert two.optimizer == pytest.approx(alone.optimizer * max(held) / (alone.weights / 4))
    assert two.gathered == 0
    shards = training_memory(shape, 2, 32, axes=Axes(pp=2, dp_shard=2))
    norm = 64  # the last one, which the formula does not count as gathered
    assert shards.gathered == 2 * 4 * (max(held) - norm)


def test_ranks_share_out_all_but_what_is_gathered() -> None:
    shape = shape_of(ModelConfig(**SHAPES[0]), 300)
    alone, total = training_memory(shape, 2, 32), count_parameters(shape).total
    four = training_memory(shape, 2, 32, axes=Axes(dp_shard=2, tp=2))
    outside = (300 + 1) * 64  # the embedding, tied, and the last norm
    assert four.weights == four.gradients == 4 * (total // 4)
    assert four.gathered == 2 * 4 * (outside // 2 + (total - outside) // 2)
    assert four.optimizer == alone.optimizer // 4
    assert four.checkpoint == alone.checkpoint // 4
    held = training_memory(shape, 2, 32, axes=Axes(dp_shard=2), reshard=False)
    assert (held.weights, held.gathered) == (4 * (total // 2), 2 * 4 * total)
    replicas = training_memory(shape, 2, 32, axes=Axes(dp_replicate=2))
    assert (replicas.weights, replicas.gathered) == (4 * total, 4 * total)
    parts = training_memory(shape, 2, 32, axes=Axes(cp=2), cp_exchange="ulysses")
    two = training_memory(shape, 2, 32, axes=Axes(dp_shard=2))
    assert (parts.weights, parts.gathered) == (two.weights, two.gathered)
    assert parts.optimizer == alone.optimizer // 2
    assert parts.activations == alone.activations // 2
    assert parts.transient == training_memory(shape, 1, 32).transient


def test_experts_that_are_spread_over_ranks_are_gathered_from_those_that_have_the_same() -> None:
    shape = shape_of(ModelConfig(**SHAPES[6]), 300)  # 8 experts
    parameters = count_parameters(shape)
    common = parameters.total - parameters.experts

    def gathered(axes: Axes) -> int:
        memory = training_memory(shape, 2, 32, axes=axes, reshard=False)
        return memory.gathered // (2 * 4)  # of weights, and as much of gradients

    assert parameters.experts
    assert gathered(Axes(dp_shard=4)) == parameters.total
    assert gathered(Axes(dp_shard=4, ep=2)) == common + parameters.experts // 2
    assert gathered(Axes(dp_shard=4, ep=4)) == common


def test_memory_parts_add_up() -> None:
    shape = shape_of(ModelConfig(**SHAPES[0]), 300)
    memory = training_memory(shape, 2, 32)
    assert memory.weights == memory.gradients == 4 * count_parameters(shape).total
    assert memory.gathered == 0
    assert memory.optimizer == 2 * memory.weights
    three = training_memory(shape, 2, 32, num_lanes=3)
    for part in ("activations", "transient"):
        assert getattr(three, part) == 3 * getattr(memory, part)
    for part in ("weights", "gradients", "optimizer"):
        assert getattr(three, part) == getattr(memory, part)
    one = activations(shape, 2, 32)
    assert memory.activations == 4 * one.kept
    loss = loss_floats(shape, 2 * 32)
    assert loss == 2 * 32 * 300 + (2 * 32 + 300) * 64  # fewer than a chunk
    assert loss_floats(shape, 100 * 32) == LOGIT_CHUNK_TOKENS * 300 + (100 * 32 + 300) * 64
    assert memory.transient == 4 * max(loss, one.transient - one.end)
    assert memory.checkpoint == memory.weights + memory.optimizer
    assert memory.total == sum(
        (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.transient)
    ) + sum((memory.weights, memory.optimizer))
    assert memory.total - training_memory(shape, 2, 32, has_copy=False).total == memory.checkpoint


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("dims", SHAPES, ids=str)
def test_optimizer_memory_is_that_of_the_real_states(dims: dict[str, Any], kind: str) -> None:
    model = build(dims, tie=False)
    optimizers = make_optimizers(model, OptimizerConfig.model_validate({"kind": kind}))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizers.step()
    states = [state for part in optimizers.parts for state in part.state.values()]
    found = sum(
        value.numel() for state in states for name, value in state.items() if name != "step"
    )
    shape = shape_of(model.config, 300)
    assert found == optimizer_floats(shape, kind, has_average=False)
    average = sum(each.numel() for each in Average(model, 1).tensors().values()) - 1  # counted
    assert found + average == optimizer_floats(shape, kind, has_average=True)


class _Largest(TorchDispatchMode):
    """Bytes of the storage behind each tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes_of: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.bytes_of[storage.data_ptr()] = storage.nbytes()
        return out


def test_the_loss_makes_what_is_counted_as_logits_and_little_else() -> None:
    """768 tokens are three chunks; what is as large as a part is one of the parts."""
    hidden = torch.randn(768, 64, requires_grad=True)
    weight = torch.randn(900, 64, requires_grad=True)
    labels = torch.zeros(768, dtype=torch.int64)
    with _Largest() as made:
        linear_cross_entropy(hidden, weight, labels)
    largest = sorted(set(made.bytes_of.values()), reverse=True)
    parts = [4 * LOGIT_CHUNK_TOKENS * 900, 4 * 900 * 64, 4 * 768 * 64]
    assert largest[:3] == parts
    shape = shape_of(ModelConfig(**SHAPES[0]), 900)
    assert 4 * loss_floats(shape, 768) == sum(parts)
