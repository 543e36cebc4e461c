"""Shapes of decoders by name: small ones for a CPU, and published ones under their own names.

A published shape is what config.json of its Hugging Face repository says; the vocabulary is that
of the run's tokenizer, not the published one. Scaling of rotary positions is left out: it came
after pretraining, when the context was lengthened.
"""

from __future__ import annotations

from typing import Any


def _llama(
    num_layers: int, hidden_dim: int, num_heads: int, num_kv_heads: int, ffn_dim: int, **more: Any
) -> dict[str, Any]:
    return {
        "num_layers": num_layers,
        "hidden_dim": hidden_dim,
        "num_heads": num_heads,
        "num_kv_heads": num_kv_heads,
        "ffn_dim": ffn_dim,
        **more,
    }


def _llama3(*dims: int, tie: bool = False) -> dict[str, Any]:
    return _llama(*dims, rope_theta=500_000.0, tie_embeddings=tie)


def _qwen3(*dims: int, tie: bool = False) -> dict[str, Any]:
    return _llama(
        *dims, head_dim=128, qk_norm=True, rope_theta=1e6, norm_eps=1e-6, tie_embeddings=tie
    )


def _experts(num_experts: int, experts_per_token: int, ffn_dim: int, **more: Any) -> dict[str, Any]:
    return {
        "num_experts": num_experts,
        "experts_per_token": experts_per_token,
        "ffn_dim": ffn_dim,
        **more,
    }


def shape_of_depth(depth: int) -> dict[str, Any]:
    """The shape that one number asks for.

    Width 64 * depth, as in nanochat's dial; heads 64 wide, as in GPT-2 (depth 12 is GPT-2 small's
    width and heads), so there are as many as layers; a feed-forward layer of 8/3 of the width,
    which has as many parameters as a plain one of four times (Shazeer 2020, arXiv 2002.05202,
    section 3), rounded up to a multiple of 64 for the hardware.
    """
    width = 64 * depth
    return _llama(depth, width, depth, depth, -(-width * 8 // 3 // 64) * 64)


_SOFTMAX = {"scoring": "softmax", "num_shared": 0}

NAMED_SIZES: dict[str, dict[str, Any]] = {
    "1m": _llama(2, 128, 4, 4, 352),
    "3m": _llama(6, 192, 6, 2, 512),
    "12m": _llama(8, 320, 5, 5, 896),
    "smollm2-135m": _llama(30, 576, 9, 3, 1536, rope_theta=1e5),  # HuggingFaceTB/SmolLM2-135M
    "smollm2-360m": _llama(32, 960, 15, 5, 2560, rope_theta=1e5),  # HuggingFaceTB/SmolLM2-360M
    "smollm2-1.7b": _llama(24, 2048, 32, 32, 8192, rope_theta=1.3e5),  # HuggingFaceTB/SmolLM2-1.7B
    "llama-3.2-1b": _llama3(16, 2048, 32, 8, 8192, tie=True),  # meta-llama/Llama-3.2-1B
    "llama-3.2-3b": _llama3(28, 3072, 24, 8, 8192, tie=True),  # meta-llama/Llama-3.2-3B
    "llama-3.1-8b": _llama3(32, 4096, 32, 8, 14336),  # meta-llama/Llama-3.1-8B
    "llama-3.1-70b": _llama3(80, 8192, 64, 8, 28672),  # meta-llama/Llama-3.1-70B
    "llama-3.1-405b": _llama3(126, 16384, 128, 8, 53248),  # meta-llama/Llama-3.1-405B
    "qwen3-0.6b": _qwen3(28, 1024, 16, 8, 3072, tie=True),  # Qwen/Qwen3-0.6B
    "qwen3-1.7b": _qwen3(28, 2048, 16, 8, 6144, tie=True),  # Qwen/Qwen3-1.7B
    "qwen3-4b": _qwen3(36, 2560, 32, 8, 9728, tie=True),  # Qwen/Qwen3-4B
    "qwen3-8b": _qwen3(36, 4096, 32, 8, 12288),  # Qwen/Qwen3-8B
    "qwen3-14b": _qwen3(40, 5120, 40, 8, 17408),  # Qwen/Qwen3-14B
    "qwen3-32b": _qwen3(64, 5120, 64, 8, 25600),  # Qwen/Qwen3-32B
    "moe-8m": _llama(6, 192, 6, 2, 512, qk_norm=True, experts=_experts(16, 2, 128)),
    # Qwen/Qwen3-30B-A3B
    "qwen3-30b-a3b": _qwen3(48, 2048, 32, 4, 6144) | {"experts": _experts(128, 8, 768, **_SOFTMAX)},
    # Qwen/Qwen3-235B-A22B
    "qwen3-235b-a22b": _qwen3(94, 4096, 64, 4, 12288)
    | {"experts": _experts(128, 8, 1536, **_SOFTMAX)},
    # allenai/OLMoE-1B-7B-0924; its QK-norm spans all heads, here each has its own
    "olmoe-1b-7b": _llama(
        *(16, 2048, 16, 16, 1024),
        qk_norm=True,
        tie_embeddings=False,
        experts=_experts(64, 8, 1024, normalize=False, **_SOFTMAX),
    ),
    # rednote-hilab/dots.llm1.base
    "dots.llm1": _llama(
        *(62, 4096, 32, 32, 10944),
        head_dim=128,
        qk_norm=True,
        rope_theta=1e7,
        tie_embeddings=False,
        experts=_experts(128, 6, 1408, num_shared=2, scale=2.5, num_dense_layers=1),
    ),
}
