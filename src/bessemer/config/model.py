"""Run file, `[model]`: the shape of the decoder, by name or by dimensions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bessemer.config.base import Section
from bessemer.config.sizes import NAMED_SIZES, shape_of_depth


class RopeScalingConfig(Section):
    """`[model.rope_scaling]`: rotary positions stretched to a longer context than the first one."""

    kind: Literal["linear", "llama3", "yarn"]
    """`linear` divides positions (arXiv 2306.15595), `llama3` lowers low frequencies only
    (Llama 3.1), `yarn` does so by its own ramp and sharpens attention (arXiv 2309.00071)."""
    factor: float = Field(ge=1)
    """How many times longer the context becomes."""
    original_seq_len: int = Field(default=8192, ge=1)
    """Tokens of context before; not used by `linear`."""
    low_freq_factor: float = Field(default=1.0, gt=0)
    """`llama3`: wavelengths above `original_seq_len` over this are stretched in full."""
    high_freq_factor: float = Field(default=4.0, gt=0)
    """`llama3`: wavelengths below `original_seq_len` over this stay."""
    beta_fast: float = Field(default=32.0, gt=0)
    """`yarn`: what turns more often than this within the old context stays."""
    beta_slow: float = Field(default=1.0, gt=0)
    """`yarn`: what turns less often than this is stretched in full."""


class ExpertsConfig(Section):
    """`[model.experts]`: a mixture of experts in place of the feed-forward layer."""

    num_experts: int = Field(ge=2)
    """Experts that the router chooses from, in each layer."""
    experts_per_token: int = Field(ge=1)
    """How many of them each token passes."""
    ffn_dim: int = Field(ge=8)
    """Inner width of one expert."""
    num_shared: int = Field(default=1, ge=0)
    """Experts besides that every token passes."""
    scoring: Literal["sigmoid", "softmax"] = "sigmoid"
    """`sigmoid` balances experts by a bias in their selection, without a loss (DeepSeek-V3, arXiv
    2412.19437); `softmax` is Qwen3-MoE's, balanced by a loss; it has no shared experts."""
    normalize: bool = True
    """Let the weights of a token's experts add up to one (times `scale`)."""
    scale: float = Field(default=1.0, gt=0)
    """What the chosen experts' weights are multiplied by."""
    num_dense_layers: int = Field(default=0, ge=0)
    """How many of the first layers keep a plain feed-forward layer of width `model.ffn_dim`."""


def _default_head_dim(fields: dict[str, Any]) -> int:
    """hidden_dim / num_heads; of a table that has faults there, anything that adds no other one."""
    return int(fields.get("hidden_dim", 2)) // int(fields.get("num_heads", 1)) or 1


class ModelConfig(Section):
    """`[model]`: a decoder of Llama's or Qwen3's shape. Keys beside `size` replace the name's."""

    size: str | None = None
    """A named shape."""
    depth: int | None = Field(default=None, ge=1, le=256)
    """Instead of a name, one number: so many layers, 64 times as wide, as many heads, and a
    feed-forward layer of 8/3 of the width. `bessemer plan` suggests tokens, rate and batch."""
    init_from: str | None = None
    """Folder of a Hugging Face model to begin with, relative to the run file: its weights and, from
    its config.json, the keys that say what they are."""
    init_digest: str | None = None
    """xxh3-128 of that folder's files, taken when the run file is read; one given here must be the
    same."""
    num_layers: int = Field(ge=1)
    hidden_dim: int = Field(ge=8)
    num_heads: int = Field(ge=1)
    num_kv_heads: int = Field(ge=1)
    """Key and value heads; fewer than `num_heads` is grouped-query attention."""
    head_dim: int = Field(default_factory=_default_head_dim, ge=1)
    """Width of one attention head; absent means hidden_dim / num_heads."""
    ffn_dim: int = Field(ge=8)
    """Inner width of the SwiGLU feed-forward layer; of those without experts if there are any."""
    qk_norm: bool = False
    """RMSNorm over each head's queries and keys, as in Qwen3: keeps attention from saturating."""
    rope_theta: float = Field(default=10000.0, gt=0)
    rope_scaling: RopeScalingConfig | None = None
    norm_eps: float = Field(default=1e-5, gt=0)
    sliding_window: int | None = Field(default=None, ge=1)
    """A token sees this many tokens, itself included; absent means all before it."""
    full_attention_every: int | None = Field(default=None, ge=1)
    """With `sliding_window`: every so manyth layer sees everything; absent means none does."""
    experts: ExpertsConfig | None = None
    vocab_rows: int | None = Field(default=None, ge=1)
    """Rows of the embedding; absent means one for each token of the tokenizer. Spare ones stand for
    nothing."""
    tie_embeddings: bool = True
    """Use the token embedding as output projection too."""
    logit_softcap: float | None = Field(default=None, gt=0)
    """Logits become cap * tanh(logits / cap), as in Gemma 2."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the elements that training leaves out of the embedding and of what each attention
    and feed-forward layer adds. Of use where text is repeated more than about four times."""
    init_std: float | None = Field(default=None, gt=0)
    """Spread of the initial weights; absent means 1 / sqrt(hidden_dim), with `mup` of the base."""
    width_scaling: Literal["none", "mup"] = "none"
    """`mup`: initial weights and learning rates go with the width as in Tensor Programs V (arXiv
    2203.03466), so that what was tuned at `base_width` holds at `hidden_dim`."""
    base_width: int | None = Field(default=None, ge=8)
    """`mup`: the hidden_dim at which the learning rate was tuned."""
    base_head_dim: int | None = Field(default=None, ge=2)
    """`mup`: the head_dim there; absent means the same as here."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_shape(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        size, depth = data.get("size"), data.get("depth")
        if size is not None and depth is not None:
            raise ValueError("size and depth both ask for a shape; leave one out")
        if type(depth) is int and 1 <= depth <= 256:
            return shape_of_depth(depth) | data
        if size is None:
            return data
        if not isinstance(size, str) or size not in NAMED_SIZES:
            raise ValueError(f"size {size!r} is unknown; known: {', '.join(NAMED_SIZES)}")
        return NAMED_SIZES[size] | data

    @property
    def initial_std(self) -> float:
        """`init_std`, or 1 / sqrt(fan-in) (LeCun et al. 1998): activations keep their size, and
        with tied embeddings the first logits have a spread of one. With µP, at the base width."""
        if self.init_std is not None:
            return self.init_std
        return float((self.hidden_dim / self.width_multiplier) ** -0.5)

    @property
    def width_multiplier(self) -> float:
        """How many times wider than its base the decoder is, as µP counts; 1 without it."""
        if self.width_scaling == "none" or self.base_width is None:
            return 1.0
        return self.hidden_dim / self.base_width

    @property
    def attention_multiplier(self) -> float:
        """What µP's scale of 1 / head_dim is to 1 / sqrt(head_dim), both one at the base."""
        if self.width_scaling == "none" or self.base_head_dim is None:
            return 1.0
        return float((self.base_head_dim / self.head_dim) ** 0.5)

    def window_of(self, layer: int) -> int | None:
        """How many tokens a token sees in a layer (counted from 0), itself included; None: all."""
        every = self.full_attention_every
        return None if every and (layer + 1) % every == 0 else self.sliding_window

    def has_experts(self, layer: int) -> bool:
        """Whether a layer (counted from 0) has a mixture of experts."""
        return self.experts is not None and layer >= self.experts.num_dense_layers

    def num_rows(self, vocab_size: int) -> int:
        """Rows of the embedding with a tokenizer of so many tokens."""
        return vocab_size if self.vocab_rows is None else self.vocab_rows
