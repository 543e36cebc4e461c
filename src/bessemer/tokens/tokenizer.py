"""Byte-level BPE: trained with `tokenizers` on a sample of the mixture, saved as tokenizer.json.

Text is cut by the GPT-4 pattern with single digits, then merged by byte pairs; every byte has a
token of its own, so any text round-trips exactly. Documents are framed by two special tokens,
`BEGIN` and `END`, that no text can produce: special tokens are never matched in text.

Encoding is by the core of `tiktoken`, several times as fast. It merges by the rank of what a pair
makes, not by the rank of the pair. That is the same: within the bytes of a token the merges learned
before it always end in the same two parts, so only one pair ever makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import tiktoken
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as BackendTokenizer

from bessemer.core.errors import DataError, IntegrityError
from bessemer.core.storage import write_text

BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
SPECIAL_TOKENS = (BEGIN, END)

# The pattern of GPT-4 (tiktoken's cl100k_base), with digits one by one as in Llama 2.
_SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Byte-level BPE spells a byte as one character: printable ones of Latin-1 as themselves, the others
# as the characters from U+0100 on (GPT-2, Radford et al. 2019).
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
_BYTE_OF = {chr(byte): byte for byte in _PRINTABLE}
_BYTE_OF |= {chr(0x100 + place): byte for place, byte in enumerate(_OTHERS)}


class Tokenizer:
    """Encodes text to token ids and back. Ids 0 and 1 are BEGIN and END, then the 256 bytes."""

    def __init__(self, backend: BackendTokenizer) -> None:
        self._backend = backend
        # A text that holds "<|end_of_text|>" must not be able to end a document.
        self._backend.encode_special_tokens = True
        self.begin_id, self.end_id = (_id_of(backend, token) for token in SPECIAL_TOKENS)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read tokenizer.json; IntegrityError if it is not one of ours."""
        try:
            backend = BackendTokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise IntegrityError(f"{path} is no readable tokenizer.json: {error}") from error
        tokenizer = cls(backend)
        missing = _BYTE_OF.keys() - backend.get_vocab().keys()
        if missing:
            raise IntegrityError(f"{path} lacks a token for {len(missing)} of the 256 bytes")
        return tokenizer

    @property
    def vocab_size(self) -> int:
        """Tokens in all, special ones included."""
        size: int = self._backend.get_vocab_size()
        return size

    def save(self, path: Path) -> None:
        """Write tokenizer.json, which `tokenizers` and `transformers` read."""
        write_text(path, self._backend.to_str(pretty=True))

    def encode_documents(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Token ids (uint32) of each text as a document: BEGIN, the text, END."""
        begin, end = np.array([[self.begin_id], [self.end_id]], np.uint32)
        return [np.concatenate((begin, self._ids(text), end)) for text in texts]

    def encode(self, text: str) -> list[int]:
        """Token ids of `text` alone."""
        ids: list[int] = self._ids(text).tolist()
        return ids

    def _ids(self, text: str) -> np.ndarray:
        try:
            return self._core.encode_to_numpy(text, disallowed_special=())
        except ValueError:  # its regular expressions run out of stack on a long run of white space
            encoding = self._backend.encode(text, add_special_tokens=False)
            return np.array(encoding.ids, np.uint32)

    @cached_property
    def _core(self) -> tiktoken.Encoding:
        """The same tokenizer for `tiktoken`: the bytes of each token, by rank."""
        special, ranks = {}, {}
        for token, index in self._backend.get_vocab().items():
            if token in SPECIAL_TOKENS:
                special[token] = index
            else:
                ranks[bytes(map(_BYTE_OF.__getitem__, token))] = index
        return tiktoken.Encoding(
            "bessemer", pat_str=_SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens=special
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; special tokens vanish, bytes that are no UTF-8 become U+FFFD."""
        text: str = self._backend.decode(list(ids), skip_special_tokens=True)
        return text

    @cached_property
    def token_bytes(self) -> np.ndarray:
        """int32 [vocab_size]: bytes of text that each token stands for; 0 for special tokens."""
        sizes = np.zeros(self.vocab_size, np.int32)
        for token, index in self._backend.get_vocab().items():
            # In byte-level BPE one character of the vocabulary's spelling is one byte.
            sizes[index] = 0 if token in SPECIAL_TOKENS else len(token)
        return sizes


def _id_of(backend: BackendTokenizer, token: str) -> int:
    found = backend.token_to_id(token)
    if found is None:
        raise IntegrityError(f"the tokenizer lacks the special token {token}")
    return int(found)


def train_tokenizer(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """Learn `vocab_size` tokens from `texts`; DataError if they are too little text for that."""
    backend = BackendTokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    if backend.get_vocab_size() < vocab_size:
        raise DataError(
            f"the sample yields only {backend.get_vocab_size()} tokens of the {vocab_size} asked "
            "for: give more text, or a smaller tokenizer.vocab_size"
        )
    return Tokenizer(backend)
