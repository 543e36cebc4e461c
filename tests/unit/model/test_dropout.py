"""Dropout is a function of the sample: of the promised share, independent, anywhere the same."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from bessemer.model.dropout import drop, dropout_keys

from .decoders import make_decoder, random_ids

KEYS = dropout_keys(7, torch.arange(4))


def dropped(keys_B: torch.Tensor, rate: float = 0.25, place: int = 3) -> torch.Tensor:
    return drop(torch.ones(len(keys_B), 128, 96), rate, keys_B, place) == 0


@pytest.mark.parametrize("rate", [0.05, 0.25, 0.5, 0.9])
def test_the_share_is_the_rate_and_the_mean_stays(rate: float) -> None:
    x = torch.ones(4, 128, 96)
    y = drop(x, rate, KEYS, 0)
    # Five standard errors of a share over that many draws.
    bound = 5 * math.sqrt(rate * (1 - rate) / x.numel())
    assert abs((y == 0).double().mean().item() - rate) < bound
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - rate)))


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("distance", [1, 2, 3])
def test_neighbours_are_independent(dim: int, distance: int) -> None:
    """Samples, tokens and elements: correlation within five standard errors, 5 / sqrt(n)."""
    z = (dropped(dropout_keys(1, torch.arange(8))).double() - 0.25) / math.sqrt(0.25 * 0.75)
    product = z.narrow(dim, distance, z.shape[dim] - distance) * z.narrow(
        dim, 0, z.shape[dim] - distance
    )
    assert abs(product.mean().item()) < 5 / math.sqrt(product.numel())


def test_places_and_seeds_are_independent() -> None:
    here = dropped(KEYS).double() - 0.25
    for other in (dropped(KEYS, place=4), dropped(dropout_keys(8, torch.arange(4)))):
        product = here * (other.double() - 0.25)
        assert abs(product.mean().item()) < 5 * 0.25 * 0.75 / math.sqrt(product.numel())


def test_a_sample_loses_the_same_in_any_company() -> None:
    model, ids = make_decoder(dropout=0.3), random_ids(4, 12)
    keys = dropout_keys(7, torch.tensor([5, 9, 2, 11]))
    whole, _ = model.hidden_states(ids, dropout_keys_B=keys)
    for row in range(4):
        alone, _ = model.hidden_states(ids[row : row + 1], dropout_keys_B=keys[row : row + 1])
        # Equal sums in another order where matrix products see another number of rows.
        torch.testing.assert_close(alone[0], whole[row], atol=2e-5, rtol=1e-5)
    again, _ = model.hidden_states(ids, dropout_keys_B=keys)
    assert torch.equal(whole, again)
    plain, _ = model.hidden_states(ids)
    assert not torch.isclose(whole, plain).all(dim=-1).any()


def test_without_keys_nothing_is_dropped() -> None:
    ids = random_ids(2, 9)
    assert torch.equal(make_decoder(dropout=0.9)(ids), make_decoder()(ids))


def test_a_layer_that_is_computed_again_drops_the_same() -> None:
    ids, keys = random_ids(2, 12), dropout_keys(0, torch.arange(2))
    gradients = []
    for recompute in (False, True):
        model = make_decoder(dropout=0.4)
        for layer in model.layers if recompute else ():
            forward = layer.forward
            layer.forward = lambda *args, forward=forward: checkpoint(
                forward, *args, use_reentrant=False
            )
        x_BTD, _ = model.hidden_states(ids, dropout_keys_B=keys)
        x_BTD.square().sum().backward()
        gradients.append([p.grad for p in model.layers.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.equal(ours, theirs)
