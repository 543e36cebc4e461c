"""SentencePiece models (`.model`), read without the library that makes them, as a tokenizer.json.

A model is a protocol buffer (sentencepiece_model.proto). Loaded is BPE with byte fallback that
leaves text as it is (Llama 2, Mistral, Gemma). SentencePiece writes a blank as U+2581 and so cannot
tell the two apart; here a blank stays a blank, and U+2581 is spelled in bytes. The blank that it
puts before every text is left out as well. So every byte comes back.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from bessemer.core.errors import DataError
from bessemer.tokens.spec import make_spec, merges_of, special_token

_BLANK = "\u2581"
# sentencepiece_model.proto: the kinds of a piece, and of a model.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 1, 2, 3, 4, 6
_MODELS = {1: "unigram", 2: "BPE", 3: "word", 4: "char"}
_VARINT, _BYTES = 0, 2  # kinds of fields
_FIXED = {1: 8, 5: 4}  # kind -> bytes

Value = int | bytes
Piece = tuple[str, float, int]  # text, score, kind


def read_sentencepiece(
    name: str, data: bytes
) -> tuple[dict[str, Any], dict[str, str], tuple[str, ...]]:
    """The tokenizer.json of a model, its bos_token and eos_token, and what is left out.

    DataError if it is no model, or one that cannot give back every byte.
    """
    try:
        fields = dict(_group(_fields(data)))
        pieces = [_piece(entry) for entry in fields[1]]
        trainer, normalizer = (dict(_group(_fields(fields[at][0]))) for at in (2, 3))
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise DataError(f"{name} is no tokenizer: not JSON, no ranks, no model") from error
    left_out = _refuse_inexact(name, pieces, trainer, normalizer)
    special, user_defined, normal = [], [], []
    vocab: dict[str, int] = {}
    for index, (text, score, kind) in enumerate(pieces):
        token = text.replace(_BLANK, " ") if kind in (_NORMAL, _USER_DEFINED) else text
        if token in vocab:
            raise DataError(f"{name} has two tokens {token!r} as soon as a blank is a blank")
        vocab[token] = index
        if kind == _NORMAL:
            normal.append((-score, index, token))
        elif kind == _USER_DEFINED:
            user_defined.append(special_token(index, token) | {"special": False})
        elif kind != _BYTE:
            special.append(special_token(index, token))
    ranked = [token for _, _, token in sorted(normal)]
    spec = make_spec(vocab, merges_of(ranked), splits=[])
    spec["model"]["byte_fallback"] = True
    spec["added_tokens"] = special + user_defined
    spec["pre_tokenizer"] = _split_before_blanks(ranked)
    spec["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}
    names = {}
    for key, field, usual in (("bos_token", 41, 1), ("eos_token", 42, 2)):
        index = _signed(trainer.get(field, [usual])[-1])
        if 0 <= index < len(pieces) and pieces[index][2] == _CONTROL:
            names[key] = pieces[index][0]
    return spec, names, left_out


def _refuse_inexact(
    name: str,
    pieces: list[Piece],
    trainer: dict[int, list[Value]],
    normalizer: dict[int, list[Value]],
) -> tuple[str, ...]:
    """DataError if the model changes text or cannot spell every byte; else what is left out."""
    kind = _MODELS.get(int(trainer.get(3, [1])[-1]), "of an unknown kind")
    if kind != "BPE":
        raise DataError(f"{name}: a SentencePiece model of BPE is needed, this is {kind}")
    if not trainer.get(35, [0])[-1]:
        raise DataError(f"{name} has no byte fallback: characters that it does not know are lost")
    if normalizer.get(2, [b""])[-1]:
        rule = bytes(normalizer.get(1, [b"?"])[-1]).decode("utf-8", "replace")
        raise DataError(f"{name} changes text before encoding it (normalization {rule})")
    if normalizer.get(4, [1])[-1]:
        raise DataError(f"{name} removes blanks (remove_extra_whitespaces)")
    if not normalizer.get(5, [1])[-1]:
        raise DataError(f"{name} leaves blanks unescaped; such models are not supported")
    if any(kind not in (*range(1, 5), _BYTE) for _, _, kind in pieces):
        raise DataError(f"{name} has unused pieces; such models are not supported")
    return ("dummy prefix",) if normalizer.get(3, [1])[-1] else ()


def _split_before_blanks(tokens: list[str]) -> dict[str, Any] | None:
    """Words with the blanks before them, if no token goes on behind a blank that ends a word.

    Then no merge crosses such a border, and short words are encoded faster than one long text.
    """
    if any(before != " " and after == " " for t in tokens for before, after in pairwise(t)):
        return None
    pattern = {"Regex": " *[^ ]+| +"}
    return {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}


def _piece(data: Value) -> Piece:
    fields = dict(_group(_fields(data)))
    (score,) = struct.unpack("<f", bytes(fields.get(2, [b"\0\0\0\0"])[-1]))
    return bytes(fields[1][-1]).decode(), score, int(fields.get(3, [_NORMAL])[-1])


def _group(fields: Iterator[tuple[int, Value]]) -> Iterator[tuple[int, list[Value]]]:
    grouped: defaultdict[int, list[Value]] = defaultdict(list)
    for number, value in fields:
        grouped[number].append(value)
    yield from grouped.items()


def _fields(data: Value) -> Iterator[tuple[int, Value]]:
    """(field number, value) of a message in the wire format of protocol buffers."""
    if not isinstance(data, bytes):
        raise ValueError("a number where a message should be")
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in _FIXED:
            length = _FIXED[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(data):
            raise ValueError("a field longer than its message")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends; IndexError if cut."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")


def _signed(value: Value) -> int:
    number = int(value)
    return number - (1 << 64) if number >> 63 else number
