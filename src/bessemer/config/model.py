"""Run file, `[model]`: the shape of the decoder, by name or by dimensions."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from bessemer.config.base import Section

# Shapes of published models (their Hugging Face config.json), and small ones for a CPU.
NAMED_SIZES: dict[str, dict[str, Any]] = {
    "1m": {"num_layers": 2, "hidden_dim": 128, "num_heads": 4, "num_kv_heads": 4, "ffn_dim": 352},
    "3m": {"num_layers": 6, "hidden_dim": 192, "num_heads": 6, "num_kv_heads": 2, "ffn_dim": 512},
    "12m": {"num_layers": 8, "hidden_dim": 320, "num_heads": 5, "num_kv_heads": 5, "ffn_dim": 896},
    "135m": {  # HuggingFaceTB/SmolLM2-135M
        "num_layers": 30,
        "hidden_dim": 576,
        "num_heads": 9,
        "num_kv_heads": 3,
        "ffn_dim": 1536,
    },
    "1b": {  # meta-llama/Llama-3.2-1B
        "num_layers": 16,
        "hidden_dim": 2048,
        "num_heads": 32,
        "num_kv_heads": 8,
        "ffn_dim": 8192,
        "rope_theta": 500000.0,
    },
    "8b": {  # meta-llama/Llama-3.1-8B
        "num_layers": 32,
        "hidden_dim": 4096,
        "num_heads": 32,
        "num_kv_heads": 8,
        "ffn_dim": 14336,
        "rope_theta": 500000.0,
        "tie_embeddings": False,
    },
}


class ModelConfig(Section):
    """`[model]`: a Llama-shaped decoder. Keys given beside `size` replace those of the name."""

    size: str | None = None
    num_layers: int = Field(ge=1)
    hidden_dim: int = Field(ge=8)
    num_heads: int = Field(ge=1)
    num_kv_heads: int = Field(ge=1)
    """Key and value heads; fewer than `num_heads` is grouped-query attention."""
    ffn_dim: int = Field(ge=8)
    """Inner width of the SwiGLU feed-forward layer."""
    rope_theta: float = Field(default=10000.0, gt=0)
    norm_eps: float = Field(default=1e-5, gt=0)
    tie_embeddings: bool = True
    """Use the token embedding as output projection too."""
    init_std: float | None = Field(default=None, gt=0)
    """Spread of the initial weights; absent means 1 / sqrt(hidden_dim)."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_size(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("size") is None:
            return data
        size = data["size"]
        if not isinstance(size, str) or size not in NAMED_SIZES:
            raise ValueError(f"size {size!r} is unknown; known: {', '.join(NAMED_SIZES)}")
        return NAMED_SIZES[size] | data

    @property
    def initial_std(self) -> float:
        """`init_std`, or 1 / sqrt(fan-in) (LeCun et al. 1998): activations keep their size, and
        with tied embeddings the first logits have a spread of one."""
        return self.hidden_dim**-0.5 if self.init_std is None else self.init_std

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_dim // self.num_heads
