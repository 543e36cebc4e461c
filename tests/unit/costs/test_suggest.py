"""Suggestions are those of the papers that they name."""

from __future__ import annotations

import pytest

from bessemer.config.model import ModelConfig
from bessemer.config.sizes import shape_of_depth
from bessemer.costs.compute import count_parameters, shape_of
from bessemer.costs.suggest import suggest


def test_rate_and_batch_are_step_laws() -> None:
    """For the layers of 12m and 100 billion tokens, worked out by hand from logarithms."""
    shape = shape_of(ModelConfig(size="12m"), 4096)
    parts = count_parameters(shape)
    layers = parts.attention + parts.feed_forward
    found = suggest(shape, 100_000_000_000)
    # 10 ** (lg 1.79 - 0.713 * lg N + 0.307 * 11), 10 ** (lg 0.58 + 0.571 * 11)
    assert layers == 8 * (4 * 320 * 320 + 3 * 320 * 896) == 10_158_080
    assert found.lr == pytest.approx(10 ** (0.252853 - 0.713 * 7.006812 + 3.377), rel=1e-4)
    assert found.batch_tokens == pytest.approx(10 ** (-0.236572 + 6.281), rel=1e-4)


def test_tokens_are_twenty_for_each_active_parameter() -> None:
    """Chinchilla itself: 70 billion parameters, 1.4 trillion tokens."""
    assert suggest(
        shape_of(ModelConfig(size="llama-3.1-70b"), 128256), 1
    ).total_tokens / 1.4e12 == (pytest.approx(1, rel=0.01))
    sparse = shape_of(ModelConfig(size="qwen3-30b-a3b"), 151936)
    assert suggest(sparse, 1).total_tokens == 20 * count_parameters(sparse).active


def test_the_depth_dial_at_twelve_is_as_wide_as_gpt2() -> None:
    model = ModelConfig.model_validate({"depth": 12})
    assert (model.num_layers, model.hidden_dim, model.num_heads, model.head_dim) == (
        12,
        768,
        12,
        64,
    )
    assert model.ffn_dim == 2048


@pytest.mark.parametrize("depth", range(1, 40))
def test_every_depth_is_a_sound_shape(depth: int) -> None:
    shape = shape_of_depth(depth)
    assert shape["hidden_dim"] % shape["num_heads"] == 0
    assert shape["ffn_dim"] % 64 == 0
    assert 0 <= shape["ffn_dim"] - shape["hidden_dim"] * 8 / 3 < 64


def test_size_and_depth_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="size and depth both ask for a shape"):
        ModelConfig.model_validate({"depth": 2, "size": "1m"})
    other = ModelConfig.model_validate({"depth": 2, "num_kv_heads": 1})
    assert (other.num_heads, other.num_kv_heads) == (2, 1)
