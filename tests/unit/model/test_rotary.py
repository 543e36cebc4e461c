"""Rotary positions follow their formulas."""

from __future__ import annotations

import pytest
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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_pairs_are_turned_like_complex_numbers_in_float32_at_least(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x_BTHK = torch.randn(2, 3, 2, 4, generator=generator, dtype=torch.float64).to(dtype)
    cos, sin = rotary_tables(CONFIG, torch.tensor([[0, 1, 7], [3, 2, 900]]))
    pairs = torch.complex(*x_BTHK.double().chunk(2, dim=-1))
    turned = pairs * torch.complex(*(table.double().chunk(2, dim=-1)[0] for table in (cos, sin)))
    expected = torch.cat((turned.real, turned.imag), dim=-1)
    found = rotate(x_BTHK, cos, sin)
    assert found.dtype == dtype
    if dtype == torch.bfloat16:  # one rounding, at the end; of near ties the other way, too
        assert (found == expected.bfloat16()).float().mean() > 0.95
    else:
        torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    cos, sin = rotary_tables(CONFIG, torch.tensor([[0, 3]]))
    x_BTHK = torch.randn(1, 2, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, 1.5 * cos, 1.5 * sin), (x_BTHK,))


def test_a_product_of_rotated_heads_depends_on_their_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 1, 4, generator=generator) for _ in range(2))

    def product(at_q: int, at_k: int) -> torch.Tensor:
        turned_q = rotate(q, *rotary_tables(CONFIG, torch.tensor([[at_q]])))
        turned_k = rotate(k, *rotary_tables(CONFIG, torch.tensor([[at_k]])))
        return (turned_q * turned_k).sum()

    torch.testing.assert_close(product(9, 4), product(1005, 1000), atol=1e-4, rtol=1e-4)
    assert not torch.isclose(product(9, 4), product(9, 5))
