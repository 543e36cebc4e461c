"""Models and lists that documents are measured with: read when the run file is, known by digests.

The digest bears identity, the place of the file does not. That of the language model which comes
with bessemer is taken, too: with another one, languages would be others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bessemer.config.data import CurateConfig, UrlsConfig
from bessemer.config.load import hint
from bessemer.core.errors import DataError, Fault
from bessemer.core.fingerprint import digest_file
from bessemer.curate.language import load_language_model, shipped_model
from bessemer.curate.quality_model import load_model


def pin_instruments(sections: dict[str, Any], base: Path) -> list[Fault]:
    """Put the digests of the files that `[curate]` goes by into `sections`, in place.

    `base` is the folder of the run file. Returns what is wrong with the files, and the languages
    that the model does not know.
    """
    if "curate" not in sections:
        return []
    curate: CurateConfig = sections["curate"]
    language, quality = curate.language, curate.quality
    faults: list[Fault] = []
    pinned: dict[str, Any] = {}
    try:
        path = base / language.model if language.model else shipped_model()
        known = load_language_model(path).codes
        faults += [
            Fault(
                "curate.languages", f"{code!r} is not known to {path.name}{_nearest(code, known)}"
            )
            for code in curate.languages
            if code not in known
        ]
        digest = _digest_of(path, language.digest, "curate.language.digest")
        pinned["language"] = language.model_copy(update={"digest": digest})
    except DataError as error:
        faults.append(Fault("curate.language.model", str(error)))
    if quality is not None:
        try:
            path = base / quality.model
            load_model(path)
            digest = _digest_of(path, quality.digest, "curate.quality.digest")
            pinned["quality"] = quality.model_copy(update={"digest": digest})
        except DataError as error:
            faults.append(Fault("curate.quality.model", str(error)))
    pinned["urls"], list_faults = _pin_url_lists(curate.urls, base)
    sections["curate"] = curate.model_copy(update=pinned)
    return faults + list_faults


def _nearest(code: str, known: Sequence[str]) -> str:
    """What to say behind a language that is not known; "en-US" and "EN" are English."""
    wide = code.lower().replace("_", "-").split("-")[0]
    return hint(wide if wide in known else code, known)


def _pin_url_lists(urls: UrlsConfig, base: Path) -> tuple[UrlsConfig, list[Fault]]:
    """The lists of URLs with their files' digests, and what is wrong with them."""
    digests, faults = {}, []
    for kind, path in urls.files().items():
        where, given = f"curate.urls.{kind}", urls.digests.get(kind)
        try:
            digests[kind] = digest_file(base / path)
        except FileNotFoundError:
            what = f"no file {base / path}; paths are relative to the run file"
            faults.append(Fault(where, what))
            continue
        except IsADirectoryError:
            what = f"{path} is a folder; give a text file of an entry a line"
            faults.append(Fault(where, what))
            continue
        except OSError as error:
            faults.append(Fault(where, f"{path} cannot be read: {error.strerror}"))
            continue
        if given not in (None, digests[kind]):
            what = f"{path} has the digest {digests[kind]}, not {given}: it is another file"
            faults.append(Fault(where, what))
    faults += [
        Fault(f"curate.urls.digests.{kind}", "is of no list; give its file as well")
        for kind in sorted(urls.digests.keys() - urls.files().keys())
    ]
    return urls.model_copy(update={"digests": digests}), faults


def _digest_of(path: Path, given: str | None, key: str) -> str:
    digest = digest_file(path)
    if given not in (None, digest):
        raise DataError(f"{path} has the digest {digest}, not {given} as {key} says: another file")
    return digest
