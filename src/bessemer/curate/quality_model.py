"""The quality model: weights of hashed n-grams, and where a score stands among background texts.

One safetensors file: `weights` (float32, 2**bucket_bits), `intercept` (float32, one), `quantiles`
(float32, 1001: the raw scores of held-out background texts at 0, 0.1 %, ... 100 %), and JSON in the
header that says what it was trained on and how well it tells both sides apart. Nothing in the file
is executed; a file that differs from this form in anything is refused.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bessemer.core.errors import ConfigError, DataError, Fault
from bessemer.core.storage import write_bytes
from bessemer.text.ngrams import FEATURES_VERSION, linear_scores

QUALITY_SIGNAL = "quality_score"
QUALITY_SIGNALS: dict[str, str] = {
    QUALITY_SIGNAL: (
        "share of the background texts of the quality model (`[curate.quality]`) that it scores "
        "lower, 0 to 1; 0 without words; measured only if there is a model"
    )
}

FORMAT = "bessemer quality model"
_KEY = "bessemer"  # the one key of the header: several would stand in any order
MIN_BITS, MAX_BITS = 10, 24
NUM_QUANTILES = 1001
_MAX_HEADER_BYTES = 1 << 20
_MAX_FILE_BYTES = 4 * (2**MAX_BITS + 1 + NUM_QUANTILES) + 2 * _MAX_HEADER_BYTES


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class QualityModel:
    """A linear model over hashed n-grams with its calibration."""

    weights: npt.NDArray[np.float32]
    intercept: np.float32
    quantiles: npt.NDArray[np.float32]  # ascending
    about: dict[str, Any]  # JSON: inputs, settings, counts, held-out AUC, strongest n-grams

    @property
    def bucket_bits(self) -> int:
        """The binary logarithm of the number of weights."""
        return len(self.weights).bit_length() - 1

    def raw_scores(self, texts: pa.Array) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """The score before calibration, and whether a text has any word, of every text."""
        scores, num_buckets = linear_scores(texts, self.weights, float(self.intercept))
        return scores.astype(np.float32), num_buckets > 0

    def scores(self, texts: pa.Array) -> npt.NDArray[np.float32]:
        """The share of background texts that score lower, for every text: float32 in [0, 1].

        Half of those that score the same count as lower. A text without words has 0.
        """
        raw, has_words = self.raw_scores(texts)
        return np.where(has_words, percentiles(raw, self.quantiles), np.float32(0))


def percentiles(
    raw: npt.NDArray[np.float32], quantiles: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Where `raw` scores stand among those of which `quantiles` are an even ladder: [0, 1].

    Linear between steps; on a run of equal steps, its middle. Below and above all: 0 and 1.
    """
    last = len(quantiles) - 1
    below = np.searchsorted(quantiles, raw, side="left")
    not_above = np.searchsorted(quantiles, raw, side="right")
    at_step = (below + not_above - 1) / 2
    low = np.clip(below - 1, 0, last - 1)
    start, end = quantiles[low].astype(np.float64), quantiles[low + 1].astype(np.float64)
    between = low + (raw - start) / np.where(end > start, end - start, 1)
    place = np.where(below < not_above, at_step, between)
    place = np.where(not_above == 0, 0, np.where(below > last, last, place))
    return (place / last).astype(np.float32)


def save_model(model: QualityModel, path: Path) -> None:
    """Write `model` to `path`, whole or not at all; equal models give equal bytes."""
    header = {"format": FORMAT, "features": FEATURES_VERSION, "about": model.about}
    tensors = {
        "weights": model.weights,
        "intercept": np.array([model.intercept], np.float32),
        "quantiles": model.quantiles,
    }
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, sort_keys=True)
    if len(text.encode()) > _MAX_HEADER_BYTES:
        raise DataError(
            f"{path}: what there is to say of the input files is longer than {_MAX_HEADER_BYTES} "
            "bytes; train on fewer, larger files"
        )
    write_bytes(path, save(tensors, metadata={_KEY: text}))


def refuse_to_replace(path: Path) -> None:
    """Raise ConfigError if `path` holds anything but a quality model: it may be an input."""
    if not path.exists():
        return
    try:
        load_model(path)
    except DataError:
        what = "is there and is no quality model; it is not overwritten"
        raise ConfigError([Fault(f"--out {path}", what)]) from None


def load_model(path: Path) -> QualityModel:
    """Read and check a quality model; DataError says what is wrong with the file.

    It is kept for the next call, which gets it again unless the file was changed since.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"no file {path}; `bessemer curate train-quality` makes one") from None
    except OSError as error:
        raise _damaged(path, str(error)) from error
    return _load(path, status.st_ino, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=2)
def _load(path: Path, _inode: int, _mtime_ns: int, num_bytes: int) -> QualityModel:
    """The model in the file that `path` is at this time."""
    if not path.is_file():
        raise DataError(f"{path} is not a file; `bessemer curate train-quality` makes one")
    if num_bytes > _MAX_FILE_BYTES:
        raise _damaged(path, f"{num_bytes} bytes are more than any has")
    try:
        with safe_open(path, framework="numpy") as file:
            header = _read_header(path, file.metadata() or {})
            names = set(file.keys())
            if names != {"weights", "intercept", "quantiles"}:
                raise _damaged(path, f"its tensors are {', '.join(sorted(names)) or 'none'}")
            tensors = {name: file.get_tensor(name) for name in sorted(names)}
    except (OSError, SafetensorError) as error:
        raise _damaged(path, str(error)) from error
    _check_tensors(path, tensors)
    return QualityModel(
        weights=tensors["weights"],
        intercept=np.float32(tensors["intercept"][0]),
        quantiles=tensors["quantiles"],
        about=header["about"],
    )


def _read_header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(metadata.get(_KEY, ""))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _damaged(path, "its header does not say that it is one")
    if header.get("features") != FEATURES_VERSION:
        raise DataError(
            f"{path} was trained by another version of bessemer, whose n-grams were others; "
            "train it anew"
        )
    if not isinstance(header.get("about"), dict):
        raise _damaged(path, "its header does not say what it was trained on")
    return header


def _check_tensors(path: Path, tensors: dict[str, npt.NDArray[Any]]) -> None:
    for name, values in tensors.items():
        if values.dtype != np.float32 or values.ndim != 1:
            raise _damaged(path, f"{name} is {values.dtype} of shape {values.shape}")
        if not np.isfinite(values).all():
            raise _damaged(path, f"{name} holds numbers that are not finite")
    num_weights = len(tensors["weights"])
    bits = math.log2(num_weights) if num_weights else 0.0
    if not (bits.is_integer() and MIN_BITS <= bits <= MAX_BITS):
        raise _damaged(path, f"it has {num_weights} weights")
    if len(tensors["intercept"]) != 1 or len(tensors["quantiles"]) != NUM_QUANTILES:
        raise _damaged(path, "intercept or quantiles are of another length")
    if (np.diff(tensors["quantiles"]) < 0).any():
        raise _damaged(path, "quantiles do not ascend")


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"{path} is no quality model, or a damaged one: {why}")
