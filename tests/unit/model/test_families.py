"""Every family computes what `transformers` computes, and keeps packed documents apart."""

from __future__ import annotations

import pytest
import torch

from bessemer.model import attend
from bessemer.model.transformer import Decoder

from .decoders import FAMILIES, VOCAB, as_theirs, make_decoder, make_twin, random_ids


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_equal_transformers(family: str) -> None:
    ours = make_decoder(family)
    theirs = make_twin(ours)
    ids = random_ids(2, 19)
    our_logits, their_logits = ours(ids), theirs(ids).logits
    # float32 through three layers: differences are rounding in the order of sums.
    torch.testing.assert_close(our_logits, their_logits, atol=2e-5, rtol=1e-5)
    our_logits.square().mean().backward()
    their_logits.square().mean().backward()
    theirs_found = {name: p.grad for name, p in theirs.named_parameters()}
    ours_found = as_theirs({name: p.grad for name, p in ours.named_parameters()})
    assert ours_found.keys() == theirs_found.keys()
    for name, gradient in ours_found.items():
        torch.testing.assert_close(gradient, theirs_found[name], atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_documents_equal_documents_alone(family: str) -> None:
    model = make_decoder(family)
    first, second = random_ids(1, 7), (random_ids(1, 9) + 1) % VOCAB
    documents = torch.tensor([[11] * 7 + [5] * 9])
    with torch.no_grad():
        logits = model(torch.cat([first, second], dim=1), documents)
        alone = torch.cat([model(first), model(second)], dim=1)
    # Equal sums in another order where matrix products see another number of rows.
    torch.testing.assert_close(logits, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("call_products", [0, 10**12], ids=["piece by piece", "under a mask"])
@pytest.mark.parametrize("family", FAMILIES)
def test_changing_one_document_leaves_the_others_untouched(
    family: str, call_products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attend, "_CALL_PRODUCTS", call_products)
    model = make_decoder(family)
    ids = random_ids(2, 64)
    documents = torch.arange(8).repeat_interleave(16).view(2, -1)
    is_changed = documents == 2
    changed = torch.where(is_changed, (ids + 7) % VOCAB, ids)
    with torch.no_grad():
        before, after = model(ids, documents), model(changed, documents)
        assert_untouched(model, before[~is_changed], after[~is_changed])
    assert not torch.isclose(before[is_changed], after[is_changed]).all()


def assert_untouched(model: Decoder, before: torch.Tensor, after: torch.Tensor) -> None:
    """Bit for bit; but with experts, how many rows an expert's product has depends on all tokens,
    and with it the order in which a library adds: equal to rounding only."""
    if model.config.experts is None:
        assert torch.equal(before, after)
    else:
        torch.testing.assert_close(before, after, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_sees_the_future(family: str) -> None:
    model = make_decoder(family)
    ids = random_ids(1, 12)
    changed = ids.clone()
    changed[0, 8] = (changed[0, 8] + 1) % VOCAB
    with torch.no_grad():
        before, after = model(ids), model(changed)
    assert_untouched(model, before[0, :8], after[0, :8])
    assert not torch.isclose(before[0, 8:], after[0, 8:]).all()


def test_a_window_hides_what_is_further_back() -> None:
    """Three layers of a window of five see 3 * (5 - 1) tokens back, and not one more."""
    model = make_decoder("mistral")
    ids = random_ids(1, 30)
    changed = ids.clone()
    changed[0, 10] = (changed[0, 10] + 1) % VOCAB
    with torch.no_grad():
        before, after = model(ids), model(changed)
    moved = (before != after).any(dim=-1)[0].nonzero().flatten().tolist()
    assert moved[0] == 10
    assert moved[-1] == 22


def test_logits_are_capped() -> None:
    capped, free = make_decoder(logit_softcap=2.0), make_decoder()
    ids = random_ids(1, 12)
    with torch.no_grad():
        found, raw = capped(ids), free(ids)
    assert raw.abs().max() > 2
    torch.testing.assert_close(found.double(), 2 * torch.tanh(raw.double() / 2))


@pytest.mark.parametrize("family", ["llama", "llama, one key head"])
def test_logits_are_hidden_states_times_the_output_weight(family: str) -> None:
    model = make_decoder(family)
    ids = random_ids(2, 9)
    x_BTD, routing = model.hidden_states(ids)
    assert routing is None
    assert torch.equal(model(ids), x_BTD @ model.output_weight.T)
