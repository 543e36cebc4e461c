"""Tokenizers from elsewhere, brought into one form: a tokenizer.json that loses no byte.

Read are tokenizer.json (byte-level BPE), the ranks of tiktoken, and SentencePiece models (BPE with
byte fallback); which one a file is, its content says. What cannot give back every byte is refused.

BEGIN and END are the tokens that the run file names; else bos_token and eos_token of a
tokenizer_config.json beside the file; else special tokens of the file that are known to serve as
that; else ours are added behind the last id.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from bessemer.core.errors import DataError, IntegrityError
from bessemer.tokens.patterns import PATTERNS
from bessemer.tokens.sentencepiece import read_sentencepiece
from bessemer.tokens.spec import (
    add_special,
    fill_holes,
    make_spec,
    merges_of,
    next_id,
    special_names,
    spell,
)
from bessemer.tokens.tokenizer import BEGIN, END, Tokenizer

_RANKS = re.compile(rb"[A-Za-z0-9+/]+=* [0-9]+\r?\n")
_NAME = re.compile(r"[\w-]*")
_BEGINS = (BEGIN, "<s>", "<bos>", "<|startoftext|>", "<｜begin▁of▁sentence｜>", "[BOS]")
_ENDS = (END, "</s>", "<eos>", "<|endoftext|>", "<｜end▁of▁sentence｜>", "<EOT>", "[EOS]")
# Steps before merging that lose no byte; ByteLevel must be the last of them.
_EXACT_SPLITS = {"Split", "Digits", "Punctuation", "UnicodeScripts", "ByteLevel"}


class _Part(BaseModel):
    """A part of a tokenizer.json, as far as it is read here."""

    model_config = ConfigDict(strict=True)


class _Step(_Part):
    type: str
    normalizers: list[_Step] = []
    pretokenizers: list[_Step] = []


class _Model(_Part):
    vocab: dict[str, NonNegativeInt]
    merges: list[str | Annotated[list[str], Field(min_length=2, max_length=2)]]


class _AddedToken(_Part):
    id: NonNegativeInt
    content: str
    special: bool


class _File(_Part):
    model: _Model
    added_tokens: list[_AddedToken]
    normalizer: _Step | None
    pre_tokenizer: _Step | None
    decoder: _Step | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedTokenizer:
    """A tokenizer from elsewhere, as the content of a tokenizer.json."""

    name: str  # of the file
    kind: str  # tokenizer.json | tiktoken | sentencepiece
    spec: dict[str, Any]
    begin: str
    end: str
    left_out: tuple[str, ...]  # what the file does to text beside encoding it

    @property
    def vocab_size(self) -> int:
        """Tokens in all, BEGIN and END included."""
        return next_id(self.spec)

    def build(self) -> Tokenizer:
        """The tokenizer; DataError if `tokenizers` cannot read it, or reads it in another way."""
        try:
            return Tokenizer(self.spec, self.begin, self.end)
        except IntegrityError as error:
            raise DataError(f"{self.name}: {error}") from error


def read_tokenizer(
    path: Path,
    pattern: str | None = None,
    begin: str | None = None,
    end: str | None = None,
    special_tokens: Sequence[str] = (),
) -> LoadedTokenizer:
    """Read the tokenizer in `path`; DataError if it is none, or not one that keeps every byte.

    `pattern` (a name in PATTERNS or a regular expression) is for ranks of tiktoken, which do not
    say how text is split. `special_tokens` are added if the file has them not.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    is_ranks = _RANKS.match(data) is not None
    if pattern is not None and not is_ranks:
        raise DataError(f"{path.name} says itself how text is split; a pattern is for tiktoken's")
    left_out: tuple[str, ...] = ()
    config: dict[str, Any] = {}
    if is_ranks:
        kind, spec = "tiktoken", _from_ranks(path.name, data, pattern)
    elif data.lstrip()[:1] == b"{":
        kind = "tokenizer.json"
        spec, left_out = _from_huggingface(path.name, data)
        config = _names_beside(path)
    else:
        kind = "sentencepiece"
        spec, config, left_out = read_sentencepiece(path.name, data)
    fill_holes(spec, path.name)
    free = is_ranks  # such a file has no special tokens that a name could be held against
    begin = _choose(spec, begin or config.get("bos_token"), _BEGINS, BEGIN, path.name, free)
    end = _choose(spec, end or config.get("eos_token"), _ENDS, END, path.name, free)
    for token in special_tokens:
        if token not in special_names(spec):
            add_special(spec, token, path.name)
    return LoadedTokenizer(
        name=path.name, kind=kind, spec=spec, begin=begin, end=end, left_out=left_out
    )


def _from_ranks(name: str, data: bytes, pattern: str | None) -> dict[str, Any]:
    """A `.tiktoken` file: a token in base64 and its rank on each line."""
    if pattern is None:
        raise DataError(
            f"{name} holds ranks of tiktoken, which do not say how text is split; give "
            f"tokenizer.pattern: {', '.join(PATTERNS)}, or a regular expression"
        )
    if pattern not in PATTERNS and _NAME.fullmatch(pattern):
        raise DataError(
            f"tokenizer.pattern: no pattern is called {pattern!r}, and it is no regular expression "
            f"that splits text; known: {', '.join(PATTERNS)}"
        )
    ranks: dict[str, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        try:
            token, rank = line.split()
            ranks[spell(base64.b64decode(token, validate=True))] = int(rank)
        except ValueError as error:
            raise DataError(f"{name}, line {number}: no token in base64 and its rank") from error
    if len(set(ranks.values())) < len(ranks):
        raise DataError(f"{name}: two tokens have the same rank")
    ranks = dict(sorted(ranks.items(), key=lambda entry: entry[1]))
    split = {
        "type": "Split",
        "pattern": {"Regex": PATTERNS.get(pattern, pattern)},
        "behavior": "Isolated",
        "invert": False,
    }
    return make_spec(ranks, merges_of(ranks), splits=[split], whole_words=True)


def _from_huggingface(name: str, data: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A tokenizer.json, without what it does to text beside encoding it."""
    try:
        spec = json.loads(data)
        kind = (spec.get("model") or {}).get("type", "BPE")
        if kind != "BPE":
            raise DataError(f"{name}: its model is {kind}; only BPE can be loaded")
        _File.model_validate(spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{name} is no tokenizer.json: {where}: {first['msg']}") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{name} is no tokenizer.json: {error}") from error
    model, decoder, added = spec["model"], spec["decoder"] or {}, spec["added_tokens"]
    splits = _flat(spec["pre_tokenizer"], "pretokenizers")
    normalizers = [step["type"] for step in _flat(spec["normalizer"], "normalizers")]
    merges = [tuple(p.split(" ", 1)) if isinstance(p, str) else tuple(p) for p in model["merges"]]
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise DataError(f"{name}: its BPE has {key}; such text does not come back as it was")
    if not splits or splits[-1]["type"] != "ByteLevel" or decoder.get("type") != "ByteLevel":
        raise DataError(
            f"{name} is not byte-level; of a SentencePiece tokenizer give the .model file"
        )
    for step in splits:
        if step["type"] not in _EXACT_SPLITS or step.get("behavior") == "Removed":
            raise DataError(f"{name}: its splitting by {step['type']} loses text")
        if step.get("add_prefix_space"):
            raise DataError(f"{name} puts a blank before every text (add_prefix_space)")
    for step in normalizers:
        # Almost all text is NFC already, and then it makes no difference.
        if step != "NFC":
            raise DataError(f"{name} changes text before encoding it (normalizer {step})")
    for token in added:
        if not token["special"] and (token.get("lstrip") or token.get("rstrip")):
            raise DataError(f"{name}: its token {token['content']!r} swallows the blanks around it")
    left_out = [f"normalizer {step}" for step in normalizers]
    left_out += [key for key in ("post_processor", "truncation", "padding") if spec.get(key)]
    if len(splits) == 1:
        spec["pre_tokenizer"] = splits[0] | {"use_regex": splits[0].get("use_regex", True)}
    for key in ("normalizer", "post_processor", "truncation", "padding"):
        spec[key] = None
    model["merges"] = merges
    return spec, tuple(left_out)


def _flat(step: Mapping[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer one after the other."""
    if step is None:
        return []
    if step["type"] != "Sequence":
        return [dict(step)]
    return [flat for part in step[inner] for flat in _flat(part, inner)]


def _names_beside(path: Path) -> dict[str, str]:
    """`bos_token` and `eos_token` of the tokenizer_config.json beside a tokenizer.json, if any."""
    try:
        config = json.loads(path.with_name("tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    names = {}
    for key in ("bos_token", "eos_token"):
        token = config.get(key)
        name = token.get("content") if isinstance(token, dict) else token
        if isinstance(name, str):
            names[key] = name
    return names


def _choose(
    spec: dict[str, Any],
    wanted: str | None,
    known: Sequence[str],
    ours: str,
    name: str,
    free: bool,
) -> str:
    """The special token to frame documents with; one that is added if there is none."""
    special = special_names(spec)
    if wanted not in (None, ours, *special) and not free:
        shown = ", ".join(sorted(special)[:20]) or "none"
        raise DataError(f"{name} has no special token {wanted!r}; it has: {shown}")
    found = wanted or next((token for token in known if token in special), ours)
    if found not in special:
        add_special(spec, found, name)
    return found
