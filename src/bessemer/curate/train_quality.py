"""Training a quality model: good texts against background texts, and the proof on held-out ones.

Texts become n-grams (curate.quality_texts), a logistic regression tells the sides apart, and the
scores of held-out background texts become the scale on which every text is measured later. The same
inputs and settings give the same bytes with the same versions of NumPy and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from bessemer.config.kinds import Kind
from bessemer.config.sources import Format, SourceConfig, misplaced_stars
from bessemer.core.errors import ConfigError, DataError, Fault, MachineError
from bessemer.core.events import Display
from bessemer.core.fingerprint import fingerprint
from bessemer.core.keyed import derive_key
from bessemer.curate.auc import auc
from bessemer.curate.inventory import SourceFile, matches_nothing, take_inventory
from bessemer.curate.ngram_words import strongest_ngrams
from bessemer.curate.quality_model import (
    MAX_BITS,
    MIN_BITS,
    NUM_QUANTILES,
    QualityModel,
    percentiles,
)
from bessemer.curate.quality_texts import Side, read_side
from bessemer.text.ngrams import Buckets, bucket_scores

MIN_TEXTS = 100  # of a side: of fewer, a fifth says nothing of how good the model is
_HELDOUT_FRAC = 0.2
_NUM_PASSES = 10
_SHOWN_PERCENTILES = (0.1, 0.25, 0.5, 0.75, 0.8, 0.9, 0.95, 0.99)
_MOST_NAMED_FILES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class QualitySettings:
    """What bears on a quality model beside its texts."""

    seed: int = 0
    bucket_bits: int = 20  # 2**bits weights of 4 bytes
    max_bytes: int = 256 * 10**6  # of text, of each side


def quality_sources(
    good: Sequence[str], background: Sequence[str], kind: str, format_: str, text_field: str
) -> tuple[SourceConfig, SourceConfig]:
    """Both sides as sources; ConfigError with every fault."""
    faults = [
        Fault(f"--{name} {pattern}", "'**' must stand for folders, as in 'notes/**/*.txt'")
        for name, patterns in (("good", good), ("background", background))
        for pattern in patterns
        if misplaced_stars(pattern)
    ]
    for name, value, legal in (("kind", kind, Kind), ("format", format_, Format)):
        if value not in get_args(legal):
            faults.append(Fault(f"--{name} {value}", f"expected {', '.join(get_args(legal))}"))
    for name, patterns in (("good", good), ("background", background)):
        if not patterns:
            faults.append(Fault(f"--{name}", "is required: a path or a pattern, as 'good/*.txt'"))
    if faults:
        raise ConfigError(faults)
    good_source, background_source = (
        SourceConfig.model_validate(
            {
                "name": name,
                "kind": kind,
                "path": tuple(patterns),
                "format": format_,
                "text_field": text_field,
            }
        )
        for name, patterns in (("good", good), ("background", background))
    )
    return good_source, background_source


def train_quality(
    good: SourceConfig,
    background: SourceConfig,
    base: Path,
    settings: QualitySettings,
    display: Display,
) -> QualityModel:
    """Fit, calibrate and judge a model; paths are relative to `base`.

    Raises ConfigError if the files cannot be two sides, DataError if the texts cannot, and
    MachineError without scikit-learn.
    """
    _check(settings)
    _require_sklearn()
    files = {"good": _files(good, base), "background": _files(background, base)}
    _refuse_same_files(files["good"], files["background"])
    key = derive_key(settings.seed, "quality texts")
    sides = {
        source.name: read_side(
            files[source.name], source, settings.bucket_bits, settings.max_bytes, key, display
        )
        for source in (good, background)
    }
    num_both = _refuse_same_texts(sides)
    # The order is that of a hash of the text, so its end is a random draw.
    cuts = {name: len(side) - round(len(side) * _HELDOUT_FRAC) for name, side in sides.items()}
    train = {name: side.take(np.arange(cuts[name])) for name, side in sides.items()}
    heldout = {name: side.take(np.arange(cuts[name], len(side))) for name, side in sides.items()}
    weights, intercept = _fit(train["good"], train["background"], settings, display)
    raw = {
        name: bucket_scores(side.buckets, weights, float(intercept)).astype(np.float32)
        for name, side in heldout.items()
    }
    quantiles = np.quantile(
        raw["background"].astype(np.float64), np.linspace(0, 1, NUM_QUANTILES)
    ).astype(np.float32)
    about = {
        "inputs": {name: _identify(each) for name, each in files.items()},
        "settings": asdict(settings) | {"passes": _NUM_PASSES},
        "texts": {
            name: {
                "train": len(train[name]),
                "heldout": len(heldout[name]),
                "bytes": int(side.num_bytes.sum()),
                **{what: side.counts[what] for what in _COUNTED},
            }
            for name, side in sides.items()
        },
        "on_both_sides": num_both,
        "heldout_auc": asdict(auc(raw["good"], raw["background"])),
        "percentiles": _percentile_table(raw["good"], quantiles),
        "strongest": strongest_ngrams(
            weights, *(_texts_of(train[name]) for name in ("good", "background"))
        ),
    }
    return QualityModel(weights=weights, intercept=intercept, quantiles=quantiles, about=about)


_COUNTED = ("documents", "unreadable", "duplicates", "wordless", "left_out")


def _check(settings: QualitySettings) -> None:
    faults = []
    if not MIN_BITS <= settings.bucket_bits <= MAX_BITS:
        what = f"expected {MIN_BITS} to {MAX_BITS}; 20 are 4 MB of weights"
        faults.append(Fault(f"--bucket-bits {settings.bucket_bits}", what))
    if settings.max_bytes < 1:
        faults.append(Fault(f"--max-bytes {settings.max_bytes}", "expected more than 0 bytes"))
    if faults:
        raise ConfigError(faults)


def _require_sklearn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise MachineError(
            "training a quality model needs scikit-learn: pip install 'bessemer[quality]' "
            "(scoring with a trained one does not)"
        ) from None


def _files(source: SourceConfig, base: Path) -> tuple[SourceFile, ...]:
    """The files of a side; ConfigError names every pattern that matches none."""
    faults = []
    for pattern in source.path:
        if matches_nothing(pattern, base):
            is_folder = (base / pattern).is_dir()
            hint = f" (it is a folder; try '{pattern.rstrip('/')}/**/*')" if is_folder else ""
            faults.append(Fault(f"--{source.name} {pattern}", f"no file matches{hint}"))
    if faults:
        raise ConfigError(faults)
    return take_inventory([source], base)


def _refuse_same_files(good: Sequence[SourceFile], background: Sequence[SourceFile]) -> None:
    others = {file.digest: file.path for file in background}
    faults = [
        Fault(f"--good {file.path}", f"is the same file as {others[file.digest]} of --background")
        for file in good
        if file.digest in others
    ]
    if faults:
        raise ConfigError(faults)


def _refuse_same_texts(sides: dict[str, Side]) -> int:
    """The number of texts that are on both sides; DataError if there are too few of their own."""
    for name, side in sides.items():
        if len(side) < MIN_TEXTS:
            counts = ", ".join(
                f"{side.counts[what]} {what.replace('_', ' ')}"
                for what in _COUNTED
                if side.counts[what]
            )
            raise DataError(
                f"--{name} has {len(side)} texts to learn from, at least {MIN_TEXTS} are needed "
                f"({counts or 'nothing was read'})"
                + ("; raise --max-bytes" if side.counts["left_out"] else "")
            )
    num_both = len(np.intersect1d(sides["good"].hashes, sides["background"].hashes))
    if 2 * num_both > min(map(len, sides.values())):
        raise DataError(
            f"{num_both} of {len(sides['good'])} good texts are among the background texts, too: "
            "give texts that differ"
        )
    return num_both


def _fit(
    good: Side, background: Side, settings: QualitySettings, display: Display
) -> tuple[npt.NDArray[np.float32], np.float32]:
    """Weights and intercept of a logistic regression, both sides of equal weight in all.

    Averaged stochastic gradient descent (Bottou's schedule, as scikit-learn has it); the penalty is
    half the squared norm / number of texts, that is C = 1.
    """
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import SGDClassifier

    both = Buckets(
        np.concatenate(
            [good.buckets.offsets, background.buckets.offsets[1:] + good.buckets.offsets[-1]]
        ),
        np.concatenate([good.buckets.buckets, background.buckets.buckets]),
    )
    lengths = np.diff(both.offsets)
    values = np.repeat(1 / np.sqrt(lengths), lengths).astype(np.float32)
    num_texts = len(lengths)
    features = csr_matrix(
        (values, both.buckets, both.offsets), shape=(num_texts, 1 << settings.bucket_bits)
    )
    is_good = np.arange(num_texts) < len(good)
    importance = np.where(is_good, num_texts / len(good), num_texts / len(background)) / 2
    model = SGDClassifier(
        loss="log_loss",
        alpha=1 / num_texts,
        average=True,
        random_state=np.random.RandomState(settings.seed % 2**32),
    )
    with display.bar("fit", total=_NUM_PASSES) as bar:
        for _ in range(_NUM_PASSES):
            model.partial_fit(features, is_good, classes=[False, True], sample_weight=importance)
            bar.advance()
    return model.coef_[0].astype(np.float32), np.float32(model.intercept_[0])


def _identify(files: Sequence[SourceFile]) -> dict[str, Any]:
    """The files of a side by name and digest, up to a thousand of them, and one digest for all."""
    named = [[file.path.rsplit("/", 1)[-1], file.digest] for file in files]
    return {
        "num_files": len(files),
        "digest": fingerprint(sorted(file.digest for file in files)),
        "files": named[:_MOST_NAMED_FILES],
    }


def _percentile_table(
    good: npt.NDArray[np.float32], quantiles: npt.NDArray[np.float32]
) -> list[dict[str, float]]:
    """What each bound on the score would keep: of background by definition, of held-out good."""
    scores = percentiles(good, quantiles)
    return [
        {
            "min_score": bound,
            "raw_score": round(float(quantiles[round(bound * (NUM_QUANTILES - 1))]), 4),
            "good_kept_frac": round(float(np.mean(scores >= np.float32(bound))), 4),
        }
        for bound in _SHOWN_PERCENTILES
    ]


def _texts_of(side: Side) -> list[str]:
    """The sampled texts of a side, without those that are held out."""
    inside = set(side.hashes.tolist())
    return [text for hash_, text in side.sample.items() if hash_ in inside]
