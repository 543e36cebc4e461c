"""What a quality model has learned, in words: the n-grams with the strongest weights.

A bucket is a number; its words are looked for in a sample of the texts. N-grams of fewer than
`_MIN_TEXTS` texts of the sample are not shown: they say something of these texts, not of a side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bessemer.text.ngrams import buckets_of, pair_hashes
from bessemer.text.words import word_spans

NUM_SHOWN = 20
_NUM_CANDIDATES = 500  # buckets of each sign that are looked for; some are in no sampled text
_MIN_TEXTS = 3
_MAX_CHARS = 60


def strongest_ngrams(
    weights: npt.NDArray[np.float32], good: Iterable[str], background: Iterable[str]
) -> dict[str, list[dict[str, Any]]]:
    """side -> its strongest n-grams: text, weight, and texts of each side's sample with it.

    Where several n-grams share a bucket, the one in most texts stands for it.
    """
    order = np.argsort(weights, kind="stable")
    candidates = np.zeros(len(weights), np.bool_)
    candidates[order[:_NUM_CANDIDATES]] = candidates[order[-_NUM_CANDIDATES:]] = True
    found: defaultdict[int, dict[str, Counter[str]]] = defaultdict(
        lambda: {"good": Counter(), "background": Counter()}
    )
    for side, texts in (("good", good), ("background", background)):
        for text in texts:
            for bucket, words in _ngrams_of(text, candidates):
                found[bucket][side][words] += 1
    rows: list[dict[str, Any]] = []
    for bucket, counts in found.items():
        both = counts["good"] + counts["background"]
        words, num_texts = min(both.items(), key=lambda each: (-each[1], each[0]))
        if num_texts >= _MIN_TEXTS and weights[bucket]:
            rows.append(
                {
                    "ngram": words,
                    "weight": round(float(weights[bucket]), 4),
                    "good_texts": counts["good"][words],
                    "background_texts": counts["background"][words],
                }
            )
    rows.sort(key=lambda row: (-row["weight"], row["ngram"]))
    good_rows = [row for row in rows if row["weight"] > 0]
    background_rows = [row for row in reversed(rows) if row["weight"] < 0]
    return {"good": good_rows[:NUM_SHOWN], "background": background_rows[:NUM_SHOWN]}


def _ngrams_of(text: str, candidates: npt.NDArray[np.bool_]) -> set[tuple[int, str]]:
    """The n-grams of a text that are in a candidate bucket, each once, with the bucket."""
    data = text.encode()
    _, starts, stops, hashes = word_spans(pa.array([text], pa.large_string()))
    bits = len(candidates).bit_length() - 1
    found = set()
    for length, keys in ((1, hashes), (2, pair_hashes(hashes))):
        buckets = buckets_of(keys, bits)
        for place in np.flatnonzero(candidates[buckets]).tolist():
            words = (data[starts[place + at] : stops[place + at]].decode() for at in range(length))
            found.add((int(buckets[place]), " ".join(words).lower()[:_MAX_CHARS]))
    return found
