"""Initial weights are a function of seed and name, with the spread that is promised."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import torch

from bessemer.config.model import ModelConfig
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.model.initialize import initial_part, initialize
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


@pytest.mark.parametrize("name", ["embed_tokens.weight", "layers.1.mlp.down_proj.weight"])
def test_any_part_can_be_made_alone(name: str) -> None:
    config = ModelConfig(num_layers=2, hidden_dim=24, num_heads=2, num_kv_heads=2, ffn_dim=40)
    model = Decoder(config, VOCAB)
    initialize(model, 8)
    whole = model.get_parameter(name)
    for part in [
        (slice(None), slice(None)),
        (slice(5, 9), slice(None)),
        (slice(None), slice(3, 20)),
        (slice(20, 21), slice(1, None)),
        (slice(4, 4), slice(None)),
    ]:
        assert torch.equal(initial_part(config, name, whole.shape, part, 8), whole[part])


def test_a_part_of_three_dims() -> None:
    config = make_decoder().config
    whole = initial_part(config, "x", (3, 4, 5), (slice(None),) * 3, 1)
    part = (slice(1, 3), slice(2, 4), slice(1, 4))
    assert torch.equal(initial_part(config, "x", (3, 4, 5), part, 1), whole[part])


def test_an_element_is_what_its_hash_says() -> None:
    """One element, by hand: the inverse distribution at the hash of (seed, name, index)."""
    config = ModelConfig(num_layers=2, hidden_dim=64, num_heads=2, num_kv_heads=2, ffn_dim=64)
    name, place = "layers.0.mlp.up_proj.weight", (3, 5)
    part = tuple(slice(at, at + 1) for at in place)
    found = initial_part(config, name, (64, 64), part, 6).item()
    upper = int(hash_indices(derive_key(6, "initialize", name), np.array([3 * 64 + 5]))[0]) >> 12
    assert found == pytest.approx(NormalDist(0, 1 / 8).inv_cdf((upper + 0.5) / 2**52), rel=1e-6)


def test_threads_change_nothing() -> None:
    config = ModelConfig(num_layers=1, hidden_dim=16, num_heads=2, num_kv_heads=2, ffn_dim=16)
    models = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        models.append(Decoder(config, 150_000))  # the embedding takes three chunks
        initialize(models[-1], 2)
    torch.set_num_threads(before)
    assert torch.equal(models[0].embed_tokens.weight, models[1].embed_tokens.weight)
