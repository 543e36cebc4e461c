"""Generation with kept keys equals generation without, for every family."""

from __future__ import annotations

import pytest
import torch

from bessemer.model.attention import Past
from bessemer.model.generate import generate

from .decoders import FAMILIES, make_decoder, random_ids


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_with_kept_keys_equal_logits_without(family: str) -> None:
    model = make_decoder(family)
    ids = random_ids(2, 20)
    past = [Past() for _ in model.layers]
    with torch.no_grad():
        parts = [model(ids[:, :7], past=past)]
        parts += [model(ids[:, at : at + 1], past=past) for at in range(7, 20)]
        at_once = model(ids)
    # Equal sums in another order where matrix products see another number of rows.
    torch.testing.assert_close(torch.cat(parts, dim=1), at_once, atol=2e-5, rtol=1e-5)


def test_greedy_generation_takes_the_likeliest_token_each_time() -> None:
    model = make_decoder("llama, one key head")
    context = [3, 1, 4, 1, 5]
    options = {"max_new_tokens": 20, "window": 64, "end_id": -1, "temperature": 0}
    written = list(generate(model, context, **options))
    for token in written:
        with torch.no_grad():
            assert token == int(model(torch.tensor([context]))[0, -1].argmax())
        context.append(token)
    assert len(set(written)) > 1


def test_generation_goes_on_beyond_its_window() -> None:
    model = make_decoder()
    written = list(
        generate(model, [1, 2], max_new_tokens=50, window=16, end_id=-1, temperature=1.0, seed=4)
    )
    assert len(written) == 50


def test_generation_is_a_function_of_its_seed() -> None:
    model = make_decoder()
    options = {"max_new_tokens": 30, "window": 64, "end_id": -1, "temperature": 1.5}
    first, again = (list(generate(model, [1], seed=5, **options)) for _ in range(2))
    assert first == again
    assert first != list(generate(model, [1], seed=6, **options))


def test_generation_ends_at_the_end_token() -> None:
    model = make_decoder()
    options = {"max_new_tokens": 30, "window": 64, "temperature": 0}
    free = list(generate(model, [1], end_id=-1, **options))
    end = free[-1]
    assert list(generate(model, [1], end_id=end, **options)) == free[: free.index(end)]


def test_top_p_draws_only_from_the_nucleus() -> None:
    """With top_p at the likeliest token's mass, sampling is greedy whatever the temperature."""
    model = make_decoder()
    options = {"max_new_tokens": 12, "window": 64, "end_id": -1}
    greedy = list(generate(model, [1], temperature=0, **options))
    assert list(generate(model, [1], temperature=1.0, top_p=1e-6, **options)) == greedy


def test_past_holds_what_it_was_given() -> None:
    past = Past()
    assert past.length == 0
    keys, values = torch.ones(1, 3, 2, 4), torch.zeros(1, 3, 2, 4)
    past.append(keys, values)
    all_keys, _ = past.append(keys[:, :1] * 5, values[:, :1])
    assert past.length == 4
    assert all_keys[0, :, 0, 0].tolist() == [1, 1, 1, 5]


def test_past_forgets_what_its_window_has_left_behind() -> None:
    past = Past()
    for token in range(5):
        keys, values = past.append(*torch.full((2, 1, 1, 2, 4), float(token)), window=3)
    assert past.length == 5
    assert keys[0, :, 0, 0].tolist() == values[0, :, 0, 0].tolist() == [2, 3, 4]
