"""A folder that `transformers` loads: weights, config, generation config and tokenizer.

The decoder is Llama-shaped with Hugging Face's parameter names and rotary layout, so weights are
copied as they are, under the prefix that LlamaForCausalLM expects.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from bessemer.config.model import ModelConfig
from bessemer.core.layout import TOKENIZER
from bessemer.core.storage import atomic_path, write_json
from bessemer.model.transformer import Decoder
from bessemer.tokens.tokenizer import BEGIN, END, Tokenizer

WEIGHTS = "model.safetensors"


def write_model(model: Decoder, tokenizer: Tokenizer, seq_len: int, folder: Path) -> None:
    """Write the four parts of a Hugging Face model into `folder`."""
    weights = {
        name if name.startswith("lm_head.") else f"model.{name}": tensor.detach().contiguous()
        for name, tensor in model.state_dict().items()
        if not (model.config.tie_embeddings and name == "lm_head.weight")
    }
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    write_json(folder / "config.json", model_config(model.config, tokenizer, seq_len))
    write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": tokenizer.begin_id,
            "eos_token_id": tokenizer.end_id,
            "pad_token_id": tokenizer.end_id,
            "do_sample": True,
            "temperature": 0.8,
            "top_p": 0.95,
        },
    )
    tokenizer.save(folder / TOKENIZER)
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BEGIN,
            "eos_token": END,
            "pad_token": END,
            "model_max_length": seq_len,
            "clean_up_tokenization_spaces": False,
        },
    )


def model_config(config: ModelConfig, tokenizer: Tokenizer, seq_len: int) -> dict[str, Any]:
    """config.json of a LlamaForCausalLM; transformers 4 reads rope_theta, 5 rope_parameters."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": tokenizer.vocab_size,
        "hidden_size": config.hidden_dim,
        "intermediate_size": config.ffn_dim,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": seq_len,
        "initializer_range": config.initial_std,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": config.tie_embeddings,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "bos_token_id": tokenizer.begin_id,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.end_id,
        "use_cache": True,
        "dtype": "float32",
    }
