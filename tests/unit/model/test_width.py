"""µP keeps activations and what a step changes alike over widths; the plain scaling does not."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch

from bessemer.config.model import ModelConfig
from bessemer.config.train import OptimizerConfig
from bessemer.model.cross_entropy import linear_cross_entropy
from bessemer.model.initialize import initialize
from bessemer.model.transformer import Decoder
from bessemer.model.width import lr_multiplier
from bessemer.train.optim import make_optimizers

from . import decoders as small

VOCAB, STEPS, LR = 64, 4, 5e-4
WIDTHS = (32, 64, 128, 256)


def make_decoder(width: int, **changes: Any) -> Decoder:
    """Wider by more heads, all eight wide."""
    config = ModelConfig.model_validate(
        {
            "num_layers": 2,
            "hidden_dim": width,
            "num_heads": width // 8,
            "num_kv_heads": width // 8,
            "ffn_dim": 2 * width,
            **changes,
        }
    )
    model = Decoder(config, VOCAB)
    initialize(model, 1)
    return model


def moves(width: int, **changes: Any) -> dict[str, float]:
    """Root mean square of what a few steps of Adam change in hidden states and in logits."""
    model = make_decoder(width, **changes)
    ids = torch.randint(0, VOCAB, (8, 17), generator=torch.Generator().manual_seed(0))

    def measure() -> dict[str, torch.Tensor]:
        with torch.no_grad():
            found = {"logits": model(ids[:, :-1])}
            hook = model.layers[-1].register_forward_hook(
                lambda _, __, out: found.update(stream=out[0])
            )
            model(ids[:, :-1])
            hook.remove()
        return found

    before = measure()
    optimizers = make_optimizers(
        model,
        OptimizerConfig(lr=LR, weight_decay=0.0),
        partial(lr_multiplier, model.config),
    )
    for _ in range(STEPS):
        hidden_BTD, _ = model.hidden_states(ids[:, :-1])
        total, _ = linear_cross_entropy(
            hidden_BTD.flatten(0, 1), model.output_weight, ids[:, 1:].flatten()
        )
        optimizers.zero_grad()
        (total / 128).backward()
        optimizers.step()
    after = measure()
    return {name: float((after[name] - before[name]).square().mean().sqrt()) for name in before}


def growth(**changes: Any) -> dict[str, float]:
    """Exponent of the width in what a few steps change, by least squares over all widths."""
    x = torch.tensor([math.log(width) for width in WIDTHS])
    found = [moves(width, **changes) for width in WIDTHS]
    slopes = {}
    for name in found[0]:
        y = torch.tensor([math.log(each[name]) for each in found])
        slopes[name] = float(
            ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
        )
    return slopes


@pytest.mark.parametrize("tie", [True, False])
def test_coordinate_check(tie: bool) -> None:
    """The check of Tensor Programs V, figure 5: with µP, what a few steps change stays of the same
    size over widths; without it, it grows. Logits may shrink: what reaches them through the output
    weights' initial values fades as 1 / sqrt(width), by design."""
    mup = growth(width_scaling="mup", base_width=32, tie_embeddings=tie)
    plain = growth(tie_embeddings=tie)
    assert abs(mup["stream"]) < 0.15
    assert -0.6 < mup["logits"] < 0.1
    assert min(plain.values()) > 0.5


def test_nothing_changes_at_the_base_width() -> None:
    plain = make_decoder(64)
    mup = make_decoder(64, width_scaling="mup", base_width=64)
    for (name, ours), theirs in zip(plain.named_parameters(), mup.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
        assert lr_multiplier(mup.config, name) == 1


@pytest.mark.parametrize("qk_norm", [True, False])
def test_spreads_and_rates_are_those_of_the_table(qk_norm: bool) -> None:
    """Four times as wide, heads four times as wide too."""
    model = make_decoder(
        256,
        width_scaling="mup",
        base_width=64,
        num_heads=8,
        num_kv_heads=8,
        base_head_dim=8,
        tie_embeddings=False,
        qk_norm=qk_norm,
    )
    base, inside = 1 / 8, 1 / 2  # 64 ** -0.5, and (8 / 32) ** 0.5
    norm = "layers.1.self_attn.q_norm.weight"
    expected = {
        "embed_tokens.weight": (base, 1.0),
        "lm_head.weight": (base, 1.0),
        "layers.1.mlp.up_proj.weight": (base / 2, 1 / 4),
        "layers.1.self_attn.o_proj.weight": (base / 2 / 2, 1 / 4),  # two layers: / sqrt(4)
        "layers.1.self_attn.k_proj.weight": (base / 2, 1 / 4),
        "layers.1.self_attn.q_proj.weight": (base / 2, 1 / 4)
        if qk_norm
        else (base / 2 * inside, inside / 4),
    }
    for name, (spread, rate) in expected.items():
        # The standard error of a standard deviation over n draws is std / sqrt(2 n): under 0.6 %.
        assert model.get_parameter(name).std().item() == pytest.approx(spread, rel=0.03), name
        assert lr_multiplier(model.config, name) == pytest.approx(rate), name
    gains = {"norm.weight": 1 / 4, "layers.1.input_layernorm.weight": 1.0}
    for name, gain in (gains | ({norm: inside} if qk_norm else {})).items():
        assert torch.equal(
            model.get_parameter(name), torch.full_like(model.get_parameter(name), gain)
        )
        assert lr_multiplier(model.config, name) == gain


@pytest.mark.parametrize("qk_norm", [True, False])
def test_a_decoder_by_mup_is_exact_in_transformers(qk_norm: bool) -> None:
    """Its multipliers are in its weights: transformers needs to know of none."""
    model = small.make_decoder(
        width_scaling="mup", base_width=8, base_head_dim=4, qk_norm=qk_norm, tie_embeddings=True
    )
    ids = small.random_ids(2, 16)
    with torch.no_grad():
        theirs = small.make_twin(model)(ids).logits
        torch.testing.assert_close(model(ids), theirs, atol=2e-5, rtol=1e-5)
