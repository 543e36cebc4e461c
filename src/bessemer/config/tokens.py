"""Run file: how text becomes tokens, and how much of each source is trained on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessemer.config.base import Bytes, Section, Strings


class TokenizerConfig(Section):
    """`[tokenizer]`: byte-level BPE trained on the mixture, or one loaded from a file."""

    vocab_size: int = Field(default=32768, ge=258, le=2**20)
    """Tokens in all: 256 bytes, special tokens, merges. With `path`, as many as the file has."""
    sample_bytes: Bytes = 256 * 2**20
    """Text that the merges are learned from, of each source by its share in `[mix]`."""
    special_tokens: Strings = ()
    """More special tokens to hold in reserve (for chat, say); no text produces them."""
    path: str | None = None
    """File to load instead of training, relative to the run file: a tokenizer.json (byte-level
    BPE), ranks of tiktoken, or a SentencePiece model (BPE with byte fallback)."""
    pattern: str | None = None
    """How text is split, for ranks of tiktoken, which do not say: "gpt2", "cl100k", "o200k",
    "llama3", "qwen2", or a regular expression."""
    begin_token: str | None = Field(default=None, min_length=1)
    """Special token of the file that begins a document; absent: its bos_token, or a new one."""
    end_token: str | None = Field(default=None, min_length=1)
    """Special token of the file that ends a document; absent: its eos_token, or a new one."""
    digest: str | None = None
    """xxh3-128 of the file, taken when the run file is read; one given here must be the same."""


class MixConfig(Section):
    """`[mix]`: how much of each source one run of training sees."""

    method: Literal["weights", "proportional", "temperature", "unimax"] | None = None
    """How shares come about: given as weights, in proportion to the tokens there are, by a root of
    those, or as evenly as `max_epochs` allows; absent means weights if there are any, else
    proportional."""
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Share of each source in tokens, scaled to sum to one."""
    temperature: float | None = Field(default=None, gt=0)
    """T of the method "temperature": n tokens weigh n^(1/T); 1 is proportional, more more even."""
    max_epochs: float = Field(default=16, gt=0)
    """More repetitions of a source than this are refused; for "unimax" the most it may plan."""
    warn_epochs: float = Field(default=4, gt=0)
    """More repetitions than this are warned of: up to here they are nearly as good as fresh text
    (arXiv 2305.16264)."""
    force: bool = False
    """Repeat sources even more often than `max_epochs`."""
