"""Which architecture of Hugging Face's transformers computes what a `[model]` asks for.

The simplest one that can express the model is taken, so that most programs load it. What no
architecture expresses is found here too, before anything is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from bessemer.config.model import ModelConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """A class of transformers, and what of a decoder it can express."""

    name: str
    model_type: str
    qk_norm: bool
    window: Literal["none", "everywhere", "by layer"]

    def expresses(self, model: ModelConfig) -> bool:
        """Whether it computes what `model` asks for."""
        if model.logit_softcap is not None or model.qk_norm != self.qk_norm:
            return False
        if model.sliding_window is None:
            return True
        return self.window == "by layer" or (
            self.window == "everywhere" and model.full_attention_every is None
        )


ARCHITECTURES = (
    Architecture(name="LlamaForCausalLM", model_type="llama", qk_norm=False, window="none"),
    Architecture(
        name="MistralForCausalLM", model_type="mistral", qk_norm=False, window="everywhere"
    ),
    Architecture(
        name="MinistralForCausalLM", model_type="ministral", qk_norm=False, window="by layer"
    ),
    Architecture(name="Qwen3ForCausalLM", model_type="qwen3", qk_norm=True, window="by layer"),
)


def choose_architecture(model: ModelConfig) -> Architecture | None:
    """The simplest architecture that computes what `model` asks for; None if there is none."""
    return next((each for each in ARCHITECTURES if each.expresses(model)), None)


def architecture_keys(model: ModelConfig) -> dict[str, Any]:
    """What config.json says of the decoder's shape; the model must be expressible."""
    architecture = choose_architecture(model)
    assert architecture is not None, model
    return {
        "architectures": [architecture.name],
        "model_type": architecture.model_type,
        "hidden_size": model.hidden_dim,
        "intermediate_size": model.ffn_dim,
        "num_hidden_layers": model.num_layers,
        "num_attention_heads": model.num_heads,
        "num_key_value_heads": model.num_kv_heads,
        "head_dim": model.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": model.norm_eps,
        "tie_word_embeddings": model.tie_embeddings,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        **_rope_keys(model),
        **_window_keys(model, architecture),
    }


def _rope_keys(model: ModelConfig) -> dict[str, Any]:
    """transformers 5 reads rope_parameters; 4, and programs beside it, the older two."""
    scaling = model.rope_scaling
    if scaling is None:
        rope: dict[str, Any] = {"rope_type": "default"}
    else:
        rope = {"rope_type": scaling.kind, "factor": scaling.factor}
        if scaling.kind != "linear":
            rope["original_max_position_embeddings"] = scaling.original_seq_len
        if scaling.kind == "llama3":
            rope["low_freq_factor"] = scaling.low_freq_factor
            rope["high_freq_factor"] = scaling.high_freq_factor
        if scaling.kind == "yarn":
            rope["beta_fast"] = scaling.beta_fast
            rope["beta_slow"] = scaling.beta_slow
    return {
        "rope_theta": model.rope_theta,
        "rope_scaling": None if scaling is None else rope,
        "rope_parameters": {"rope_theta": model.rope_theta} | rope,
    }


def _window_keys(model: ModelConfig, architecture: Architecture) -> dict[str, Any]:
    if architecture.window == "none":
        return {}
    keys: dict[str, Any] = {"sliding_window": model.sliding_window}
    if architecture.window == "by layer":
        keys["use_sliding_window"] = model.sliding_window is not None
        keys["layer_types"] = [
            "full_attention" if model.window_of(layer) is None else "sliding_attention"
            for layer in range(model.num_layers)
        ]
    return keys
