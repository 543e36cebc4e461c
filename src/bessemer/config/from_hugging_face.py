"""What a Hugging Face folder says of its model: `[model]` by its config.json, its weight files.

What is not understood is refused, not passed over: a key that changes what a model computes would
otherwise give another model with the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bessemer.config.hugging_face import ARCHITECTURES, Architecture
from bessemer.core.errors import DataError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"  # if the weights are in several files
NATIVE = "bessemer"  # model_type of a decoder that no architecture of transformers computes

# Keys that say nothing about what the decoder computes without dropout.
_IDLE = {
    *("architectures", "model_type", "auto_map", "_name_or_path", "name_or_path", "id2label"),
    *("dtype", "torch_dtype", "transformers_version", "transformers.js_config", "label2id"),
    *("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "use_cache", "problem_type"),
    *("max_position_embeddings", "attention_dropout", "pretraining_tp", "is_llama_config"),
    *(
        "output_router_logits",
        "router_aux_loss_coef",
        "bessemer_version",
        "chunk_size_feed_forward",
    ),
    *("output_attentions", "output_hidden_states", "return_dict", "is_encoder_decoder"),
}
# Keys that must have one of these values if they are there.
_FIXED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "partial_rotary_factor": (None, 1, 1.0),
    "rope_interleaved": (False,),
    "n_group": (None, 1),
    "topk_group": (None, 1),
    "decoder_sparse_step": (1,),
    "moe_layer_freq": (1,),
    "scoring_func": ("sigmoid", "noaux_tc"),
    "topk_method": ("noaux_tc",),
}
_ROPE_KEYS = {
    "default": (),
    "linear": ("factor",),
    "llama3": (
        *("factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
    ),
    "yarn": ("factor", "original_max_position_embeddings", "beta_fast", "beta_slow"),
}
_ROPE_NAMES = {"original_max_position_embeddings": "original_seq_len"}


@dataclass(slots=True)
class _Reader:
    """config.json as it is read: what was asked for, and what is wrong."""

    data: Mapping[str, Any]
    asked: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, null like absent."""
        self.asked.add(key)
        value = self.data.get(key)
        return default if value is None else value

    def need(self, key: str) -> Any:
        """The value of a key that must be there."""
        value = self.get(key)
        if value is None:
            self.problems.append(f"{key} is missing")
        return value


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights in `folder`; DataError if they are not there."""
    index = folder / INDEX
    if index.exists():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise DataError(f"{index} is not an index of safetensors: {error}") from error
        if any(not isinstance(name, str) or Path(name).name != name for name in names):
            raise DataError(f"{index} names files outside of its folder")
        files = sorted(folder / name for name in names)
    else:
        files = [folder / WEIGHTS]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        pickled = " (pickled weights are not read)" if list(folder.glob("*.bin")) else ""
        raise DataError(f"{folder} has no {missing[0]}{pickled}")
    return files


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of `folder`; DataError if it is none."""
    path = folder / CONFIG
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{folder} is no Hugging Face model: no {CONFIG} in it") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise DataError(f"{path} is not an object of JSON")
    return data


def model_keys(config_json: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The keys of `[model]`, and all that keeps the decoder from being computed; one is empty."""
    if config_json.get("model_type") == NATIVE:
        return dict(config_json[NATIVE]), []
    read = _Reader(config_json)
    kinds = {each.model_type: each for each in ARCHITECTURES}
    architecture = kinds.get(config_json.get("model_type", ""))
    if architecture is None:
        known = ", ".join(kinds)
        return {}, [f"model_type {config_json.get('model_type')!r} is unknown; known: {known}"]
    for key, allowed in _FIXED.items():
        if key in config_json and read.get(key) not in allowed:
            read.problems.append(f"{key} is {config_json[key]!r}, which is not supported")
    num_layers, num_heads = read.need("num_hidden_layers"), read.need("num_attention_heads")
    hidden_dim = read.need("hidden_size")
    if read.problems:
        return {}, read.problems
    keys: dict[str, Any] = {
        "num_layers": num_layers,
        "hidden_dim": hidden_dim,
        "num_heads": num_heads,
        "num_kv_heads": read.get("num_key_value_heads", num_heads),
        "head_dim": read.get("head_dim", _default_head_dim(architecture, hidden_dim, num_heads)),
        "ffn_dim": read.need("intermediate_size"),
        "vocab_rows": read.need("vocab_size"),
        "qk_norm": architecture.qk_norm,
        # Defaults of transformers' own config classes.
        "norm_eps": float(read.get("rms_norm_eps", 1e-6)),
        "tie_embeddings": read.get("tie_word_embeddings", False),
        "init_std": float(read.get("initializer_range", 0.02)),
        **_rope(read),
        **_windows(read, architecture, num_layers),
    }
    if architecture.scoring is not None:
        keys["experts"] = _experts(read, architecture)
    unknown = [
        key
        for key, value in config_json.items()
        if key not in read.asked | _IDLE and value not in (None, False, 0, "", [], {})
    ]
    read.problems += [
        f"{key} = {config_json[key]!r} is unknown and may change what the model computes; remove "
        "it if it does not"
        for key in unknown
    ]
    return ({}, read.problems) if read.problems else (keys, [])


def _default_head_dim(architecture: Architecture, hidden_dim: int, num_heads: int) -> int:
    return 128 if architecture.model_type == "qwen3" else hidden_dim // num_heads


def _rope(read: _Reader) -> dict[str, Any]:
    given = dict(read.get("rope_parameters") or read.get("rope_scaling") or {})
    read.asked |= {"rope_parameters", "rope_scaling"}
    theta = float(given.pop("rope_theta", None) or read.get("rope_theta", 10000.0))
    read.asked.add("rope_theta")
    kind = given.pop("rope_type", None) or given.pop("type", None) or "default"
    given.pop("type", None)
    if kind not in _ROPE_KEYS:
        read.problems.append(f"rope_type {kind!r} is unknown; known: {', '.join(_ROPE_KEYS)}")
        return {}
    if given.get("truncate") is True:  # how YaRN is computed here
        del given["truncate"]
    for key in set(given) - set(_ROPE_KEYS[kind]):
        if _FIXED.get(key) is None or given[key] not in _FIXED[key]:
            read.problems.append(f"rope_parameters.{key} = {given[key]!r} is not supported")
    if kind == "default":
        return {"rope_theta": theta}
    if kind == "yarn":
        given.setdefault("original_max_position_embeddings", read.get("max_position_embeddings"))
    scaling: dict[str, Any] = {"kind": kind}
    for key in _ROPE_KEYS[kind]:
        if key in given:
            is_count = key == "original_max_position_embeddings"
            value = int(given[key]) if is_count else float(given[key])
            scaling[_ROPE_NAMES.get(key, key)] = value
        elif key == "factor":
            read.problems.append("rope_parameters.factor is missing")
    return {"rope_theta": theta, "rope_scaling": scaling}


def _windows(read: _Reader, architecture: Architecture, num_layers: int) -> dict[str, Any]:
    if architecture.window == "none":
        return {}
    window = read.get("sliding_window")
    if architecture.model_type in ("mistral", "ministral") and "sliding_window" not in read.data:
        window = 4096  # the default of their config classes
    has_switch = architecture.model_type in ("qwen3", "qwen3_moe")
    if read.get("use_sliding_window", not has_switch) is False:
        window = None
    if architecture.window == "everywhere":
        read.asked.add("max_window_layers")  # Qwen3-MoE has the key and does not use it
        return {"sliding_window": window}
    begin = read.get("max_window_layers", num_layers)
    default = ["full_attention" if layer < begin else "sliding_attention" for layer in
               range(num_layers)]  # fmt: skip
    if architecture.model_type == "ministral":
        default = ["sliding_attention"] * num_layers
    is_full = [kind == "full_attention" for kind in read.get("layer_types", default)]
    if window is None or all(is_full):
        return {"sliding_window": None}
    if not any(is_full):
        return {"sliding_window": window}
    every = is_full.index(True) + 1
    if is_full != [(layer + 1) % every == 0 for layer in range(num_layers)]:
        read.problems.append("layer_types are not full attention in every so manyth layer")
    return {"sliding_window": window, "full_attention_every": every}


def _experts(read: _Reader, architecture: Architecture) -> dict[str, Any]:
    experts = {
        "scoring": architecture.scoring,
        "ffn_dim": read.need("moe_intermediate_size"),
        "experts_per_token": read.need("num_experts_per_tok"),
        "normalize": read.get("norm_topk_prob", False),
    }
    if architecture.scoring == "sigmoid":
        return experts | {
            "num_experts": read.get("num_local_experts") or read.need("n_routed_experts"),
            "num_shared": read.need("n_shared_experts"),
            "num_dense_layers": read.get("first_k_dense_replace", 0),
            "scale": float(read.get("routed_scaling_factor", 1.0)),
        }
    dense = read.get("mlp_only_layers", [])
    if list(dense) != list(range(len(dense))):
        read.problems.append(f"mlp_only_layers {dense} are not the first ones")
    return experts | {
        "num_experts": read.get("num_local_experts") or read.need("num_experts"),
        "num_shared": 0,
        "num_dense_layers": len(dense),
    }
