"""A folder that `transformers` loads: weights, config, generation config and tokenizer.

The decoder has Hugging Face's parameter names and rotary layout, so weights are copied as they are,
under the prefix that is expected there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from bessemer.config.hugging_face import architecture_keys
from bessemer.config.model import ModelConfig
from bessemer.core.layout import TOKENIZER
from bessemer.core.storage import atomic_path, write_json
from bessemer.model.transformer import Decoder
from bessemer.tokens.tokenizer import Tokenizer

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
    tokenizer.save(folder / TOKENIZER, model_max_length=seq_len)


def model_config(config: ModelConfig, tokenizer: Tokenizer, seq_len: int) -> dict[str, Any]:
    """config.json of the architecture that computes what the decoder does."""
    return {
        **architecture_keys(config),
        "vocab_size": tokenizer.vocab_size,
        "max_position_embeddings": seq_len,
        "initializer_range": config.initial_std,
        "bos_token_id": tokenizer.begin_id,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.end_id,
        "use_cache": True,
        "dtype": "float32",
    }
