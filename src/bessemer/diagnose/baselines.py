"""Stage `baselines`: what held-out text costs without a language model, in bits per byte.

Two honest yardsticks per source. `unigram`: the cross-entropy of the held-out bytes under the
byte frequencies of the training text. `lzma`: what LZMA adds to the compressed training text when
the held-out text is appended to it, so that it too has learned from the training text.
"""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bessemer.core.keyed import derive_key
from bessemer.core.layout import BASELINES
from bessemer.core.manifest import StageResult
from bessemer.core.schema import HELDOUT, TRAIN
from bessemer.core.storage import write_json
from bessemer.engine.tasks import Engine, Task
from bessemer.tokens.corpus import Corpus, draw_documents

TRAIN_BYTES, HELDOUT_BYTES = 4_000_000, 400_000
_DICTIONARY_BYTES = 1 << 23  # more than both samples together: LZMA may refer to all it has seen
_PRESET = 6


def baselines(
    corpus: Corpus, sources: Sequence[str], seed: int, folder: Path, engine: Engine
) -> StageResult:
    """Measure both yardsticks for every source and write `baselines.json`."""
    tasks = [
        Task(
            key=source,
            function=measure_baselines,
            arguments={"corpus": corpus, "source": source, "seed": seed},
        )
        for source in sources
    ]
    results = engine.map("baselines", folder, tasks)
    found = dict(zip(sources, results, strict=True))
    write_json(folder / BASELINES, {name: result for name, result in found.items() if result})
    return StageResult(summary=found)


def measure_baselines(corpus: Corpus, source: str, seed: int) -> dict[str, float]:
    """`unigram` and `lzma` of one source in bits per byte; empty if either side is empty."""
    samples = []
    for side, budget in ((TRAIN, TRAIN_BYTES), (HELDOUT, HELDOUT_BYTES)):
        keys = {source: derive_key(seed, "baselines", side, source)}
        draw = draw_documents(corpus, side, {source: budget}, keys)
        samples.append("\n".join(draw.texts(corpus)).encode()[:budget])
    train, heldout = samples
    if not train or not heldout:
        return {}
    return {
        "unigram": unigram_bits_per_byte(train, heldout),
        "lzma": conditional_lzma_bits_per_byte(train, heldout),
    }


def unigram_bits_per_byte(train: bytes, heldout: bytes) -> float:
    """Cross-entropy of `heldout` under the byte frequencies of `train`, one added to each."""
    counts = np.bincount(np.frombuffer(train, np.uint8), minlength=256) + 1
    bits = -np.log2(counts / counts.sum())
    return float(bits[np.frombuffer(heldout, np.uint8)].mean())


def conditional_lzma_bits_per_byte(train: bytes, heldout: bytes) -> float:
    """8 * (C(train + heldout) - C(train)) / len(heldout), C being the size under LZMA2."""
    extra = _compressed_size(train + heldout) - _compressed_size(train)
    return 8 * extra / len(heldout)


def _compressed_size(data: bytes) -> int:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": _PRESET, "dict_size": _DICTIONARY_BYTES}]
    return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters))
