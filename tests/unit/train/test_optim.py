"""Which parameters move how: AdamW against plain Python, Muon's share, groups by name."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bessemer.config.check import cross_check
from bessemer.config.model import ExpertsConfig, ModelConfig
from bessemer.config.train import OptimizerConfig, TrainConfig
from bessemer.core.errors import ConfigError
from bessemer.model.transformer import Decoder
from bessemer.train.muon import Muon
from bessemer.train.optim import choose_settings, make_optimizers, plain_name

VOCAB_SIZE = 30


def make_decoder(**changes: object) -> Decoder:
    settings = {"num_layers": 2, "hidden_dim": 8, "num_heads": 2, "num_kv_heads": 2, "ffn_dim": 12}
    return Decoder(ModelConfig.model_validate(settings | changes), VOCAB_SIZE)


def config(**settings: object) -> OptimizerConfig:
    return OptimizerConfig.model_validate({"lr": 0.5, "weight_decay": 0.2} | settings)


def test_adamw_is_its_definition_in_plain_python() -> None:
    """Algorithm 2 of Loshchilov and Hutter 2019, one number at a time, in float64."""
    settings = config(lr=0.1, beta1=0.8, beta2=0.9, eps=1e-6)
    model = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(0.7)
    optimizers = make_optimizers(model, settings)
    weight, first, second = 0.7, 0.0, 0.0
    for step, gradient in enumerate([0.3, -0.2, 0.0, 1.5, -4.0], start=1):
        factor = 1 / step
        optimizers.set_learning_rate(factor)
        model.weight.grad = torch.tensor([[gradient]], dtype=torch.float64)
        optimizers.step()
        first = 0.8 * first + 0.2 * gradient
        second = 0.9 * second + 0.1 * gradient**2
        weight *= 1 - 0.1 * factor * 0.2
        corrected = math.sqrt(second / (1 - 0.9**step)) + 1e-6
        weight -= 0.1 * factor * first / (1 - 0.8**step) / corrected
        assert model.weight.item() == pytest.approx(weight, rel=1e-12)


def test_decay_touches_matrices_only() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.RMSNorm(3))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizers = make_optimizers(model, config())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizers.step()  # no gradient: AdamW only decays, by lr * weight_decay
    torch.testing.assert_close(model[0].weight, before["0.weight"] * (1 - 0.5 * 0.2))
    assert torch.equal(model[0].bias, before["0.bias"])
    assert torch.equal(model[1].weight, before["1.weight"])


def test_muon_takes_the_hidden_matrices() -> None:
    decoder = make_decoder(
        tie_embeddings=False,
        qk_norm=True,
        experts=ExpertsConfig(num_experts=4, experts_per_token=2, ffn_dim=8),
    )
    optimizers = make_optimizers(decoder, config(kind="muon"))
    taken = {
        name
        for part in optimizers.parts
        if isinstance(part, Muon)
        for group in part.param_groups
        for name, parameter in decoder.named_parameters()
        if any(parameter is each for each in group["params"])
    }
    projections = {f"self_attn.{name}_proj.weight" for name in "qkvo"}
    feed_forward = {f"mlp.experts.{name}_proj" for name in ("gate", "up", "down")}
    feed_forward |= {f"mlp.shared_experts.{name}_proj.weight" for name in ("gate", "up", "down")}
    assert taken == {f"layers.{n}.{name}" for n in (0, 1) for name in projections | feed_forward}
    held = [p for part in optimizers.parts for group in part.param_groups for p in group["params"]]
    assert len(held) == len(set(held)) == len(list(decoder.parameters()))


def test_groups_change_rates_and_decay_by_name() -> None:
    settings = config(
        kind="muon",
        muon={"lr_factor": 3.0},
        group=[
            {"match": "embed_tokens.*", "weight_decay": 0.0},
            {"match": "layers.*.q_proj.weight", "lr_factor": 0.5, "weight_decay": 0.1},
            {"match": "layers.1.*", "lr_factor": 2.0},
            {"match": "*norm.weight", "weight_decay": 0.4},
        ],
    )
    chosen = choose_settings(dict(make_decoder(tie_embeddings=False).named_parameters()), settings)

    def of(name: str) -> tuple[str, float, float]:
        return chosen[name].kind, chosen[name].lr, chosen[name].weight_decay

    assert of("embed_tokens.weight") == ("adamw", 0.5, 0.0)
    assert of("lm_head.weight") == ("adamw", 0.5, 0.2)
    assert of("norm.weight") == ("adamw", 0.5, 0.4)
    assert of("layers.0.self_attn.q_proj.weight") == ("muon", 0.75, 0.1)
    assert of("layers.1.self_attn.q_proj.weight") == ("muon", 3.0, 0.1)
    assert of("layers.1.mlp.up_proj.weight") == ("muon", 3.0, 0.2)
    assert of("layers.1.input_layernorm.weight") == ("adamw", 1.0, 0.4)


def test_a_group_that_matches_nothing_is_an_error() -> None:
    settings = config(group=[{"match": "layers.*"}, {"match": "transformer.h.*"}])
    with pytest.raises(ConfigError, match=r"train\.optimizer\.group\[1\]\.match"):
        make_optimizers(make_decoder(), settings)


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch's own
def test_wrapped_modules_have_the_same_settings() -> None:
    decoder = make_decoder()
    expected = choose_settings(dict(decoder.named_parameters()), config(kind="muon"))
    decoder.layers[0] = torch.compile(decoder.layers[0])
    wrapped = nn.Module()
    wrapped.module = decoder  # as DistributedDataParallel does
    names = [name for name, _ in wrapped.named_parameters()]
    assert any("_orig_mod" in name for name in names)
    assert [plain_name(name) for name in names] == list(expected)
    kinds = [type(part) for part in make_optimizers(wrapped, config(kind="muon")).parts]
    assert kinds == [torch.optim.AdamW, Muon]
    assert plain_name("layers.0._checkpoint_wrapped_module.mlp.up_proj.weight") == (
        "layers.0.mlp.up_proj.weight"
    )


def test_the_rate_reaches_every_group_and_stays_in_proportion() -> None:
    settings = config(kind="muon", muon={"lr_factor": 4.0})
    optimizers = make_optimizers(make_decoder(), settings)
    for factor in (0.5, 0.25, 1.0):
        optimizers.set_learning_rate(factor)
        adamw, muon = ({group["lr"] for group in part.param_groups} for part in optimizers.parts)
        assert (adamw, muon) == ({0.5 * factor}, {2.0 * factor})


def test_frozen_parameters_have_no_optimizer() -> None:
    decoder = make_decoder()
    decoder.embed_tokens.weight.requires_grad_(False)
    parts = make_optimizers(decoder, config()).parts
    held = [p for part in parts for group in part.param_groups for p in group["params"]]
    assert all(parameter.requires_grad for parameter in held)


def test_muon_under_width_scaling_needs_the_spectral_scale() -> None:
    model = make_decoder(width_scaling="mup", base_width=8).config

    def faults(scale: str) -> list[str]:
        train = TrainConfig(
            seq_len=10,
            global_batch_tokens=100,
            total_tokens=1000,
            optimizer=config(kind="muon", muon={"scale": scale}),
        )
        return [str(fault) for fault in cross_check({"model": model, "train": train})]

    assert not faults("spectral")
    assert any("train.optimizer.muon.scale" in fault for fault in faults("adamw"))
