"""Identity of a stage's settings and of a file's bytes, by xxh3-128.

A fingerprint is taken over canonical JSON (sorted keys, no spaces). What has no exact JSON form
is refused: a permissive `str()` would silently give one setting two identities.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import xxhash

FINGERPRINT_CHARS = 16  # 64 bits: enough to tell the settings of one project apart
_READ_BYTES = 1 << 20


def canonical_json(value: Any) -> str:
    """`value` as canonical JSON; raises TypeError on anything without an exact JSON form."""
    _refuse_inexact(value, "$")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(value: Any) -> str:
    """Sixteen hexadecimal digits that stand for `value` (dicts, lists, strings, numbers, None)."""
    return xxhash.xxh3_128_hexdigest(canonical_json(value).encode())[:FINGERPRINT_CHARS]


def digest_bytes(data: bytes) -> str:
    """xxh3-128 of `data`, as 32 hexadecimal digits."""
    return xxhash.xxh3_128_hexdigest(data)


def digest_file(path: Path) -> str:
    """xxh3-128 of the bytes on disk, read in blocks, as 32 hexadecimal digits."""
    state = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            state.update(block)
    return state.hexdigest()


def _refuse_inexact(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where}: key {key!r} is not a string")
            _refuse_inexact(child, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            _refuse_inexact(child, f"{where}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{where}: {value} has no JSON form")
    elif not (value is None or isinstance(value, str | int | bool)):
        raise TypeError(f"{where}: {type(value).__name__} has no exact JSON form")
