"""Weights come from Hugging Face folders and go back to them, bit by bit, or not at all."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from bessemer.config.from_hugging_face import INDEX, WEIGHTS, model_keys
from bessemer.config.hugging_face import architecture_keys
from bessemer.config.model import ModelConfig
from bessemer.core.errors import DataError
from bessemer.model.hugging_face import read_dtypes, read_weights, write_weights
from bessemer.model.transformer import Decoder

from .decoders import FAMILIES, VOCAB, make_decoder, make_twin, random_ids

# What transformers itself writes for these; one of each architecture.
SAVED = ["llama, llama3", "llama, yarn", "mistral", "ministral", "qwen3, sliding",
         "qwen3_moe", "dots1", "dots1, sliding"]  # fmt: skip


def decoder_of(folder: Path) -> Decoder:
    """What our config makes of a folder, with its weights."""
    keys, problems = model_keys(json.loads((folder / "config.json").read_text()))
    assert problems == []
    model = Decoder(ModelConfig.model_validate(keys), VOCAB)
    read_weights(folder, model)
    return model


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: tensor
        for path in folder.glob("*.safetensors")
        for name, tensor in load_file(path).items()
    }


@pytest.mark.parametrize("family", SAVED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_what_transformers_saved_is_loaded_and_written_bit_by_bit(
    tmp_path: Path, family: str, dtype: torch.dtype
) -> None:
    theirs = make_twin(make_decoder(family)).to(dtype)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20kB")
    assert (tmp_path / "theirs" / INDEX).exists()
    ours = decoder_of(tmp_path / "theirs")
    ids = random_ids(2, 24)
    with torch.no_grad():
        # Loaded anew: rounding to bfloat16 has spoilt the frequencies of the model that was saved.
        loaded = AutoModelForCausalLM.from_pretrained(
            tmp_path / "theirs", dtype=torch.float32, experts_implementation="eager"
        )
        wanted = loaded(ids).logits
        torch.testing.assert_close(ours(ids), wanted, atol=2e-5, rtol=1e-5)
    (tmp_path / "ours").mkdir()
    write_weights(tmp_path / "ours", ours, read_dtypes(tmp_path / "theirs"), shard_bytes=15_000)
    before, after = tensors_of(tmp_path / "theirs"), tensors_of(tmp_path / "ours")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype, name
        assert torch.equal(tensor, after[name]), name
    sizes = [path.stat().st_size for path in (tmp_path / "ours").glob("*.safetensors")]
    assert len(sizes) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_config_that_goes_out_comes_back(family: str) -> None:
    model = make_decoder(family).config
    keys, problems = model_keys(
        json.loads(json.dumps(architecture_keys(model)))
        | {"vocab_size": VOCAB, "initializer_range": model.initial_std}
    )
    assert problems == []
    back = ModelConfig.model_validate(keys)
    assert back == model.model_copy(update={"vocab_rows": VOCAB})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one file."""
    model = make_decoder("llama, one key head")
    keys = architecture_keys(model.config) | {"vocab_size": VOCAB}
    (tmp_path / "config.json").write_text(json.dumps(keys))
    write_weights(tmp_path, model, {})
    decoder_of(tmp_path)
    return tmp_path


NORM = "model.layers.1.input_layernorm.weight"
DAMAGES: dict[str, dict[str, torch.Tensor | None]] = {
    f"tensor {NORM} is missing": {NORM: None},
    "the decoder has no place for tensor model.bias": {"model.bias": torch.zeros(4)},
    f"tensor {NORM} is [31], config.json makes it [32]": {NORM: torch.zeros(31)},
    f"tensor {NORM} is I32; only F32, BF16, F16 are read": {NORM: torch.zeros(32).int()},
    f"tensor {NORM} holds NaN": {NORM: torch.full((32,), torch.nan)},
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_tensor_that_does_not_fit_is_named(folder: Path, message: str) -> None:
    tensors = load_file(folder / WEIGHTS) | DAMAGES[message]
    save_file({k: v for k, v in tensors.items() if v is not None}, folder / WEIGHTS)
    with pytest.raises(DataError, match=re.escape(message)):
        decoder_of(folder)


def test_a_copy_of_a_tied_embedding_must_be_one(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=re.escape("lm_head.weight is not model.embed_tokens")):
        decoder_of(folder)
    tensors = load_file(folder / WEIGHTS)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, folder / WEIGHTS)
    model = decoder_of(folder)
    assert model.lm_head.weight is model.embed_tokens.weight


def test_frequencies_in_old_files_are_passed_over(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(tensors, folder / WEIGHTS)
    decoder_of(folder)


def test_nothing_but_sound_safetensors_is_read(folder: Path) -> None:
    shutil.move(folder / WEIGHTS, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=re.escape(f"{WEIGHTS} (pickled weights are not read)")):
        decoder_of(folder)
    (folder / WEIGHTS).write_bytes(b"no tensors")
    with pytest.raises(DataError, match="not a file of safetensors"):
        decoder_of(folder)
    for index, message in [
        ({"weight_map": {"a": "../elsewhere.safetensors"}}, "outside of its folder"),
        ({"weight_map": {"a": "gone.safetensors"}}, "has no gone.safetensors"),
        ([], "is not an index"),
    ]:
        (folder / INDEX).write_text(json.dumps(index))
        with pytest.raises(DataError, match=message):
            decoder_of(folder)


LLAMA = architecture_keys(make_decoder().config) | {"vocab_size": VOCAB}
REFUSED = [
    ({"model_type": "gemma2"}, "model_type 'gemma2' is unknown"),
    ({"hidden_act": "gelu"}, "hidden_act is 'gelu', which is not supported"),
    ({"attention_bias": True}, "attention_bias is True"),
    ({"hidden_size": None}, "hidden_size is missing"),
    ({"quantization_config": {"bits": 4}}, "quantization_config = {'bits': 4} is unknown"),
    ({"rope_parameters": {"rope_type": "longrope"}}, "rope_type 'longrope' is unknown"),
    (
        {"rope_parameters": {"rope_type": "linear", "factor": 2, "attention_factor": 3}},
        "rope_parameters.attention_factor = 3 is not supported",
    ),
    (
        {"model_type": "qwen3", "use_sliding_window": True, "sliding_window": 4,
         "layer_types": ["full_attention", "sliding_attention", "sliding_attention"]},
        "layer_types are not full attention in every so manyth layer",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_not_understood_is_refused(change: dict[str, object], message: str) -> None:
    keys, problems = model_keys(LLAMA | change)
    assert keys == {}
    assert any(message in problem for problem in problems), problems


def test_published_configs_are_understood() -> None:
    """As on the hub: Llama 3.2 1B by transformers 4.45, Qwen3 0.6B by 4.51."""
    llama, _ = model_keys({
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 64, "hidden_act": "silu",
        "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 8192,
        "max_position_embeddings": 131072, "mlp_bias": False, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"},
        "rope_theta": 500000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "transformers_version": "4.45.0.dev0", "use_cache": True, "vocab_size": 128256,
    })  # fmt: skip
    assert llama["rope_scaling"] == {
        "kind": "llama3", "factor": 32.0, "original_seq_len": 8192,
        "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    }  # fmt: skip
    named = ModelConfig(size="llama-3.2-1b").model_dump()
    imported = ModelConfig.model_validate(llama).model_dump()
    differing = {key for key in named if named[key] != imported[key]}
    assert differing == {"size", "rope_scaling", "vocab_rows", "init_std"}
    qwen, _ = model_keys({
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
        "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 3072,
        "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
        "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.51.0",
        "use_cache": True, "use_sliding_window": False, "vocab_size": 151936,
    })  # fmt: skip
    named = ModelConfig(size="qwen3-0.6b").model_dump()
    imported = ModelConfig.model_validate(qwen).model_dump()
    assert {key for key in named if named[key] != imported[key]} == {
        "size", "vocab_rows", "init_std",
    }  # fmt: skip


@pytest.mark.parametrize("family", ["llama, one key head", "qwen3_moe"])
def test_a_rank_reads_the_layers_that_it_keeps(tmp_path: Path, family: str) -> None:
    whole = make_decoder(family)
    write_weights(tmp_path, whole, {})
    num_layers = len(whole.layers)
    for layers in (range(1), range(1, num_layers), range(num_layers - 1, num_layers)):
        part = Decoder(whole.config, VOCAB)
        part.keep(layers)
        read_weights(tmp_path, part)
        for name, tensor in part.named_parameters():
            assert torch.equal(tensor, whole.get_parameter(name)), name
    tensors = load_file(tmp_path / WEIGHTS)
    extra = f"model.layers.{num_layers}.input_layernorm.weight"
    save_file(tensors | {extra: torch.ones(32)}, tmp_path / WEIGHTS)
    with pytest.raises(DataError, match=re.escape(f"no place for tensor {extra}")):
        read_weights(tmp_path, part)
