"""Small decoders of every family, and the same ones as `transformers` computes them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from bessemer.config.hugging_face import architecture_keys
from bessemer.config.model import ModelConfig
from bessemer.model.initialize import initialize
from bessemer.model.transformer import Decoder

VOCAB = 67

_SHAPE = {
    "num_layers": 3,
    "hidden_dim": 32,
    "num_heads": 4,
    "num_kv_heads": 2,
    "ffn_dim": 48,
    "init_std": 0.2,
}
_QWEN3 = {"qk_norm": True, "head_dim": 16, "norm_eps": 1e-6, "rope_theta": 1e6}
_EXPERTS = {"num_experts": 6, "experts_per_token": 2, "ffn_dim": 24}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama, one head each": {"num_kv_heads": 4},
    "llama, one key head": {"num_kv_heads": 1, "tie_embeddings": False},
    "llama, wide heads": {"head_dim": 12},
    "llama, linear": {"rope_scaling": {"kind": "linear", "factor": 4.0}},
    "llama, llama3": {
        "rope_scaling": {"kind": "llama3", "factor": 8.0, "original_seq_len": 32},
        "rope_theta": 500.0,
    },
    "llama, yarn": {
        "rope_scaling": {"kind": "yarn", "factor": 4.0, "original_seq_len": 16},
        "rope_theta": 100.0,
    },
    "mistral": {"sliding_window": 5},
    "ministral": {"sliding_window": 3, "full_attention_every": 2},
    "qwen3": _QWEN3,
    "qwen3, sliding": {**_QWEN3, "sliding_window": 4, "full_attention_every": 3},
    "qwen3_moe": {
        **_QWEN3,
        "experts": {**_EXPERTS, "scoring": "softmax", "num_shared": 0, "num_dense_layers": 1},
    },
    "qwen3_moe, not normalized, sliding": {
        **_QWEN3,
        "sliding_window": 6,
        "experts": {**_EXPERTS, "scoring": "softmax", "num_shared": 0, "normalize": False},
    },
    "dots1": {**_QWEN3, "experts": {**_EXPERTS, "num_shared": 2, "scale": 2.5}},
    "dots1, sliding": {
        **_QWEN3,
        "head_dim": 8,  # Dots1Config names none: hidden_dim / num_heads unless config.json does
        "sliding_window": 4,
        "full_attention_every": 3,
        "experts": {**_EXPERTS, "normalize": False, "num_dense_layers": 1},
    },
}


def make_decoder(family: str = "llama", seed: int = 3, **changes: Any) -> Decoder:
    """A decoder of a family with initial weights large enough that every part matters."""
    config = ModelConfig.model_validate({**_SHAPE, **FAMILIES[family], **changes})
    model = Decoder(config, VOCAB)
    initialize(model, seed)
    with torch.no_grad():  # norms of one, biases of zero would hide one that is not applied
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.ndim == 1:
                generator = torch.Generator().manual_seed(len(name))
                tensor.add_(torch.empty_like(tensor).normal_(0, 0.3, generator=generator))
    return model


def make_twin(model: Decoder) -> PreTrainedModel:
    """What `transformers` makes of the same config and weights."""
    keys = architecture_keys(model.config) | {
        "vocab_size": VOCAB,
        "max_position_embeddings": 128,
        "pad_token_id": None,
    }
    config = AutoConfig.for_model(**keys)
    twin = AutoModelForCausalLM.from_config(config, experts_implementation="eager").eval()
    assert type(twin).__name__ == keys["architectures"][0]
    twin.load_state_dict(as_theirs(model.state_dict()))
    return twin


def as_theirs(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our tensors under the names that they have in a loaded model of `transformers`: there, gate
    and up projections of experts are one."""
    renamed = {}
    for name, tensor in tensors.items():
        theirs = name if name.startswith("lm_head.") else f"model.{name}"
        if name.endswith("experts.gate_proj"):
            up = tensors[name.replace("gate_proj", "up_proj")]
            renamed[theirs.replace("gate_proj", "gate_up_proj")] = torch.cat([tensor, up], dim=1)
        elif not name.endswith(("experts.up_proj", "gate.load")):
            renamed[theirs] = tensor
    return renamed


def random_ids(batch: int, length: int) -> torch.Tensor:
    """Token ids, the same at every call."""
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(1))
