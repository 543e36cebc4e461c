"""Models that curation measures text with: read when the run file is, and known by their digests.

The digest bears identity, the place of the file does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bessemer.core.errors import DataError, Fault
from bessemer.core.fingerprint import digest_file
from bessemer.curate.quality_model import load_model


def pin_text_models(sections: dict[str, Any], base: Path) -> list[Fault]:
    """Put the digests of the models that `[curate]` names into `sections`, in place.

    `base` is the folder of the run file. Returns what is wrong with the files.
    """
    curate = sections.get("curate")
    if curate is None or curate.quality is None:
        return []
    quality = curate.quality
    try:
        load_model(base / quality.model)
        digest = _digest_of(base / quality.model, quality.digest, "curate.quality.digest")
    except DataError as error:
        return [Fault("curate.quality.model", str(error))]
    pinned = quality.model_copy(update={"digest": digest})
    sections["curate"] = curate.model_copy(update={"quality": pinned})
    return []


def _digest_of(path: Path, given: str | None, key: str) -> str:
    digest = digest_file(path)
    if given not in (None, digest):
        raise DataError(f"{path} has the digest {digest}, not {given} as {key} says: another file")
    return digest
