"""A folder that `transformers` loads: weights, config, generation config and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bessemer.config.export import ExportConfig
from bessemer.config.from_hugging_face import CONFIG, NATIVE
from bessemer.config.hugging_face import architecture_keys
from bessemer.core.layout import TOKENIZER
from bessemer.core.storage import write_json
from bessemer.model.hugging_face import read_dtypes, weight_names, write_weights
from bessemer.model.transformer import Decoder
from bessemer.tokens.tokenizer import Tokenizer

Dtypes = Mapping[str, torch.dtype]  # tensor -> dtype in which it is written
# What transformers keeps in float32 whatever the weights are in: it moves by tiny steps.
_ALWAYS_FLOAT32 = ".e_score_correction_bias"


def choose_dtypes(model: Decoder, export: ExportConfig, init_from: Path | None) -> Dtypes:
    """In which dtype each tensor is written; `init_from` is where training began, if anywhere."""
    if export.dtype == "source":
        return {} if init_from is None else read_dtypes(init_from)
    dtype: torch.dtype = getattr(torch, export.dtype)
    names = weight_names(model)
    return {name: dtype for name in names if not name.endswith(_ALWAYS_FLOAT32)}


def write_model(
    model: Decoder,
    tokenizer: Tokenizer,
    seq_len: int,
    folder: Path,
    *,
    dtypes: Dtypes | None = None,
    native: bool = False,
) -> None:
    """Write the four parts of a Hugging Face model into `folder`; weights are float32 unless
    `dtypes` says otherwise. `native` writes a config.json that only bessemer reads."""
    write_weights(folder, model, dtypes or {})
    config = model_config(model, tokenizer, seq_len, native)
    first = (dtypes or {}).get(weight_names(model)[0], torch.float32)
    write_json(folder / CONFIG, config | {"dtype": str(first).removeprefix("torch.")})
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


def model_config(
    model: Decoder, tokenizer: Tokenizer, seq_len: int, native: bool
) -> dict[str, Any]:
    """config.json of the architecture that computes what the decoder does."""
    config = model.config
    if native:
        unset = {"size": None, "init_from": None, "init_digest": None}
        shape: dict[str, Any] = {
            "architectures": [],
            "model_type": NATIVE,
            NATIVE: config.model_dump(mode="json")
            | unset
            | {"vocab_rows": model.embed_tokens.num_embeddings},
        }
    else:
        shape = architecture_keys(config)
    return {
        **shape,
        "vocab_size": model.embed_tokens.num_embeddings,
        "max_position_embeddings": seq_len,
        "initializer_range": config.initial_std,
        "bos_token_id": tokenizer.begin_id,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.end_id,
        "use_cache": True,
    }
