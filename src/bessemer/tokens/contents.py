"""What the tokens of a tokenizer.json stand for: all that training needs to know of a tokenizer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.errors import IntegrityError
from bessemer.core.storage import read_json
from bessemer.tokens.spec import unspell

_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")  # a byte, in vocabularies of characters


def read_contents(spec: Mapping[str, Any]) -> list[bytes]:
    """The bytes that each token stands for, by id; none for special tokens."""
    vocab, added = spec["model"]["vocab"], spec["added_tokens"]
    contents = [b""] * (1 + max([*vocab.values(), *(token["id"] for token in added)]))
    read = _read_characters if spec["model"].get("byte_fallback") else unspell
    for token, index in vocab.items():
        contents[index] = read(token)
    for token in added:
        contents[token["id"]] = b"" if token["special"] else token["content"].encode()
    return contents


def count_bytes(contents: Sequence[bytes]) -> np.ndarray:
    """int32 [vocab_size]: bytes of text that each token stands for."""
    return np.array([len(data) for data in contents], np.int32)


def read_token_bytes(path: Path) -> np.ndarray:
    """The same of a saved tokenizer, without the 50 MB that an encoder takes; IntegrityError if it
    is none."""
    try:
        return count_bytes(read_contents(read_json(path)))
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise IntegrityError(
            f"{path} is no tokenizer of ours: {error!r}; delete its folder and run again"
        ) from error


def _read_characters(token: str) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(token)
    return bytes.fromhex(byte[1]) if byte else token.encode()
