"""The decoder computes what Hugging Face's Llama computes, and keeps packed documents apart."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bessemer.config.model import ModelConfig
from bessemer.model.attention import Past, document_mask, document_positions, rotary_tables
from bessemer.model.generate import generate
from bessemer.model.initialize import initialize
from bessemer.model.transformer import Decoder

VOCAB = 67


def make_decoder(num_kv_heads: int = 2, tie_embeddings: bool = True, seed: int = 3) -> Decoder:
    config = ModelConfig(
        num_layers=3,
        hidden_dim=32,
        num_heads=4,
        num_kv_heads=num_kv_heads,
        ffn_dim=48,
        init_std=0.2,
        tie_embeddings=tie_embeddings,
    )
    model = Decoder(config, VOCAB)
    initialize(model, seed)
    return model


def make_llama(model: Decoder) -> LlamaForCausalLM:
    """Hugging Face's model with the same weights, built from its own config class."""
    config = model.config
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB,
            hidden_size=config.hidden_dim,
            intermediate_size=config.ffn_dim,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_kv_heads,
            rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=config.tie_embeddings,
            max_position_embeddings=128,
        )
    ).eval()
    renamed = {
        name if name.startswith("lm_head.") else f"model.{name}": tensor
        for name, tensor in model.state_dict().items()
    }
    theirs.load_state_dict(renamed)
    return theirs


def random_ids(batch: int, length: int) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_logits_and_gradients_equal_hugging_face(num_kv_heads: int, tie_embeddings: bool) -> None:
    ours = make_decoder(num_kv_heads, tie_embeddings)
    theirs = make_llama(ours)
    ids = random_ids(2, 19)
    our_logits, their_logits = ours(ids), theirs(ids).logits
    # float32 through three layers: differences are rounding in the order of sums.
    torch.testing.assert_close(our_logits, their_logits, atol=2e-5, rtol=1e-5)
    our_logits.square().mean().backward()
    their_logits.square().mean().backward()
    their_grads = {name.removeprefix("model."): p.grad for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, their_grads[name], atol=2e-5, rtol=1e-3)


def test_packed_documents_equal_documents_alone() -> None:
    model = make_decoder()
    first, second = random_ids(1, 7), random_ids(1, 9) + 1
    second = second % VOCAB
    packed = torch.cat([first, second], dim=1)
    documents = torch.tensor([[11] * 7 + [5] * 9])
    with torch.no_grad():
        logits = model(packed, documents)
        alone = torch.cat([model(first), model(second)], dim=1)
    torch.testing.assert_close(logits, alone, atol=1e-5, rtol=1e-5)


def test_changing_one_document_leaves_the_other_ones_logits_untouched() -> None:
    model = make_decoder()
    ids = random_ids(1, 16)
    documents = torch.tensor([[1] * 6 + [2] * 10])
    changed = ids.clone()
    changed[0, :6] = (changed[0, :6] + 7) % VOCAB
    with torch.no_grad():
        before, after = model(ids, documents), model(changed, documents)
    assert torch.equal(before[0, 6:], after[0, 6:])
    assert not torch.equal(before[0, :6], after[0, :6])


def test_no_token_sees_the_future() -> None:
    model = make_decoder()
    ids = random_ids(1, 12)
    changed = ids.clone()
    changed[0, 8] = (changed[0, 8] + 1) % VOCAB
    with torch.no_grad():
        before, after = model(ids), model(changed)
    assert torch.equal(before[0, :8], after[0, :8])
    assert not torch.equal(before[0, 8:], after[0, 8:])


def test_mask_and_positions_of_packed_documents() -> None:
    documents = torch.tensor([[4, 4, 9, 9, 9, -1]])
    assert document_positions(documents).tolist() == [[0, 1, 0, 1, 2, 0]]
    may_look = document_mask(documents, torch.float32)[0, 0] == 0
    assert may_look.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]


def test_rotary_angles_follow_the_formula() -> None:
    cos, sin = rotary_tables(torch.tensor([[0, 5]]), head_dim=4, theta=100.0)
    angles = torch.tensor([5.0 * 100.0**0, 5.0 * 100.0**-0.5])
    assert cos.shape == (1, 1, 2, 4)
    torch.testing.assert_close(cos[0, 0, 0], torch.ones(4))
    torch.testing.assert_close(cos[0, 0, 1], torch.cat([angles.cos(), angles.cos()]))
    torch.testing.assert_close(sin[0, 0, 1], torch.cat([angles.sin(), angles.sin()]))


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


def test_generation_with_kept_keys_equals_generation_without() -> None:
    model = make_decoder()
    prompt = [3, 1, 4, 1, 5]
    options = {"max_new_tokens": 20, "window": 64, "end_id": -1, "temperature": 0}
    written = list(generate(model, prompt, **options))
    context = list(prompt)
    for token in written:
        with torch.no_grad():
            logits = model(torch.tensor([context]))[0, -1]
        assert token == int(logits.argmax())
        context.append(token)


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
    end = free[4]
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
    keys, values = torch.ones(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    past.append(keys, values)
    all_keys, _ = past.append(keys[:, :, :1] * 5, values[:, :, :1])
    assert past.length == 4
    assert all_keys[0, 0, :, 0].tolist() == [1, 1, 1, 5]
