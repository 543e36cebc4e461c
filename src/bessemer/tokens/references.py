"""Tokenizers by name, to measure ours beside: files, tiktoken's encodings, ours split otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import tiktoken

from bessemer.core.errors import ConfigError, MachineError
from bessemer.tokens.compression import Bytes, Coder
from bessemer.tokens.load import read_tokenizer
from bessemer.tokens.patterns import PATTERNS
from bessemer.tokens.tokenizer import Tokenizer

OWN = "this run"
_SPLIT = "split:"


class _Encoding:
    """An encoding of tiktoken that takes special tokens in text as text."""

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self._encoding = encoding

    def encode(self, text: str) -> Sequence[int]:
        """Token ids of `text`."""
        return self._encoding.encode(text, disallowed_special=())

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        return self._encoding.decode(list(ids))


def gather(own: Tokenizer, references: Iterable[str]) -> dict[str, Coder]:
    """The run's own tokenizer, one token per byte, and the `references`, by name.

    A reference is `NAME=PATH` for a file as `[tokenizer] path` takes it (`NAME=PATH:PATTERN` for
    ranks of tiktoken), the name of an encoding of tiktoken, or `split:PATTERN` for the run's own
    vocabulary with text split in another way. Raises ConfigError for an unknown name, DataError for
    a file that cannot be loaded, MachineError if an encoding cannot be had.
    """
    coders: dict[str, Coder] = {OWN: own, "bytes": Bytes()}
    for reference in references:
        name, equals, place = reference.partition("=")
        if not name or (equals and not place):
            raise ConfigError(f"--against {reference}: expected NAME=PATH of a file")
        if name in coders:
            raise ConfigError(f"--against {reference}: the name {name!r} is taken")
        if equals:
            coders[name] = _load(place)
        elif name.startswith(_SPLIT):
            coders[name] = _split_as(own, name)
        else:
            coders[name] = _get_encoding(name)
    return coders


def _load(place: str) -> Tokenizer:
    path, _, pattern = place.rpartition(":")
    if pattern not in PATTERNS:
        return read_tokenizer(Path(place)).build()
    return read_tokenizer(Path(path), pattern).build()


def _split_as(own: Tokenizer, name: str) -> Tokenizer:
    pattern = name.removeprefix(_SPLIT)
    if pattern not in PATTERNS or not own.is_byte_level:
        raise ConfigError(
            f"--against {name}: for a byte-level vocabulary, and one of: "
            + ", ".join(_SPLIT + known for known in PATTERNS)
        )
    return own.split_by(PATTERNS[pattern])


def _get_encoding(name: str) -> _Encoding:
    known = tiktoken.list_encoding_names()
    if name not in known:
        raise ConfigError(
            f"--against {name}: give NAME=PATH for a file, or an encoding of tiktoken: "
            f"{', '.join(known)}"
        )
    try:
        return _Encoding(tiktoken.get_encoding(name))
    except OSError as error:  # all that its download raises
        raise MachineError(
            f"--against {name}: tiktoken cannot download it ({type(error).__name__}); give its "
            f"file if you have it: --against {name}=PATH:PATTERN"
        ) from error
