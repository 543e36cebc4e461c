"""Writes small fastText classifiers with random weights, by the format and not by our reader."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

WORDS = ["</s>", "iron", "mould", "Männer", "лес", "的", "poured"]
LABELS = ["eng_Latn", "deu_Latn", "rus_Cyrl", "cmn_Hani", "ceb_Latn"]
DIMS = 5
LOSSES = {"tree": 1, "negative": 2, "softmax": 3, "one against all": 4}


def matrix(values: np.ndarray) -> bytes:
    return struct.pack("<qq", *values.shape) + values.astype("<f4").tobytes()


def quantiser(draw: np.random.Generator, dims: int, part: int, scale: float) -> bytes:
    parts, rest = divmod(dims, part)
    head = struct.pack("<4i", dims, parts + bool(rest), part, rest or part)
    return head + draw.normal(scale, scale, dims * 256).astype("<f4").tobytes()


def quantised(draw: np.random.Generator, rows: int, dims: int, has_norms: bool) -> bytes:
    codes = draw.integers(0, 256, rows * -(-dims // 2), dtype=np.uint8)
    head = struct.pack("<Bqqi", has_norms, rows, dims, len(codes))
    data = head + codes.tobytes() + quantiser(draw, dims, 2, 0.5)
    if has_norms:
        norms = draw.integers(0, 256, rows, dtype=np.uint8)
        data += norms.tobytes() + quantiser(draw, 1, 1, 1.0)
    return data


def model_bytes(
    loss: str = "softmax",
    *,
    seed: int = 0,
    num_buckets: int = 40,
    ngrams: tuple[int, int] = (1, 3),
    is_quantised: bool = False,
    is_output_quantised: bool = False,
    pruned: list[tuple[int, int]] | None = None,
    words: list[str] = WORDS,
    version: int = 12,
    kind: int = 3,
    word_ngrams: int = 1,
    dims: int = DIMS,
    output_rows: int = len(LABELS),
) -> bytes:
    """A whole file. `pruned`: the n-grams that are left as (bucket, row), of a quantised model."""
    draw = np.random.default_rng(seed)
    settings = (dims, 5, 5, 1, 5, word_ngrams, LOSSES[loss], kind, num_buckets, *ngrams, 100)
    data = struct.pack("<ii12id", 793712314, version, *settings, 1e-4)
    entries = [(word, 100 - at, 0) for at, word in enumerate(words)]
    entries += [(f"__label__{label}", 50 - 7 * at, 1) for at, label in enumerate(LABELS)]
    num_pruned = -1 if pruned is None else len(pruned)
    data += struct.pack("<iiiqq", len(entries), len(words), len(LABELS), 1000, num_pruned)
    for text, count, entry_kind in entries:
        data += text.encode() + b"\0" + struct.pack("<qb", count, entry_kind)
    for pair in pruned or ():
        data += struct.pack("<ii", *pair)
    num_rows = len(words) + (num_buckets if pruned is None else len(pruned))
    data += struct.pack("<B", is_quantised)
    if is_quantised:
        data += quantised(draw, num_rows, dims, has_norms=True)
    else:
        data += matrix(draw.normal(0, 2, (num_rows, dims)))
    data += struct.pack("<B", is_output_quantised)
    if is_output_quantised:
        return data + quantised(draw, output_rows, dims, has_norms=False)
    return data + matrix(draw.normal(0, 2, (output_rows, dims)))


def write_model(path: Path, loss: str = "softmax", **settings: object) -> Path:
    path.write_bytes(model_bytes(loss, **settings))  # type: ignore[arg-type]
    return path
