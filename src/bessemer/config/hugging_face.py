"""Which architecture of Hugging Face's transformers computes what a `[model]` asks for.

The simplest one that can express the model is taken, so that most programs load it. What no
architecture expresses is found here too, before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bessemer.config.model import ExpertsConfig, ModelConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """A class of transformers, and what of a decoder it can express."""

    name: str
    model_type: str
    qk_norm: bool
    window: Literal["none", "everywhere", "by layer"]
    scoring: Literal["sigmoid", "softmax"] | None = None  # of experts; None: it has none

    def expresses(self, model: ModelConfig) -> bool:
        """Whether it computes what `model` asks for."""
        return (
            model.logit_softcap is None
            and model.qk_norm == self.qk_norm
            and self._has_window(model)
            and self._has_experts(model.experts)
        )

    def _has_window(self, model: ModelConfig) -> bool:
        if model.sliding_window is None or self.window == "by layer":
            return True
        return self.window == "everywhere" and model.full_attention_every is None

    def _has_experts(self, experts: ExpertsConfig | None) -> bool:
        if experts is None or self.scoring is None:
            return experts is None and self.scoring is None
        if self.scoring == "softmax":
            has_all = experts.num_shared == 0 and experts.scale == 1
        else:
            has_all = experts.num_shared > 0
        return experts.scoring == self.scoring and has_all


ARCHITECTURES = (
    Architecture(name="LlamaForCausalLM", model_type="llama", qk_norm=False, window="none"),
    Architecture(
        name="MistralForCausalLM", model_type="mistral", qk_norm=False, window="everywhere"
    ),
    Architecture(
        name="MinistralForCausalLM", model_type="ministral", qk_norm=False, window="by layer"
    ),
    Architecture(name="Qwen3ForCausalLM", model_type="qwen3", qk_norm=True, window="by layer"),
    Architecture(
        name="Qwen3MoeForCausalLM",
        model_type="qwen3_moe",
        qk_norm=True,
        window="everywhere",
        scoring="softmax",
    ),
    Architecture(
        name="Dots1ForCausalLM",
        model_type="dots1",
        qk_norm=True,
        window="by layer",
        scoring="sigmoid",
    ),
)


def obstacles(model: ModelConfig) -> Iterator[tuple[str, str]]:
    """(key, reason) for all that keeps every architecture from computing what `model` asks for."""
    if choose_architecture(model) is not None:
        return
    experts = model.experts
    if model.logit_softcap is not None:
        yield "model.logit_softcap", "none has it beside this shape; train.z_loss bounds logits too"
    if experts is None:
        return
    if not model.qk_norm:
        yield "model.qk_norm", "those with experts have it: set it to true"
    if experts.scoring == "sigmoid" and not experts.num_shared:
        yield "model.experts.num_shared", "with sigmoid scoring at least one is needed"
    if experts.scoring == "softmax" and experts.num_shared:
        yield "model.experts.num_shared", "with softmax scoring there are none: set it to 0"
    if experts.scoring == "softmax" and experts.scale != 1:
        yield "model.experts.scale", "with softmax scoring there is none: leave it out"
    if experts.scoring == "softmax" and model.full_attention_every is not None:
        yield "model.full_attention_every", "with softmax scoring all layers have the same window"


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
        **_expert_keys(model),
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
    keys: dict[str, Any] = {
        "sliding_window": model.sliding_window,
        "use_sliding_window": model.sliding_window is not None,
    }
    if architecture.window == "by layer":
        keys["layer_types"] = [
            "full_attention" if model.window_of(layer) is None else "sliding_attention"
            for layer in range(model.num_layers)
        ]
    return keys


def _expert_keys(model: ModelConfig) -> dict[str, Any]:
    experts = model.experts
    if experts is None:
        return {}
    keys: dict[str, Any] = {
        "moe_intermediate_size": experts.ffn_dim,
        "num_experts_per_tok": experts.experts_per_token,
        "norm_topk_prob": experts.normalize,
    }
    if experts.scoring == "softmax":
        return keys | {
            "num_experts": experts.num_experts,
            "mlp_only_layers": list(range(experts.num_dense_layers)),
            "decoder_sparse_step": 1,
        }
    return keys | {
        "n_routed_experts": experts.num_experts,
        "n_shared_experts": experts.num_shared,
        "first_k_dense_replace": experts.num_dense_layers,
        "routed_scaling_factor": experts.scale,
        "n_group": 1,
        "topk_group": 1,
    }
