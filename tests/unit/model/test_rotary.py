"""Rotary positions follow their formulas."""

from __future__ import annotations

import torch

from bessemer.config.model import ModelConfig
from bessemer.model.rotary import rotary_tables, rotate

CONFIG = ModelConfig(
    num_layers=1, hidden_dim=8, num_heads=2, num_kv_heads=2, ffn_dim=8, rope_theta=100.0
)


def test_rotary_angles_follow_the_formula() -> None:
    cos, sin = rotary_tables(CONFIG, torch.tensor([[0, 5]]))
    angles = torch.tensor([5.0 * 100.0**0, 5.0 * 100.0**-0.5])
    assert cos.shape == (1, 2, 1, 4)
    torch.testing.assert_close(cos[0, 0, 0], torch.ones(4))
    torch.testing.assert_close(cos[0, 1, 0], torch.cat([angles.cos(), angles.cos()]))
    torch.testing.assert_close(sin[0, 1, 0], torch.cat([angles.sin(), angles.sin()]))


def test_a_product_of_rotated_heads_depends_on_their_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 1, 4, generator=generator) for _ in range(2))

    def product(at_q: int, at_k: int) -> torch.Tensor:
        turned_q = rotate(q, *rotary_tables(CONFIG, torch.tensor([[at_q]])))
        turned_k = rotate(k, *rotary_tables(CONFIG, torch.tensor([[at_k]])))
        return (turned_q * turned_k).sum()

    torch.testing.assert_close(product(9, 4), product(1005, 1000), atol=1e-4, rtol=1e-4)
    assert not torch.isclose(product(9, 4), product(9, 5))
