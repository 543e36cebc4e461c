"""An export that computes something else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bessemer.config.model import ModelConfig
from bessemer.core.errors import DataError
from bessemer.export.huggingface import write_model
from bessemer.export.parity import check_parity
from bessemer.model.initialize import initialize
from bessemer.model.transformer import Decoder
from bessemer.tokens.tokenizer import Tokenizer, train_tokenizer

TEXTS = [
    "the iron was hot",
    "naïve café — 🙂\n\n  indented",
    "an <|end_of_text|> in words",
    "x" * 200,
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(iter(["the iron was hot and the steel was cold"] * 3), 270)


def make_model(vocab_size: int, tie: bool) -> Decoder:
    config = ModelConfig(
        num_layers=2,
        hidden_dim=32,
        num_heads=4,
        num_kv_heads=2,
        ffn_dim=48,
        init_std=0.2,
        norm_eps=1e-6,
        rope_theta=5000.0,
        tie_embeddings=tie,
    )
    model = Decoder(config, vocab_size)
    initialize(model, 1)
    return model


@pytest.mark.parametrize("tie", [True, False])
def test_what_transformers_loads_computes_the_same(
    tokenizer: Tokenizer, tmp_path: Path, tie: bool
) -> None:
    model = make_model(tokenizer.vocab_size, tie)
    write_model(model, tokenizer, 64, tmp_path)
    found = check_parity(model, tokenizer, TEXTS, 64, tmp_path)
    assert found.max_logit_difference < 1e-5
    assert found.greedy_tokens == found.greedy_tokens_equal > 0
    assert found.num_texts == 4


def test_a_changed_weight_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make_model(tokenizer.vocab_size, tie=True)
    write_model(model, tokenizer, 64, tmp_path)
    with torch.no_grad():
        model.layers[1].mlp.up_proj.weight[3, 5] += 0.5
    with pytest.raises(DataError, match="logits differ by"):
        check_parity(model, tokenizer, TEXTS, 64, tmp_path)


def test_another_tokenizer_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make_model(tokenizer.vocab_size, tie=True)
    write_model(model, tokenizer, 64, tmp_path)
    other = train_tokenizer(iter(["completely different words here, many of them"] * 3), 270)
    with pytest.raises(DataError, match="tokenizes this text differently"):
        check_parity(model, other, TEXTS, 64, tmp_path)
