"""Byte-exact BPE: trained with `tokenizers` on a sample of the mixture, kept as tokenizer.json.

Every byte has a token of its own, so any text round-trips exactly. Documents are framed by two
special tokens, `BEGIN` and `END` or what a loaded file has in their place, that no text can
produce: special tokens are never matched in text.

Text is encoded in batches by kernels of ours if they know the vocabulary's kind, else one by one by
`tokenizers`, whose ids are the reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as BackendTokenizer

from bessemer.core.errors import DataError, IntegrityError
from bessemer.core.storage import read_json, write_json, write_text
from bessemer.tokens.batch import batch_encoder
from bessemer.tokens.contents import count_bytes, read_contents
from bessemer.tokens.patterns import DIGITS_SPLIT
from bessemer.tokens.spec import special_names

BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
_CONFIG = "tokenizer_config.json"  # beside tokenizer.json, as `transformers` has it


class Tokenizer:
    """Encodes text to token ids and back.

    `spec` is the content of a tokenizer.json: byte-level BPE, or BPE over characters with a token
    for every byte, without a normalizer. IntegrityError if it is not.
    """

    def __init__(self, spec: Mapping[str, Any], begin: str = BEGIN, end: str = END) -> None:
        try:
            self._backend = BackendTokenizer.from_str(json.dumps(spec))
        except Exception as error:  # the library raises bare Exception
            raise IntegrityError(f"no readable tokenizer.json: {error}") from error
        # A text that holds "<|end_of_text|>" must not be able to end a document.
        self._backend.encode_special_tokens = True
        self._check_ids(spec)
        self.begin, self.end = begin, end
        self.begin_id, self.end_id = (_id_of(self._backend, token) for token in (begin, end))
        self._contents = read_contents(spec)
        # Added tokens do not count: they are looked for in text before it is split.
        known = {self._contents[index] for index in spec["model"]["vocab"].values()}
        missing = 256 - sum(bytes([byte]) in known for byte in range(256))
        if missing:
            raise IntegrityError(f"lacks a token for {missing} of the 256 bytes")
        self._batch = batch_encoder(spec)
        matched = [token["content"] for token in spec["added_tokens"] if not token["special"]]
        self._matched = re.compile("|".join(map(re.escape, matched))) if matched else None

    def _check_ids(self, spec: Mapping[str, Any]) -> None:
        for token in spec["added_tokens"]:
            found = self._backend.token_to_id(token["content"])
            if found != token["id"]:
                raise IntegrityError(
                    f"the token {token['content']!r} has the id {token['id']} in the file, and "
                    f"{found} when `tokenizers` reads it"
                )

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read what `save` wrote; IntegrityError if it is not that."""
        names = path.with_name(_CONFIG)
        spec, config = read_json(path), read_json(names) if names.exists() else {}
        try:
            return cls(spec, config.get("bos_token", BEGIN), config.get("eos_token", END))
        except (LookupError, TypeError, AttributeError, IntegrityError) as error:
            why = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise IntegrityError(
                f"{path} is no tokenizer of ours: {why}; delete its folder and run again"
            ) from error

    @property
    def vocab_size(self) -> int:
        """Tokens in all, special ones included; ids run from 0 to one less."""
        return len(self._contents)

    def save(self, path: Path, model_max_length: int | None = None) -> None:
        """Write tokenizer.json, and tokenizer_config.json beside it: `transformers` reads both."""
        write_text(path, self._backend.to_str(pretty=True))
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.begin,
            "eos_token": self.end,
            "pad_token": self.end,
            "clean_up_tokenization_spaces": False,
        }
        if model_max_length is not None:
            config["model_max_length"] = model_max_length
        write_json(path.with_name(_CONFIG), config)

    def encode_documents(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Token ids (uint32) of each text as a document: BEGIN, the text, END.

        Best in batches of megabytes: whatever the texts have in common is done once.
        """
        begin, end = np.array([[self.begin_id], [self.end_id]], np.uint32)
        return [np.concatenate((begin, ids, end)) for ids in self._encode(list(texts))]

    def encode(self, text: str) -> list[int]:
        """Token ids of `text` alone."""
        [ids] = self._encode([text])
        found: list[int] = ids.tolist()
        return found

    def encode_as_saved(self, text: str) -> list[int]:
        """Token ids of `text` alone, found by `tokenizers` with the saved file: the reference."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def _encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids (uint32) of each text."""
        matched = self._matched
        if self._batch is None:
            return [np.array(self.encode_as_saved(text), np.uint32) for text in texts]
        if matched is None or not any(map(matched.search, texts)):
            return self._batch.encode(texts)
        plain = iter(self._batch.encode([text for text in texts if not matched.search(text)]))
        return [
            np.array(self.encode_as_saved(text), np.uint32) if matched.search(text) else next(plain)
            for text in texts
        ]

    @property
    def is_fast(self) -> bool:
        """Whether kernels of ours encode, rather than `tokenizers`."""
        return self._batch is not None

    @property
    def is_byte_level(self) -> bool:
        """Whether tokens are made of bytes, rather than of characters."""
        return not self._backend.model.byte_fallback

    def split_by(self, pattern: str) -> Tokenizer:
        """The same byte-level vocabulary, with text split by another regular expression."""
        spec = json.loads(self._backend.to_str())
        spec["pre_tokenizer"] = json.loads(byte_level_split(pattern).__getstate__())
        return Tokenizer(spec, self.begin, self.end)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; special tokens vanish, bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self._contents.__getitem__, ids)).decode("utf-8", "replace")

    @cached_property
    def token_bytes(self) -> np.ndarray:
        """int32 [vocab_size]: bytes of text that each token stands for; 0 for special tokens."""
        return count_bytes(self._contents)

    @property
    def contents(self) -> Sequence[bytes]:
        """The bytes that each token stands for, by id; none for special tokens."""
        return self._contents


def _id_of(backend: BackendTokenizer, token: str) -> int:
    found = backend.token_to_id(token)
    if found is None:
        raise IntegrityError(f"the tokenizer lacks the special token {token}")
    return int(found)


def byte_level_split(pattern: str) -> pre_tokenizers.PreTokenizer:
    """Split text by `pattern`, then spell its bytes."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()
) -> Tokenizer:
    """Learn `vocab_size` tokens from `texts`: BEGIN, END and other special ones, the 256 bytes, and
    merges. DataError if they are too little text for that."""
    backend = BackendTokenizer(models.BPE())
    backend.pre_tokenizer = byte_level_split(DIGITS_SPLIT)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BEGIN, END, *special_tokens],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    if backend.get_vocab_size() < vocab_size:
        raise DataError(
            f"the sample yields only {backend.get_vocab_size()} tokens of the {vocab_size} asked "
            "for: give more text, or a smaller tokenizer.vocab_size"
        )
    spec = json.loads(backend.to_str())
    made = special_names(spec) & {left + right for left, right in spec["model"]["merges"]}
    if made:
        raise DataError(
            f"tokenizer.special_tokens: text can produce {min(made)!r}; put signs around it that "
            f"no word has, such as '<|{min(made)}|>'"
        )
    return Tokenizer(spec)
