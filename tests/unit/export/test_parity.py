"""An export that computes something else is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import AutoConfig

from bessemer.config.export import ExportConfig
from bessemer.config.from_hugging_face import model_keys, read_config
from bessemer.config.model import ExpertsConfig, ModelConfig
from bessemer.core.errors import DataError
from bessemer.export.huggingface import choose_dtypes, write_model
from bessemer.export.parity import check_equal, check_parity
from bessemer.model.hugging_face import read_weights, round_weights, weight_names
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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_rounded_export_computes_what_the_rounded_model_computes(
    tokenizer: Tokenizer, tmp_path: Path, dtype: Literal["bfloat16", "float16"]
) -> None:
    model = make_model(tokenizer.vocab_size, tie=False)
    dtypes = choose_dtypes(model, ExportConfig(dtype=dtype), None)
    write_model(model, tokenizer, 64, tmp_path, dtypes=dtypes)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == dtype
    with pytest.raises(DataError, match="logits differ by"):
        check_parity(model, tokenizer, TEXTS, 64, tmp_path)
    round_weights(model, dtypes)
    assert check_parity(model, tokenizer, TEXTS, 64, tmp_path).max_logit_difference < 1e-5


def test_the_source_decides_the_dtype_of_each_tensor(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make_model(tokenizer.vocab_size, tie=False)
    assert choose_dtypes(model, ExportConfig(), None) == {}
    mixed = dict.fromkeys(weight_names(model), torch.bfloat16) | {"lm_head.weight": torch.float32}
    write_model(model, tokenizer, 64, tmp_path, dtypes=mixed)
    assert choose_dtypes(model, ExportConfig(), tmp_path) == mixed


def test_experts_keep_their_selection_bias_in_float32(tokenizer: Tokenizer) -> None:
    experts = ExpertsConfig(num_experts=4, experts_per_token=2, ffn_dim=16)
    config = make_model(tokenizer.vocab_size, tie=False).config
    model = Decoder(
        config.model_copy(update={"qk_norm": True, "experts": experts}), tokenizer.vocab_size
    )
    dtypes = choose_dtypes(model, ExportConfig(dtype="bfloat16"), None)
    kept = set(weight_names(model)) - set(dtypes)
    assert kept == {f"model.layers.{at}.mlp.gate.e_score_correction_bias" for at in (0, 1)}


def test_what_no_architecture_computes_is_read_by_bessemer_alone(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    plain = make_model(tokenizer.vocab_size, tie=True)
    model = Decoder(plain.config.model_copy(update={"logit_softcap": 5.0}), tokenizer.vocab_size)
    initialize(model, 4)
    write_model(model, tokenizer, 64, tmp_path, native=True)
    with pytest.raises(ValueError, match="bessemer"):
        AutoConfig.from_pretrained(tmp_path)
    keys, problems = model_keys(read_config(tmp_path))
    again = Decoder(ModelConfig.model_validate(keys), tokenizer.vocab_size)
    assert problems == []
    assert again.config.logit_softcap == 5.0
    read_weights(tmp_path, again)
    check_equal(model, again)
    with torch.no_grad():
        again.norm.weight[3] += 1
    with pytest.raises(DataError, match=r"norm\.weight is not what was written"):
        check_equal(model, again)


def test_a_changed_weight_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make_model(tokenizer.vocab_size, tie=True)
    write_model(model, tokenizer, 64, tmp_path)
    with torch.no_grad():
        model.layers[1].mlp.up_proj.weight[3, 5] += 0.5
    with pytest.raises(DataError, match="logits differ by"):
        check_parity(model, tokenizer, TEXTS, 64, tmp_path)


def test_logits_that_are_no_numbers_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Even if only one text, not the first, has them."""
    model = make_model(tokenizer.vocab_size, tie=False)
    with torch.no_grad():
        model.embed_tokens.weight[tokenizer.encode("x")[0]] = torch.nan
    write_model(model, tokenizer, 64, tmp_path)
    with pytest.raises(DataError, match="logits differ by nan"):
        check_parity(model, tokenizer, TEXTS, 64, tmp_path)


def test_another_tokenizer_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make_model(tokenizer.vocab_size, tie=True)
    write_model(model, tokenizer, 64, tmp_path)
    other = train_tokenizer(iter(["completely different words here, many of them"] * 3), 270)
    with pytest.raises(DataError, match="tokenizes this text differently"):
        check_parity(model, other, TEXTS, 64, tmp_path)
