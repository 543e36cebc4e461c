"""The content of a tokenizer.json as plain data: its parts, its spelling of bytes, its ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bessemer.core.errors import DataError

# Byte-level BPE spells a byte as one character: printable ones of Latin-1 as themselves, the others
# as the characters from U+0100 on (GPT-2, Radford et al. 2019).
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
_BYTE_OF = {chr(byte): byte for byte in _PRINTABLE}
_BYTE_OF |= {chr(0x100 + place): byte for place, byte in enumerate(_OTHERS)}
_CHARACTER_OF = {byte: character for character, byte in _BYTE_OF.items()}

_MOST_IDS = 1 << 20


def spell(data: bytes) -> str:
    """The token of byte-level BPE that stands for `data`."""
    return "".join(map(_CHARACTER_OF.__getitem__, data))


def unspell(token: str) -> bytes:
    """The bytes that a token stands for; one that is not spelled so stands for itself."""
    if not set(token) <= _BYTE_OF.keys():
        return token.encode()
    return bytes(map(_BYTE_OF.__getitem__, token))


def make_spec(
    vocab: Mapping[str, int],
    merges: Iterable[tuple[str, str]],
    *,
    splits: Sequence[Mapping[str, Any]],
    whole_words: bool = False,
) -> dict[str, Any]:
    """The content of a tokenizer.json for byte-level BPE."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [*splits, byte_level | {"use_regex": False}],
        },
        "post_processor": None,
        "decoder": byte_level | {"use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": whole_words,
            "vocab": dict(vocab),
            "merges": list(merges),
        },
    }


def merges_of(ranked: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every pair of tokens that makes a token, in the order of what they make.

    `ranked` are the tokens as they are learned. That is what merging by the rank of the result
    comes to, as tiktoken and SentencePiece do it.
    """
    tokens = dict.fromkeys(ranked)
    for token in tokens:
        for cut in range(1, len(token)):
            if token[:cut] in tokens and token[cut:] in tokens:
                yield token[:cut], token[cut:]


def special_names(spec: Mapping[str, Any]) -> set[str]:
    """The special tokens, as they are written."""
    return {token["content"] for token in spec["added_tokens"] if token["special"]}


def next_id(spec: Mapping[str, Any]) -> int:
    """The number of ids, which is the next one."""
    ids: list[int] = [token["id"] for token in spec["added_tokens"]]
    ids += spec["model"]["vocab"].values()
    return 1 + max(ids, default=-1)


def add_special(spec: dict[str, Any], token: str, name: str) -> None:
    """Give a new special token the next id, in place; DataError if the file `name` has it else."""
    taken = {other["content"] for other in spec["added_tokens"]} | spec["model"]["vocab"].keys()
    if token in taken:
        raise DataError(f"{name}: {token!r} is a token that text can produce")
    spec["added_tokens"].append(special_token(next_id(spec), token))


def special_token(index: int, content: str) -> dict[str, Any]:
    """An entry of `added_tokens` in tokenizer.json."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": content, **flags, "special": True}


def fill_holes(spec: dict[str, Any], name: str) -> None:
    """Give every id below the last a token: `tokenizers` counts tokens to find the next id.

    DataError if two tokens of the file `name` have one id, or if the ids are too many for a BPE.
    """
    vocab = spec["model"]["vocab"]
    if next_id(spec) > _MOST_IDS:
        raise DataError(
            f"{name}: the highest id of the vocabulary is {next_id(spec) - 1}; that is no BPE"
        )
    named: dict[int, str] = {}
    added = [(token["content"], token["id"]) for token in spec["added_tokens"]]
    for token, index in (*vocab.items(), *added):
        if named.setdefault(index, token) != token:
            raise DataError(f"{name}: {named[index]!r} and {token!r} both have the id {index}")
    for index in range(next_id(spec)):
        if index not in named:
            vocab[f"<|unused_{index}|>"] = index
            spec["added_tokens"].append(special_token(index, f"<|unused_{index}|>"))
    spec["added_tokens"].sort(key=lambda token: token["id"])
