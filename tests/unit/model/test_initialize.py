"""Initial weights are a function of seed and name, with the spread that is promised."""

from __future__ import annotations

import pytest
import torch

from bessemer.config.model import ModelConfig
from bessemer.model.initialize import initialize
from bessemer.model.transformer import Decoder

from .decoders import VOCAB, make_decoder


def test_initial_weights_depend_on_seed_and_name_alone() -> None:
    first, again, other = make_decoder(seed=1), make_decoder(seed=1), make_decoder(seed=2)
    for (name, a), (_, b), (_, c) in zip(
        first.named_parameters(), again.named_parameters(), other.named_parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        assert a.ndim == 1 or not torch.equal(a, c), name
    # A deeper model shares the weights of the layers that both have, but for the residual scale.
    deep = Decoder(first.config.model_copy(update={"num_layers": 5}), VOCAB)
    initialize(deep, 1)
    assert torch.equal(first.embed_tokens.weight, deep.embed_tokens.weight)
    assert torch.equal(first.layers[1].mlp.up_proj.weight, deep.layers[1].mlp.up_proj.weight)


def test_initial_weights_have_the_spread_that_is_promised() -> None:
    config = ModelConfig(num_layers=8, hidden_dim=256, num_heads=4, num_kv_heads=4, ffn_dim=512)
    model = Decoder(config, 512)
    initialize(model, 0)
    layer = model.layers[0]
    # The standard error of a standard deviation over n draws is std / sqrt(2 n): under 0.3 % here.
    assert layer.mlp.up_proj.weight.std().item() == pytest.approx(1 / 16, rel=0.02)
    assert layer.mlp.down_proj.weight.std().item() == pytest.approx(1 / 64, rel=0.02)
    assert torch.equal(layer.input_layernorm.weight, torch.ones(256))
