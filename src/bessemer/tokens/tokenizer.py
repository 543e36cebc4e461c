"""Byte-exact BPE: trained with `tokenizers` on a sample of the mixture, kept as tokenizer.json.

Every byte has a token of its own, so any text round-trips exactly. Documents are framed by two
special tokens, `BEGIN` and `END` or what a loaded file has in their place, that no text can
produce: special tokens are never matched in text.

Encoding is by the core of `tiktoken`, several times as fast. It merges by the rank of what a pair
makes, not by the rank of the pair. Where merges are ordered by what they make, and a token's own
bytes merge into it, that is the same: within those bytes the merges learned before it always end
in the same two parts, so only one pair ever makes it. Any other vocabulary, and any text on which
that core gives up, is encoded by `tokenizers` itself.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as BackendTokenizer

from bessemer.core.errors import DataError, IntegrityError
from bessemer.core.storage import write_json, write_text
from bessemer.tokens.patterns import DIGITS_SPLIT, PATTERNS, is_portable
from bessemer.tokens.spec import unspell

BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
_CONFIG = "tokenizer_config.json"  # beside tokenizer.json, as `transformers` has it

_BYTE_PIECE = re.compile("<0x([0-9A-F]{2})>")  # a byte, in vocabularies of characters


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
        self._pieces = _pieces(spec)
        missing = 256 - len({piece for piece in self._pieces if len(piece) == 1})
        if missing:
            raise IntegrityError(f"lacks a token for {missing} of the 256 bytes")
        self._split = _split_for_tiktoken(spec)
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
        try:
            spec = json.loads(path.read_text("utf-8"))
            names = path.with_name(_CONFIG)
            config = json.loads(names.read_text("utf-8")) if names.exists() else {}
            begin, end = config.get("bos_token", BEGIN), config.get("eos_token", END)
        except (OSError, ValueError, AttributeError) as error:
            raise IntegrityError(f"{path} is no readable tokenizer.json: {error}") from error
        try:
            return cls(spec, begin, end)
        except (IntegrityError, LookupError, TypeError) as error:
            raise IntegrityError(f"{path} is no tokenizer of ours: {error}") from error

    @property
    def vocab_size(self) -> int:
        """Tokens in all, special ones included; ids run from 0 to one less."""
        return len(self._pieces)

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
        """Token ids (uint32) of each text as a document: BEGIN, the text, END."""
        begin, end = np.array([[self.begin_id], [self.end_id]], np.uint32)
        return [np.concatenate((begin, self._ids(text), end)) for text in texts]

    def encode(self, text: str) -> list[int]:
        """Token ids of `text` alone."""
        ids: list[int] = self._ids(text).tolist()
        return ids

    def encode_as_saved(self, text: str) -> list[int]:
        """Token ids of `text` alone, found by `tokenizers` with the saved file: the reference."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def _ids(self, text: str) -> np.ndarray:
        if self._core is not None and not (self._matched and self._matched.search(text)):
            try:
                ids = self._core.encode_to_numpy(text, disallowed_special=())
            except ValueError:  # its regular expressions run out of stack on long white space
                ids = np.empty(0, np.uint32)
            # Text that a pattern does not match at all is lost to tiktoken.
            if int(self.token_bytes[ids].sum()) == len(text.encode("utf-8", "surrogatepass")):
                return ids
        return np.array(self.encode_as_saved(text), np.uint32)

    @property
    def is_fast(self) -> bool:
        """Whether tiktoken's core encodes, rather than `tokenizers`."""
        return self._core is not None

    @cached_property
    def _core(self) -> tiktoken.Encoding | None:
        """The same tokenizer for `tiktoken`; None if it is not certain to be the same."""
        if self._split is None:
            return None
        model = copy.deepcopy(self._backend.model)
        takes_whole_words = model.ignore_merges
        model.ignore_merges = False
        ranks = {}
        for token, index in self._backend.get_vocab(with_added_tokens=False).items():
            if not self._pieces[index]:
                continue
            num_parts = len(model.tokenize(token))
            # A token that its own bytes do not merge into is made of a whole word or never. With
            # two parts left, tiktoken would make it of these as well.
            if num_parts > 1 and takes_whole_words and num_parts == 2:
                return None
            if num_parts == 1 or takes_whole_words:
                ranks[self._pieces[index]] = index
        try:
            return tiktoken.Encoding(
                "bessemer", pat_str=self._split, mergeable_ranks=ranks, special_tokens={}
            )
        except ValueError:  # a pattern too large for its regular expressions
            return None

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
        return b"".join(map(self._pieces.__getitem__, ids)).decode("utf-8", "replace")

    @cached_property
    def token_bytes(self) -> np.ndarray:
        """int32 [vocab_size]: bytes of text that each token stands for; 0 for special tokens."""
        return np.array([len(piece) for piece in self._pieces], np.int32)

    @property
    def pieces(self) -> Sequence[bytes]:
        """The bytes that each token stands for, by id; none for special tokens."""
        return self._pieces


def _id_of(backend: BackendTokenizer, token: str) -> int:
    found = backend.token_to_id(token)
    if found is None:
        raise IntegrityError(f"the tokenizer lacks the special token {token}")
    return int(found)


def _pieces(spec: Mapping[str, Any]) -> list[bytes]:
    """What each id stands for."""
    vocab, added = spec["model"]["vocab"], spec["added_tokens"]
    pieces = [b""] * (1 + max([*vocab.values(), *(token["id"] for token in added)]))
    read = _read_characters if spec["model"].get("byte_fallback") else unspell
    for token, index in vocab.items():
        pieces[index] = read(token)
    for token in added:
        pieces[token["id"]] = b"" if token["special"] else token["content"].encode()
    return pieces


def _read_characters(token: str) -> bytes:
    byte = _BYTE_PIECE.fullmatch(token)
    return bytes.fromhex(byte[1]) if byte else token.encode()


def _split_for_tiktoken(spec: Mapping[str, Any]) -> str | None:
    """The pattern to split by, if one pattern does it and merges are ordered by what they make."""
    model = spec["model"]
    vocab = model["vocab"]
    if model.get("byte_fallback") or not all(
        vocab[before[0] + before[1]] <= vocab[after[0] + after[1]]
        for before, after in pairwise(model["merges"])
    ):
        return None
    match spec["pre_tokenizer"]:
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}:
            return PATTERNS["gpt2"]
        case {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": str(pattern)},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        } if is_portable(pattern):
            return pattern
    return None


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
    return Tokenizer(json.loads(backend.to_str()))
